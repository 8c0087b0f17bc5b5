"""Fitted times to grok as curves."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from observatory.analysis.figures.boundary import Record
from observatory.analysis.figures.survival import ShareLaw
from observatory.analysis.figures.times import PowerLaw
from observatory.analysis.report.wording import estimate, number

LN2 = math.log(2.0)
DISTRIBUTIONS = {"weibull": "Weibull", "lognormal": "log-normal", "loglogistic": "log-logistic"}
"""Distributions of the times by the names that records give them."""


def power_laws(records: Sequence[Record]) -> dict[str, PowerLaw]:
    """The laws of the survivors, t = A (weight_decay - critical)^-nu, by a label with numbers."""
    laws: dict[str, PowerLaw] = {}
    for record in records:
        if record["refused"] is None:
            kind = record["extras"]["critical_kind"]
            name = "λc = 0" if kind == "zero" else f"λc {kind} at {number(critical_of(record))}"
            laws[f"survivors, {name}: ν = {estimate(record, 'nu')}"] = median_law(record)
    return laws


def censored_laws(records: Sequence[Record]) -> dict[str, PowerLaw]:
    """Of the laws of all replicas, the preferred one with the critical point at 0 and with it free.

    Preferred is the smallest AICc among the distributions of the times.
    """
    laws: dict[str, PowerLaw] = {}
    for kind in ("zero", "free"):
        best = best_law([r for r in records if str(r["estimator"]).endswith(f"_{kind}")])
        if best is not None:
            laws[f"{law_words(best)}: ν = {estimate(best, 'nu')}"] = median_law(best)
    return laws


def best_law(records: Sequence[Record]) -> Record | None:
    """The record with the smallest AICc, or None where none was fitted."""
    fitted = [r for r in records if r["refused"] is None and r["extras"].get("aicc") is not None]
    return min(fitted, key=lambda r: r["extras"]["aicc"], default=None)


def law_words(record: Record) -> str:
    """A censored law in words."""
    distribution, _, kind = str(record["estimator"]).partition("_")
    at = "λc = 0" if kind == "zero" else f"λc {kind} at {number(critical_of(record))}"
    return f"{DISTRIBUTIONS.get(distribution, distribution)} times, censored, {at}"


def critical_of(record: Record) -> float:
    """The critical weight decay of a law, estimated, given or 0."""
    if "critical" in record["params"]:
        return record["params"]["critical"]["value"]
    return record["extras"].get("critical") or 0.0


def median_law(record: Record) -> PowerLaw:
    """The median time in steps at given weight decays; NaN at and below the critical one."""
    amplitude, nu = (record["params"][name]["value"] for name in ("amplitude", "nu"))
    critical = critical_of(record)

    def law(weight_decay: NDArray[np.float64]) -> NDArray[np.float64]:
        beyond = np.where(weight_decay > critical, weight_decay - critical, np.nan)
        return amplitude * beyond**-nu

    return law


def share_law(record: Record) -> ShareLaw:
    """The share that a censored law lets grok by given steps, at a weight decay.

    With z = ln(t / median) / sigma it is 1 - 2^(-exp z) for Weibull times, the normal distribution
    function of z for log-normal ones, and the logistic one for log-logistic ones.
    """
    median, sigma = median_law(record), record["params"]["sigma"]["value"]
    distribution = str(record["estimator"]).partition("_")[0]

    def law(weight_decay: float, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        z = np.log(steps / median(np.array([weight_decay]))) / sigma
        if distribution == "weibull":
            share = -np.expm1(-LN2 * np.exp(np.minimum(z, 700.0)))
        else:
            share = special.ndtr(z) if distribution == "lognormal" else special.expit(z)
        return np.where(np.isnan(z), 0.0, share)

    return law
