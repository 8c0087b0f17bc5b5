"""Fitted times to grok as curves."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from observatory.analysis.page.records import Record, limits
from observatory.analysis.page.wording import estimate, number, with_ends
from observatory.analysis.times.figure_survival import ShareLaw
from observatory.analysis.times.figure_times import PowerLaw

DISTRIBUTIONS = {"weibull": "Weibull", "lognormal": "log-normal", "loglogistic": "log-logistic"}
"""Distributions of the times by the names that records give them."""


@dataclass(frozen=True)
class CensoredLaw:
    """A law of all replicas, those that did not grok as censored."""

    record: Record  # that it stands in
    distribution: str  # a key of `DISTRIBUTIONS`
    kind: str  # "free", "zero" or "boundary": what the critical weight decay is
    critical: float
    nu: tuple[float, float | None, float | None]  # exponent with its interval
    amplitude: float  # median time in steps where weight decay exceeds the critical one by 1
    sigma: float  # scale of ln t
    aicc: float  # infinite where it was not computed

    @property
    def name(self) -> str:
        """The distribution, readable."""
        return DISTRIBUTIONS.get(self.distribution, self.distribution)

    @property
    def words(self) -> str:
        """The law in words."""
        return f"{self.name}, censored, {_critical_words(self.kind, self.critical)}"

    @property
    def nu_words(self) -> str:
        """The exponent with its interval."""
        return with_ends(*self.nu)


def censored_laws(records: Sequence[Record]) -> list[CensoredLaw]:
    """The laws of records that did not refuse; a free critical point is held at 0 too."""
    return [law for record in records if record["refused"] is None for law in _laws_of(record)]


def _laws_of(record: Record) -> Iterator[CensoredLaw]:
    values = {name: parameter["value"] for name, parameter in record["params"].items()}
    extras = record["extras"]
    distribution, _, kind = str(record["estimator"]).partition("_")
    own = critical_of(record), limits(record, "nu") or (math.nan, None, None)
    numbers = (*own, values["amplitude"], values["sigma"], _aicc(extras.get("aicc")))
    yield CensoredLaw(record, distribution, kind, *numbers)
    if kind != "zero" and extras.get("nu_zero") is not None:
        nu = extras["nu_zero"], extras.get("nu_zero_low"), extras.get("nu_zero_high")
        spread = extras["amplitude_zero"], extras["sigma_zero"], _aicc(extras.get("aicc_zero"))
        numbers = (0.0, nu, *spread)
        yield CensoredLaw(record, distribution, "zero", *numbers)


def _aicc(value: float | None) -> float:
    return math.inf if value is None else float(value)


def best_law(laws: Sequence[CensoredLaw]) -> CensoredLaw | None:
    """The law with the smallest AICc, or None where there is no law."""
    return min(laws, key=lambda law: law.aicc, default=None)


def drawn_laws(laws: Sequence[CensoredLaw]) -> dict[str, PowerLaw]:
    """The preferred law with the critical point at 0, and with it free, by labels with numbers."""
    drawn: dict[str, PowerLaw] = {}
    for kind in ("zero", "free"):
        best = best_law([law for law in laws if law.kind == kind])
        if best is not None:
            label = f"{best.words}: ν = {best.nu_words}"
            drawn[label] = _median_law(best.amplitude, best.nu[0], best.critical)
    return drawn


def power_laws(records: Sequence[Record]) -> dict[str, PowerLaw]:
    """Laws of uncensored replicas, t = A (weight_decay - critical)^-nu, by labels with numbers."""
    laws: dict[str, PowerLaw] = {}
    for record in (record for record in records if record["refused"] is None):
        critical = critical_of(record)
        name = _critical_words(record["extras"]["critical_kind"], critical)
        amplitude, nu = (record["params"][key]["value"] for key in ("amplitude", "nu"))
        label = f"uncensored replicas, {name}: ν = {estimate(record, 'nu')}"
        laws[label] = _median_law(amplitude, nu, critical)
    return laws


def _critical_words(kind: str, critical: float) -> str:
    """The critical weight decay of a law and whether it was estimated or held."""
    how = {"free": "estimated", "boundary": "held at the boundary"}.get(kind, kind)
    return "λc = 0" if kind == "zero" else f"λc {how} ({number(critical)})"


def critical_of(record: Record) -> float:
    """The critical weight decay of a law, estimated, given or 0."""
    if "critical" in record["params"]:
        return record["params"]["critical"]["value"]
    return record["extras"].get("critical") or 0.0


def _median_law(amplitude: float, nu: float, critical: float) -> PowerLaw:
    """The median time in steps at given weight decays; NaN at and below the critical one."""

    def law(weight_decay: NDArray[np.float64]) -> NDArray[np.float64]:
        beyond = np.where(weight_decay > critical, weight_decay - critical, np.nan)
        return amplitude * beyond**-nu

    return law


def share_law(law: CensoredLaw) -> ShareLaw:
    """The share that a law lets grok by given steps, at a weight decay.

    With z = ln(t / median) / sigma it is 1 - 2^(-exp z) for Weibull times, the normal distribution
    function of z for log-normal ones, and the logistic one for log-logistic ones.
    """
    median = _median_law(law.amplitude, law.nu[0], law.critical)

    def share(weight_decay: float, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        z = np.log(steps / median(np.array([weight_decay]))) / law.sigma
        if law.distribution == "weibull":
            grokked = -np.expm1(-math.log(2.0) * np.exp(np.minimum(z, 700.0)))
        else:
            grokked = special.ndtr(z) if law.distribution == "lognormal" else special.expit(z)
        return np.where(np.isnan(z), 0.0, grokked)

    return share
