"""What a fit hands back: parameters with their uncertainty, or the reason why there are none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from observatory.analysis.stats.observations import Observations

Plain = float | int | str | bool | None


@dataclass(frozen=True)
class Parameter:
    """One estimated number.

    Attributes:
        value: Point estimate.
        se: Standard error; null where the method gives none.
        ci_low: Lower limit at the estimate's level; null where unbounded or not estimated.
        ci_high: Upper limit, likewise.
    """

    value: float
    se: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """As plain values; what is not finite becomes null, since JSON knows no infinity."""
        return {name: finite(getattr(self, name)) for name in ("value", "se", "ci_low", "ci_high")}


def finite(number: float | None) -> float | None:
    """The number itself, or None where it is infinite or NaN."""
    return None if number is None or not math.isfinite(number) else float(number)


def _plain_values(values: Mapping[str, Plain]) -> dict[str, Plain]:
    """Values as JSON takes them: what is not finite becomes null."""
    return {n: finite(value) if isinstance(value, float) else value for n, value in values.items()}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The result of one fit, with all that is needed to read it.

    Attributes:
        fit: What was fitted, such as "boundary".
        estimator: How, as one word; `extras["method"]` says it in full.
        event: Name of the event preset.
        horizon_steps: Steps after which replicas were censored; null for a table without one.
        horizon_epochs: The same in epochs.
        params: Estimates by name.
        level: Coverage that the intervals claim, such as 0.95.
        n: Replicas that entered the fit.
        seed: Seed of the resampling.
        warnings: What a reader could take wrongly.
        extras: Goodness of fit and settings, as plain values.
        curves: Columns to draw from, such as a profile: each a list of numbers, None where there is
            none; columns of one curve share the part of their name before the dot.
        table: Rows of a result that is a table, by name: what is said of a contrast, a signal, a
            link. A row of a parameter's name is about that parameter.
    """

    fit: str
    estimator: str
    event: str
    level: float
    n: int
    seed: int
    horizon_steps: int | None = None
    horizon_epochs: float | None = None
    params: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])
    warnings: Sequence[str] = ()
    extras: Mapping[str, Plain] = field(default_factory=dict[str, Plain])
    curves: Mapping[str, Sequence[float | None]] = field(
        default_factory=dict[str, Sequence[float | None]]
    )
    table: Mapping[str, Mapping[str, Plain]] = field(default_factory=dict[str, Mapping[str, Plain]])

    def to_json(self) -> dict[str, Any]:
        """The record as `fits.json` holds it, `refused` being null."""
        return {
            "fit": self.fit,
            "estimator": self.estimator,
            "event": self.event,
            "horizon_steps": self.horizon_steps,
            "horizon_epochs": self.horizon_epochs,
            "params": {name: parameter.to_json() for name, parameter in self.params.items()},
            "level": self.level,
            "n": self.n,
            "seed": self.seed,
            "warnings": list(self.warnings),
            "refused": None,
            "extras": _plain_values(self.extras),
            "curves": {name: [finite(v) for v in values] for name, values in self.curves.items()},
            "table": {name: _plain_values(row) for name, row in self.table.items()},
        }


def about(fit: Any, seed: int, **parts: Any) -> dict[str, Any]:
    """What an estimate, or a refusal, says of its fit; `parts` are added, or said instead."""
    known = {"fit": fit.fit_name, "estimator": fit.estimator, "level": fit.level, "seed": seed}
    return known | parts


def estimate_of(
    fit: Any, data: Observations, seed: int, warnings: Sequence[str], **parts: Any
) -> Estimate:
    """What a fit found in a table, whose event, horizon and number of replicas it takes.

    Args:
        fit: Whose `fit_name`, `estimator` and `level` are taken.
        data: The table, without the rows that did not enter.
        seed: Of the resampling.
        warnings: What a reader could take wrongly.
        parts: The other attributes of `Estimate`, such as `params`, or others for those above.
    """
    return Estimate(**about(fit, seed, **{**data.about, "warnings": warnings, **parts}))


def refusal_record(*, reason: str, **known: Any) -> dict[str, Any]:
    """The record of a fit that refused: no parameters, and the reason; `known` as of `Estimate`."""
    return {**Estimate(**known).to_json(), "refused": reason}
