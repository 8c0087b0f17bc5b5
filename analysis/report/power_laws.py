"""Fitted times to grok as curves."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.figures.boundary import Record
from observatory.analysis.figures.times import PowerLaw
from observatory.analysis.report.wording import estimate, number


def power_laws(records: Sequence[Record]) -> dict[str, PowerLaw]:
    """The fitted laws t = A (weight_decay - critical)^-nu, by a label with their numbers."""
    laws: dict[str, PowerLaw] = {}
    for record in records:
        if record["refused"] is None:
            values = {name: p["value"] for name, p in record["params"].items()}
            critical = values.get("critical", record["extras"].get("critical"))
            kind = record["extras"]["critical_kind"]
            name = "λc = 0" if kind == "zero" else f"λc {kind} at {number(critical)}"
            laws[f"{name}: ν = {estimate(record, 'nu')}"] = _law(
                values["amplitude"], values["nu"], critical
            )
    return laws


def _law(amplitude: float, nu: float, critical: float) -> PowerLaw:
    def law(weight_decay: NDArray[np.float64]) -> NDArray[np.float64]:
        beyond = np.where(weight_decay > critical, weight_decay - critical, np.nan)
        return amplitude * beyond**-nu

    return law
