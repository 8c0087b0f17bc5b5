"""Threshold, horizon artefact, or neither: what the laws of the times say about a boundary.

Two laws are compared under each error distribution: one with critical point 0, whose boundary goes
to 0 as the horizon grows, and one with a critical point of its own, whose boundary stops there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from observatory.analysis.horizon.estimators.foresight import (
    LONGER,
    Design,
    expected_ratio,
    needed_ratio,
)
from observatory.analysis.stats.observations import critical_words
from observatory.analysis.stats.solvers import alpha_of
from observatory.analysis.times.estimators.aft_errors import ERRORS, Array
from observatory.analysis.times.estimators.aft_interval import Table, chi_bar_square
from observatory.analysis.times.estimators.aft_law import Laws
from observatory.analysis.times.estimators.aft_table import (
    Sample,
    resampled_laws,
    table_of,
    zero_ratio,
)
from observatory.analysis.times.estimators.power_law import N_PARAMS, UNDECIDED
from observatory.analysis.times.estimators.rivals import (
    OFFSET_PARAMS,
    bent_criteria,
    offset_law,
)

ARTEFACT_BELOW, VISIBLE_ABOVE = 0.25, 0.5
"""Shares of the boundary at the longest horizon: an artefact is one whose threshold lies below the
first; a threshold much below the second cannot be seen."""
_POWER = 0.8
_FARTHEST = 1000.0  # how far below the smallest weight decay a design may go: some laws hardly fall
_RIVALS = {
    "constant": "have a part that does not depend on the {control}",
    "large": "fall more slowly at large values of the {control}",
    "small": "rise faster at small values of the {control}",
    "curved": "are evenly curved",
}
_NAMES = {"weibull": "Weibull", "lognormal": "log-normal", "loglogistic": "log-logistic"}


@dataclass(frozen=True)
class Evidence:
    """What one error distribution says; a boundary is foretold from the held-out horizon."""

    zero: Table  # the law with critical point 0, at the longest horizon
    free: Table  # the law with its own, likewise
    ratio: float  # likelihood ratio of the two
    p: float  # its p-value (chi-bar-square)
    upper: float  # one-sided upper limit of the critical point
    gains: Mapping[str, float]  # how much lower than `free`'s the AIC of each rival is
    lower: float | None  # its critical point without the largest weight decays; None: not fixed
    foretold_zero: float | None  # by the law with critical point 0; None: nothing is foretold
    foretold_free: float | None  # by the law with its own
    foretold_draws: Array  # `foretold_zero` in resamples, `[draw]`

    @property
    def close(self) -> list[str]:
        """The rivals without a threshold that fit as well, the difference of AIC within 2."""
        return [name for name, gain in self.gains.items() if gain >= -UNDECIDED]

    @property
    def stays(self) -> bool | None:
        """Whether without the largest weight decays half of the critical point is left."""
        return None if self.lower is None else self.lower > 0.5 * float(self.free.law.critical[0])

    def flattens(self, observed: float) -> bool | None:
        """Whether the boundary is nearer, in ln, to what the law with a threshold foretold."""
        if self.foretold_zero is None or self.foretold_free is None:
            return None
        return observed**2 > self.foretold_zero * self.foretold_free


@dataclass(frozen=True)
class Samples:
    """One table as the verdict looks at it."""

    whole: Sample
    early: Sample | None  # at the held-out horizon; None where that cannot fix the laws
    lower: Sample | None  # without the largest weight decays, likewise


def evidence_of(name: str, of: Samples, drawn: Array, n_grid: int, level: float) -> Evidence:
    """Fit the laws under one error distribution.

    `drawn` says how many replicas of each row are in a resample, `[draw, row]`; `level` is that of
    the upper limit.
    """
    whole, early = of.whole, of.early
    errors = ERRORS[name]
    zero, free = (table_of(whole, errors, critical, n_grid) for critical in (0.0, None))
    ratio = zero_ratio(zero, free)
    own_aic, offset = free.law.aic(N_PARAMS["free"]), offset_law(free.of, free.begin)
    rivals = {"constant": 2.0 * OFFSET_PARAMS - 2.0 * offset.loglik}
    rivals |= {k: float(aic[0]) for k, aic in bent_criteria(free.of, zero.law.theta).items()}
    gains = {kind: own_aic - aic for kind, aic in rivals.items()}
    small = None if of.lower is None else table_of(of.lower, errors, None, n_grid)
    lower = None if small is None else float(small.law.critical[0])
    of_zero, of_free, draws = None, None, np.zeros(0)
    if early is not None:
        before, own = (table_of(early, errors, critical, n_grid) for critical in (0.0, None))
        again = resampled_laws(before, early.resampled(drawn), free=False)
        horizon = longest(whole)
        of_zero, of_free = (foretold(law.law, horizon) for law in (before, own))
        draws = again.boundary(horizon)
    p, upper = chi_bar_square(ratio), free.upper_limit(level)
    return Evidence(zero, free, ratio, p, upper, gains, lower, of_zero, of_free, draws)


def foretold(law: Laws, horizon: float) -> float | None:
    """The boundary that a law has at a horizon; None where its times do not fall to one."""
    place = float(law.boundary(horizon)[0])
    return place if law.nu[0] > 0 and 0.0 < place < np.inf else None


def longest(sample: Sample) -> float:
    """The horizon of a table, in steps."""
    data = sample.data
    return float(data.followed.max()) if data.horizon_steps is None else float(data.horizon_steps)


def verdict_of(
    evidence: Mapping[str, Evidence], observed: float, level: float, control: str
) -> tuple[str, str]:
    """The verdict and its reason, from the evidence by error distribution.

    `observed` is the boundary at the longest horizon; `control` what is varied.
    """
    each = list(evidence.values())
    p_values = ", ".join(f"{e.p:.2g} ({_NAMES[name]})" for name, e in evidence.items())
    uppers = ", ".join(f"{e.upper:.3g} ({_NAMES[name]})" for name, e in evidence.items())
    rejected = all(e.p < alpha_of(level) for e in each)
    ended = [_NAMES[name] for name, e in evidence.items() if e.free.at_limit]
    flat = [e.flattens(observed) for e in each]
    close = {kind: [n for n, e in evidence.items() if kind in e.close] for kind in _RIVALS}
    rivals = [_RIVALS[kind].format(control=control) for kind, names in close.items() if names]
    critical = critical_words(control)
    left = [name for name, e in evidence.items() if e.stays is False]
    if ended:
        return "cannot tell", (
            f"The {critical} of the times lies at the end of its search, the smallest {control} "
            f"with the event ({', '.join(ended)}): that is no estimate, and no verdict rests on "
            "it. Add values just above the boundary."
        )
    if rejected and all(flat) and not rivals and not left:
        return "threshold", (
            f"A {critical} of 0 is rejected under every error distribution (p = "
            f"{p_values}), no law without a threshold fits as well, and the boundary at the "
            f"longest horizon, {observed:.3g}, is nearer to what the law with a threshold foretold "
            "from the shorter one than to what the law without does."
        )
    if all(e.upper < ARTEFACT_BELOW * observed for e in each):
        return "horizon artefact", (
            f"Under every error distribution the upper limit of the {critical} "
            f"({uppers}) is below a quarter of the boundary, {observed:.3g}: it is where the times "
            "cross the horizon."
        )
    if rejected:
        why: list[str] = []
        if None in flat:
            why.append("the boundary cannot be foretold from the shorter horizon")
        elif not all(flat):
            why.append("the boundary does not flatten on the held-out longer horizon")
        if rivals:
            why.append(
                "laws without a threshold fit as well (AIC within 2), in which times "
                + ", or ".join(rivals)
            )
        if left:
            why.append(
                f"without the largest values of the {control} less than half of that critical "
                "value is left"
            )
        return "cannot tell", (
            f"A {critical} of 0 is rejected (p = {p_values}), but {'; '.join(why)}."
        )
    return "cannot tell", (
        f"A {critical} of 0 is not rejected under every error distribution (p = "
        f"{p_values}), and its upper limit ({uppers}) is not below a quarter of the boundary, "
        f"{observed:.3g}, under every one."
    )


@dataclass(frozen=True)
class _Foresight:
    """Runs that would decide."""

    horizon: int | None  # steps that show a threshold of half of the boundary; None: too far
    seeds_factor: float | None  # times as many seeds would then, without one, show an artefact
    lowest: float | None  # smallest weight decay of that design


def foresee(
    evidence: Mapping[str, Evidence], sample: Sample, observed: float, level: float
) -> _Foresight:
    """The horizon that would decide, by expected likelihood ratios at a power of 0.8."""
    cells, index = np.unique(sample.data.weight_decay, return_inverse=True)
    n = np.bincount(index, weights=sample.data.weights).astype(np.float64)
    design = Design(cells, n)
    highest = float(sample.times(ERRORS["weibull"]).highest[0])
    half = min(VISIBLE_ABOVE * observed, 0.99 * highest)
    needed = needed_ratio(level, _POWER)
    halves = {
        name: table_of(sample, ERRORS[name], half, e.zero.n_grid).law
        for name, e in evidence.items()
    }
    for factor in (1.0, *LONGER):
        horizon = factor * longest(sample)
        places = {name: float(e.zero.law.boundary(horizon)[0]) for name, e in evidence.items()}
        lowest = min(places.values())
        if not lowest > cells[0] / _FARTHEST:
            break
        larger = design.down_to(VISIBLE_ABOVE * lowest)
        found = min(
            expected_ratio(ERRORS[name], law, 0.0, larger, horizon) for name, law in halves.items()
        )
        if found < needed:
            continue
        absent = min(
            expected_ratio(ERRORS[name], e.zero.law, ARTEFACT_BELOW * places[name], larger, horizon)
            for name, e in evidence.items()
        )
        seeds = max(needed / absent, 1.0) if absent > 0 else None
        return _Foresight(round(horizon), seeds, float(larger.control[0]))
    return _Foresight(None, None, None)
