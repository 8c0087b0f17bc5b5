"""What each link of the finite-size chain says, in words that include "underdetermined"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.solvers import alpha_of

Array = NDArray[np.float64]
Limits = tuple[float, float]

KINDS = ("raw", "centred", "shifted")
"""Zero of m as the table has it; at the mean of each cell; at the lowest mean of all cells."""
_UNDERDETERMINED = "underdetermined"
_FEW_SEEDS_FOR_GROUPS = 20  # per cell: with fewer, two groups are hardly ever distinguished
_LIMIT_LOST = 25.0  # residual variances that a width with a limit must lose to be excluded
_UNDECIDED = 2.0  # difference of Akaike's criteria below which the weaker law is a candidate
_GROWTH = {
    "power": "grows as a power",
    "logarithm": "grows as a logarithm",
    "saturating": "saturates",
    "hill": "saturates",
    "constant": "does not grow",
}


@dataclass(frozen=True)
class Link:
    """One link of the chain."""

    verdict: str  # a few words
    reason: str  # a sentence
    p: float | None = None  # share of smooth crossovers that show as much; None where not asked


def overlap(a: Limits, b: Limits) -> bool:
    """Whether two intervals share a point."""
    return a[0] <= b[1] and b[0] <= a[1]


def judge_sharpening(exponent: float, limits: Limits, p: float, least: float, level: float) -> Link:
    """Whether the width shrinks with size, w = w0 L^-a.

    `p` is the share of smooth crossovers that shrink as much, `least` the exponent below which
    shrinking counts as none.
    """
    seen = f"width ~ size^(-a), a = {exponent:.3g}, {level:.0%} [{limits[0]:.3g}, {limits[1]:.3g}]"
    if p < alpha_of(level) and limits[0] > 0.0:
        return Link("sharpens", f"{seen}; a smooth crossover does so with p = {p:.2g}.", p)
    if limits[1] < least:
        return Link("does not sharpen", f"{seen}: below {least:g}, which counts as none.", p)
    reason = (
        f"{seen}, p = {p:.2g}: neither shrinking nor its absence is shown. Add seeds, sizes "
        "further apart, or values of the control within the change."
    )
    return Link(_UNDERDETERMINED, reason, p)


@dataclass(frozen=True)
class Crossed:
    """The crossings of one kind of cumulant."""

    limits: Limits | None  # of the crossing at infinite size; None: fewer than three pairs cross
    drift: Limits | None  # interval of its slope against 1 / size
    p: float  # share of smooth crossovers whose crossings lie as close together


def judge_crossings(by_kind: Mapping[str, Crossed], level: float) -> Link:
    """Whether the cumulants cross at one place, whatever the zero of the order parameter."""
    crossing = {
        kind: found.limits
        for kind, found in by_kind.items()
        if found.limits is not None and found.p < alpha_of(level)
    }
    p = min(found.p for found in by_kind.values())
    seen = ", ".join(f"{kind} p = {found.p:.2g}" for kind, found in by_kind.items())
    if not crossing:
        reason = (
            f"Crossings lie no closer together than those of a smooth crossover ({seen}), or fewer "
            "than three pairs of sizes cross. Add seeds: cumulants need many."
        )
        return Link(_UNDERDETERMINED, reason, p)
    places = list(crossing.values())
    drifts = [k for k in crossing if (d := by_kind[k].drift) and not d[0] <= 0.0 <= d[1]]
    moved = f" They drift with 1 / size ({', '.join(drifts)})." if drifts else ""
    agree = all(overlap(a, b) for a in places for b in places)
    if len(crossing) == len(KINDS) and agree:
        return Link("cross at one place", f"For every zero of m ({seen}).{moved}", p)
    which = f"only for {', '.join(crossing)}" if len(crossing) < len(KINDS) else "at other places"
    reason = (
        f"They cross {which} ({seen}): a crossing that comes with the choice of the zero is no "
        f"property of the system.{moved}"
    )
    return Link("depend on the zero of m", reason, p)


def judge_susceptibility(
    aicc: Mapping[str, float], exponent: Limits, n_sizes: int, p: float, level: float
) -> Link:
    """Which law of growth the data single out, if any."""
    best = min(aicc, key=lambda law: aicc[law])
    rivals = [law for law in aicc if law != best and aicc[law] < aicc[best] + _UNDECIDED]
    seen = f"gamma / nu in [{exponent[0]:.3g}, {exponent[1]:.3g}] ({level:.0%})"
    verdict = _UNDERDETERMINED
    if n_sizes < 6:  # AICc's correction for laws of two numbers then exceeds any evidence
        few = f"{n_sizes} sizes cannot distinguish laws of two numbers"
        reason = f"{few}, {seen}. Add sizes: six in all or more."
    elif rivals:
        reason = f"AICc of {best} and {', '.join(rivals)} within {_UNDECIDED:g}, {seen}. Add sizes."
    elif best == "power" and exponent[0] <= 0.0:
        verdict, reason = "does not grow", f"A power law fits best, and {seen}."
    else:
        verdict = _GROWTH[best]
        reason = f"AICc of the {best} law is lowest by more than 2, {seen}."
    return Link(verdict, reason, p)


def judge_groups(p_by_size: Sequence[float], n_by_size: Sequence[float], level: float) -> Link:
    """Whether seeds of one cell fall into two groups at the two largest sizes."""
    last = [float(p) for p in p_by_size[-2:]]
    seen = f"p = {last[0]:.2g} and {last[1]:.2g} at the two largest sizes (dip, Bonferroni)"
    if max(last) < alpha_of(level):
        what = "a jump, or a threshold that differs among seeds; the dip does not say which"
        return Link("two groups", f"{seen}: {what}.")
    if min(n_by_size[-2:]) < _FEW_SEEDS_FOR_GROUPS:
        few = f"with fewer than {_FEW_SEEDS_FOR_GROUPS} seeds per cell"
        return Link(_UNDERDETERMINED, f"{seen}, {few}. Add seeds.")
    return Link("no second group seen", f"{seen}.")


@dataclass(frozen=True)
class Collapsed:
    """A data collapse, to be judged."""

    quality: float  # least S
    inverse_nu: Limits  # interval of 1 / nu
    p: float  # share of smooth crossovers with as large a 1 / nu
    decades: float  # log10 of the largest size over the smallest
    limit_lost: float  # loss of the best collapse with a limited width, in residual variances
    ended: bool = False  # whether the critical point, or 1 / nu, lies at the end of its search


def judge_collapse(
    found: Collapsed, quality_range: Limits, min_decades: float, level: float
) -> Link:
    """Whether the curves of all sizes lie on one, stretched by a power of the size."""
    low, high = found.inverse_nu
    seen = f"S = {found.quality:.3g}, 1 / nu in [{low:.3g}, {high:.3g}] ({level:.0%})"
    stretched, verdict = low > 0.0 and found.p < alpha_of(level), _UNDERDETERMINED
    if found.decades < min_decades:
        span = f"Sizes span {found.decades:.2g} decades, less than {min_decades:g}"
        reason = f"{span}: {seen}. Add sizes further apart."
    elif found.ended:
        reason = (
            f"{seen}; but the critical point lies at an end of the control, or 1 / nu of what is "
            "looked at: that is no estimate. Add values of the control beyond."
        )
    elif found.quality < quality_range[0]:
        loose = "far below 1, the errors are so large that any curves collapse"
        reason = f"{seen}: {loose}. Add seeds."
    elif found.quality > quality_range[1]:
        verdict, causes = "does not collapse", "Corrections to scaling, too coarse a control, or no"
        reason = f"{seen}: above {quality_range[1]:g}. {causes} scaling."
    elif stretched and found.limit_lost <= _LIMIT_LOST:
        reason = (
            f"{seen}; but a width that tends to a limit, of which half of the largest size's or "
            "more is left, collapses them as well. Add larger sizes, or seeds."
        )
    elif stretched:
        verdict = "collapses"
        reason = f"{seen}; a smooth crossover gives it with p = {found.p:.2g}."
    elif low <= 0.0 <= high:
        verdict, reason = "collapses without size", f"{seen}: the curves lie on one as they are."
    else:
        reason = f"{seen}, p = {found.p:.2g} under a smooth crossover."
    return Link(verdict, reason, found.p)


def judge_chain(
    links: Mapping[str, Link], crossed: Mapping[str, Crossed], critical: Limits, level: float
) -> Link:
    """The verdict of the whole chain.

    A transition needs the width to shrink, the curves to collapse, better than with a width that
    tends to a limit, and no crossing elsewhere than in the interval of the critical point. Since
    the first alone is a test at the level, crossovers of one width pass no more often.
    """
    sharpening, collapse = links["sharpening"], links["data_collapse"]
    p = max(link.p for link in (sharpening, collapse) if link.p is not None)
    seen = [c.limits for c in crossed.values() if c.limits is not None and c.p < alpha_of(level)]
    elsewhere = bool(seen) and not any(overlap(limits, critical) for limits in seen)
    if sharpening.verdict == "does not sharpen":
        return Link("crossover", f"The width does not shrink with size: {sharpening.reason}", p)
    if sharpening.verdict == "sharpens" and collapse.verdict == "collapses" and not elsewhere:
        also = (
            f"Crossings of cumulants ({links['crossings'].verdict}) allow that critical point."
            if seen
            else "Cumulants could not say: the critical point rests on the collapse."
        )
        reason = (
            "The width shrinks with size, and the curves collapse better than with a width that "
            f"tends to a limit. {also} Order and universality are not claimed."
        )
        return Link("transition", reason, p)
    lacking = [
        f"{name}: {link.verdict}"
        for name, link in (("sharpening", sharpening), ("data collapse", collapse))
        if link.verdict not in ("sharpens", "collapses")
    ]
    if elsewhere:
        lacking.append("crossings: away from the critical point of the collapse")
    return Link(_UNDERDETERMINED, f"{'; '.join(lacking)}.", p)
