"""What the intervals of paired comparisons, rates, forecasts, variances and sizes cover, by seeds.

Rows of `tests.statistical.interval_coverage`; a study of n seeds has n pairs, replicas, or seeds in
every cell.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
import pandas as pd

import observatory as ob
from observatory.analysis.forecast.estimators.lead_time import LeadTimes
from observatory.analysis.forecast.estimators.scores import share_interval
from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.paired_tests import (
    cohen_between,
    cohen_paired,
    cohen_unpaired,
    rate_difference,
)
from observatory.analysis.stats.solvers import student_quantile
from observatory.analysis.stats.wilson import wilson_interval
from observatory.core.errors import FitRefusedError
from tests.made_sizes import CRITICAL, QUICK, chain, scaled
from tests.statistical.chain_studies import TRUTH

LEVEL = 0.95
EFFECT, OF_SEED, OF_RUN = 0.5, 1.0, 0.5
"""Of the second arm; standard deviations of what a pair shares, and of what it does not."""
VARIANCES = {"seed": 1.0, "split": 0.49, "seed x split": 0.25, "numeric": 0.25}
SPLITS, REPEATS = 4, 2
ONSET_SLOPE = 0.8
"""Of ln onset on ln event."""
EVENTS = 7
"""Of each seed, whose forecasts are right or wrong."""
Held = dict[str, np.ndarray]


def gathered(rows: Iterable[Mapping[str, bool]]) -> Held:
    """By interval, whether it holds the truth, `[study]`; of studies that have it."""
    found: dict[str, list[bool]] = {}
    for row in rows:
        for name, held in row.items():
            found.setdefault(name, []).append(bool(held))
    return {name: np.array(held) for name, held in found.items()}


def means(n_studies: int, n_seeds: int) -> Held:
    """Of a difference of paired means, and its effect sizes."""
    rng = np.random.default_rng([150, n_seeds])
    apart = np.hypot(OF_SEED, OF_RUN)
    true = {
        "d_z": EFFECT / (np.sqrt(2) * OF_RUN),
        "d": EFFECT / apart,
        "d_unpaired": EFFECT / apart,
    }

    def study() -> dict[str, bool]:
        shared = rng.normal(0.0, OF_SEED, n_seeds)
        one, other = shared + rng.normal(0.0, OF_RUN, (2, n_seeds))
        other += EFFECT
        gaps = other - one
        reach = student_quantile(0.5 + 0.5 * LEVEL, n_seeds - 1) * gaps.std(ddof=1)
        held = {"difference": abs(gaps.mean() - EFFECT) <= reach / np.sqrt(n_seeds)}
        found = {
            "d_z": cohen_paired(gaps, LEVEL),
            "d": cohen_between(one, other, LEVEL),
            "d_unpaired": cohen_unpaired(one, other, LEVEL),
        }
        return held | {k: low <= true[k] <= high for k, (_, low, high) in found.items()}

    return gathered(study() for _ in range(n_studies))


def rates(first: float, second: float, n_studies: int, n_seeds: int) -> Held:
    """Of two rates of the same seeds, three fifths of which have one chance in both arms."""
    rng = np.random.default_rng([151, n_seeds])

    def study() -> dict[str, bool]:
        u, v = rng.random((2, n_seeds))
        v = np.where(rng.random(n_seeds) < 0.6, u, v)
        one, other = (u < first).astype(float), (v < second).astype(float)
        low, high = wilson_interval([one.sum(), other.sum()], [n_seeds] * 2, LEVEL)
        _, below, above = rate_difference(one, other, LEVEL)
        return {
            f"rate, where it is {first:g}": low[0] <= first <= high[0],
            f"rate, where it is {second:g}": low[1] <= second <= high[1],
            "difference": below <= second - first <= above,
        }

    return gathered(study() for _ in range(n_studies))


def shares(share: float, alike: float, n_studies: int, n_seeds: int) -> Held:
    """Of a share of events, those of a seed alike by `alike`."""
    rng = np.random.default_rng([152, n_seeds])
    scale = (1.0 - alike) / alike if alike else np.inf
    sizes = np.full(n_seeds, float(EVENTS))

    def study() -> dict[str, bool]:
        p = rng.beta(share * scale, (1.0 - share) * scale, n_seeds) if alike else share
        hits = rng.binomial(EVENTS, p, n_seeds).astype(float)
        low, high = share_interval(hits, sizes, LEVEL)
        return {"share": low <= share <= high}

    return gathered(study() for _ in range(n_studies))


def variances(n_studies: int, n_seeds: int) -> Held:
    """Of variance components: seeds and splits that cross, every cell repeated."""
    rng = np.random.default_rng([153, n_seeds])
    seed, split = (each.ravel() for each in np.indices((n_seeds, SPLITS)).repeat(REPEATS, axis=2))
    true = {f"variance[{name}]": value for name, value in VARIANCES.items()}
    whole = sum(VARIANCES.values())
    true |= {f"share[{name}]": value / whole for name, value in VARIANCES.items()}
    true["icc"] = 1.0 - VARIANCES["numeric"] / whole

    def study() -> dict[str, bool]:
        sizes = {"seed": n_seeds, "split": SPLITS, "seed x split": n_seeds * SPLITS}
        own = {k: rng.normal(0.0, np.sqrt(VARIANCES[k]), n) for k, n in sizes.items()}
        value = own["seed"][seed] + own["split"][split] + own["seed x split"][seed * SPLITS + split]
        value += rng.normal(0.0, np.sqrt(VARIANCES["numeric"]), value.size)
        table = pd.DataFrame({"seed": seed, "split": split, "value": value})
        found = ob.fits.variance(table, value="value", group=["seed", "split"]).record["params"]
        return {
            name: (found[name]["ci_low"] or 0.0) <= at <= (found[name]["ci_high"] or np.inf)
            for name, at in true.items()
        }

    return gathered(study() for _ in range(n_studies))


def leads(n_studies: int, n_seeds: int) -> Held:
    """Of the slope of ln onset on ln event, one pair of a seed."""
    rng = np.random.default_rng([161, n_seeds])
    fit = LeadTimes(lead_floor=0.01, n_permutations=19, level=LEVEL)

    def study(number: int) -> dict[str, bool]:
        event = np.exp(rng.uniform(7.0, 9.0, n_seeds))
        onset = 2.0 * event**ONSET_SLOPE * np.exp(rng.normal(0.0, 0.3, n_seeds))
        found = fit.estimate(np.minimum(onset, 0.99 * event), event, "made", number).params
        return {"onset_slope": _holds(found["onset_slope"], ONSET_SLOPE)}

    return gathered(study(number) for number in range(n_studies))


def sizes(n_studies: int, n_seeds: int) -> Held:
    """Of the finite-size chain, a transition planted in five sizes at 15 values of the control."""
    fit = chain(**{**QUICK, "n_null": 19, "n_bootstrap": 100})
    true = {**TRUTH, "nu": 1.0 / TRUTH["inverse_nu"], "sharpening": TRUTH["inverse_nu"]}
    true["zeta"] = TRUTH["zeta_over_nu"] / TRUTH["inverse_nu"]
    # a cumulant does not see L^b, so all sizes cross where u is 0; variances have L^(2 b)
    true |= {"gamma_over_nu": 2.0 * TRUTH["zeta_over_nu"], "crossing_raw": CRITICAL}
    true |= {"drift_raw": 0.0}

    def study(number: int) -> dict[str, bool]:
        rows = scaled(
            np.random.default_rng([160, n_seeds, number]),
            inverse_nu=TRUTH["inverse_nu"],
            zeta_over_nu=TRUTH["zeta_over_nu"],
            n_control=15,
            n_seeds=n_seeds,
        )
        try:
            found = fit.whole(rows, number).params
        except FitRefusedError:
            return {}
        return {name: _holds(found[name], at) for name, at in true.items() if name in found}

    return gathered(study(number) for number in range(n_studies))


def _holds(at: Parameter, true: float) -> bool:
    low = -np.inf if at.ci_low is None else at.ci_low
    return low <= true <= (np.inf if at.ci_high is None else at.ci_high)


ROWS: dict[str, Callable[[int, int], Held]] = {
    "paired means": means,
    "paired rates, 0.4 and 0.7": partial(rates, 0.4, 0.7),
    "paired rates, 0.1 and 0.5": partial(rates, 0.1, 0.5),
    **{
        f"share of events, {share:g}, {words}": partial(shares, share, alike)
        for share in (0.2, 0.9)
        for words, alike in (("replicas independent", 0.0), ("alike within a seed by 0.3", 0.3))
    },
    "variance components": variances,
    "lead times": leads,
    "finite-size scaling": sizes,
}
"""By name: from the numbers of studies and of seeds to what their intervals hold."""
