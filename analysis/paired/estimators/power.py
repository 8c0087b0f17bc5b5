"""How many pairs a paired t test or an interval needs, from the scatter of a pilot."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import math
from collections.abc import Callable

from scipy.stats import nct, t

from observatory.analysis.stats.solvers import chi2_quantile, student_quantile, zero_between

_LARGEST = 10_000_000
"""Pairs beyond which no plan is given."""
_FARTHEST = 1e8
"""Centres of t farther out count as this one; scipy has no chances there."""


def power_of(effect: float, n: int, alpha: float) -> float:
    """Power of the two-sided paired t test of n pairs, by Cohen's d on paired differences."""
    critical = float(t.isf(alpha / 2.0, n - 1))
    centre = min(abs(effect) * math.sqrt(n), _FARTHEST)
    other_side = float(nct.cdf(-critical, n - 1, centre))  # NaN where scipy finds it too small
    return float(nct.sf(critical, n - 1, centre)) + max(0.0, other_side)


def _least_pairs(holds: Callable[[int], bool]) -> int | None:
    """The least number of pairs, from 2, at which a rule that stays true begins to hold."""
    low, high = 1, 2
    while not holds(high):
        low, high = high, 2 * high
        if high > _LARGEST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def pairs_for_difference(target: float, sd: float, power: float, alpha: float) -> int | None:
    """The least number of pairs for the two-sided paired t test to find a difference of `target`.

    `sd` is that of paired differences. None where it is above ten million.
    """
    return _least_pairs(lambda n: power_of(target / sd, n, alpha) >= power)


def pairs_for_width(half_width: float, sd: float, level: float) -> int | None:
    """Pairs for the t interval of the mean difference to reach no farther than `half_width`.

    With the scatter at its expected size; an interval by chance is wider in half of all studies.
    """
    share = 0.5 + level / 2.0
    return _least_pairs(lambda n: student_quantile(share, n - 1) * sd / math.sqrt(n) <= half_width)


def cautious_sd(sd: float, n: int, assurance: float) -> float:
    """A scatter that the true one stays below with a chance of `assurance`, from n pairs.

    Source:
        Browne (1995), Stat. Med. 14, 1933. Deviation: none.
    """
    return sd * math.sqrt((n - 1) / chi2_quantile(1.0 - assurance, n - 1))


def detectable(sd: float, n: int, power: float, alpha: float) -> float:
    """The least difference that n pairs find with this power, in the unit of `sd`."""
    top = 1.0
    while power_of(top, n, alpha) < power:
        top *= 2.0
    return sd * zero_between(lambda d: power_of(d, n, alpha) - power, 0.0, top)
