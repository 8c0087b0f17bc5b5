"""Tests and effect sizes of pairs, and p-values adjusted over a family: scipy and statsmodels."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import nct, ttest_1samp, wilcoxon
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from observatory.analysis.stats.solvers import zero_between
from observatory.analysis.stats.wilson import wilson_interval

Array = NDArray[np.float64]

SMALLEST = 1e-300
"""Of a p-value that is printed as a number."""
_FLIPPED = 2_000_000
"""Signs that are worked on at once."""


def p_text(p: float) -> str:
    """A p-value in two digits; one that no number is small enough for is not called 0.

    Example:
        >>> p_text(0.0123), p_text(0.0)
        ('0.012', '< 1e-300')
    """
    return f"{p:.2g}" if p >= SMALLEST else f"< {SMALLEST:g}"


def paired_t(differences: Array) -> tuple[float, float]:
    """Student's t of paired differences, not all equal, against 0, and its two-sided p-value."""
    found = ttest_1samp(differences, 0.0)
    return float(found.statistic), float(found.pvalue)


def wilcoxon_p(differences: Array) -> float:
    """Two-sided p-value of Wilcoxon's signed ranks; differences of 0 are left out."""
    return float(wilcoxon(differences).pvalue)


def sign_flip_p(differences: Array, n_flips: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of the mean among all flips of the differences' signs.

    All flips are taken where there are no more than `n_flips`; else so many are drawn, and the data
    count as one more.

    Source:
        Phipson & Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9, 39, for the draws. Deviation: none.

    Example:
        >>> sign_flip_p(np.array([1.0, 2.0, 3.0]), 8, np.random.default_rng(0))
        0.25
    """
    n = differences.size
    least = abs(float(differences.sum())) - 1e-12 * float(np.abs(differences).sum())
    if n < 63 and 2**n <= n_flips:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(np.abs((1.0 - 2.0 * bits) @ differences) >= least))
    hits, rows = 0, 4 * max(1, _FLIPPED // (4 * n))  # in fours, as 8-bit draws use up the stream
    for at in range(0, n_flips, rows):
        signs = rng.integers(0, 2, (min(rows, n_flips - at), n), dtype=np.int8)
        hits += int(np.sum(np.abs((1.0 - 2.0 * signs) @ differences) >= least))
    return (hits + 1) / (n_flips + 1)


def equivalence_p(first: Array, second: Array, margin: float) -> float:
    """p-value of two one-sided paired t tests: that means differ by `margin` or more."""
    return float(ttost_paired(first, second, -margin, margin)[0])


def noncentrality_interval(t: float, degrees: int, level: float) -> tuple[float, float]:
    """Limits of the noncentrality of the t distribution that an observed t came from."""

    def below(end: float) -> float:
        """The chance of a t below the one observed; scipy has none far out in the tails."""
        found = float(nct.cdf(t, degrees, end)) if t >= 0 else float(nct.sf(-t, degrees, -end))
        return found if math.isfinite(found) else float(end < t)

    def limit(share: float) -> float:
        reach = 2.0
        while not below(t - reach) > share > below(t + reach):
            reach *= 1.5
        return zero_between(lambda end: below(end) - share, t - reach, t + reach)

    return limit(0.5 + level / 2.0), limit(0.5 - level / 2.0)


def cohen_paired(differences: Array, level: float) -> tuple[float, float, float]:
    """Cohen's d on paired differences, mean over their scatter, with its exact interval.

    Not the d of two groups: see `cohen_between`.

    Example:
        >>> [round(v, 3) for v in cohen_paired(np.array([1.0, 2.0, 3.0]), 0.95)]
        [2.0, -0.142, 4.105]
    """
    n = differences.size
    low, high = noncentrality_interval(paired_t(differences)[0], n - 1, level)
    d = float(differences.mean() / differences.std(ddof=1))
    return d, low / math.sqrt(n), high / math.sqrt(n)


def cohen_between(first: Array, second: Array, level: float) -> tuple[float, float, float]:
    """Cohen's d of two arms, mean difference over the pooled scatter within arms, for paired data.

    It can be compared with the d of studies that do not pair; its interval knows of the pairing.

    Source:
        Algina & Keselman (2003), Educ. Psychol. Meas. 63, 537: approximate. Deviation: none.
    """
    differences = second - first
    pooled = math.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2.0)
    scale = float(differences.std(ddof=1)) / pooled / math.sqrt(differences.size)
    limits = noncentrality_interval(paired_t(differences)[0], differences.size - 1, level)
    return float(differences.mean()) / pooled, limits[0] * scale, limits[1] * scale


def cohen_unpaired(first: Array, second: Array, level: float) -> tuple[float, float, float]:
    """Cohen's d of two arms as though they shared no pairs, with the interval exact for that.

    Where pairs are alike its interval is too wide: see `cohen_between`, the same number for arms
    of the same pairs.

    Source:
        Hedges & Olkin (1985), Statistical Methods for Meta-Analysis, section 5. Deviation: none.

    Example:
        >>> first, second = np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0, 5.0])
        >>> [round(v, 3) for v in cohen_unpaired(first, second, 0.95)]
        [1.268, -0.461, 2.901]
    """
    n, m = first.size, second.size
    root = math.sqrt(1.0 / n + 1.0 / m)
    means = float(first.mean()), float(second.mean())
    # Not by scipy, which warns where one arm is constant: all its times are the horizon.
    squares = float(((first - means[0]) ** 2).sum() + ((second - means[1]) ** 2).sum())
    t = (means[1] - means[0]) / (math.sqrt(squares / (n + m - 2)) * root)
    low, high = noncentrality_interval(t, n + m - 2, level)
    return t * root, low * root, high * root


def rate_difference(first: Array, second: Array, level: float) -> tuple[float, float, float]:
    """The second share minus the first of paired outcomes, each 0 or 1, with its interval.

    Source:
        Newcombe (1998), Stat. Med. 17, 2635, method 10. Deviation: none.
    """
    n = first.size
    both, only_second = float((first * second).sum()), float(((1 - first) * second).sum())
    only_first = float((first * (1 - second)).sum())
    neither = n - both - only_first - only_second
    shares = np.array([first.mean(), second.mean()])
    low, high = wilson_interval(shares * n, np.full(2, n), level)
    down, up = shares - low, high - shares
    product = (both + only_first) * (only_second + neither)
    product *= (both + only_second) * (only_first + neither)
    over = both * neither - only_first * only_second
    over = max(over - n / 2.0, 0.0) if over > 0 else over
    phi = over / math.sqrt(product) if product > 0 else 0.0

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(one**2 - 2.0 * phi * one * other + other**2, 0.0))

    d = float(shares[1] - shares[0])
    return d, d - reach(float(down[1]), float(up[0])), d + reach(float(up[1]), float(down[0]))


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value of McNemar's test from the numbers of discordant pairs."""
    return float(mcnemar([[0, only_first], [only_second, 0]], exact=True).pvalue)


def holm(p_values: Array) -> Array:
    """p-values adjusted by Holm's method over the family that they are."""
    return np.asarray(multipletests(p_values, method="holm")[1], dtype=np.float64)
