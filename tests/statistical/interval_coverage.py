"""What every printed interval of a boundary covers, by the number of seeds per weight decay.

`python -m tests.statistical.interval_coverage 200` prints the table of docs/fits.md, from so many
studies per cell: 12 weight decays from 0.02 to 1, evenly spaced on the log axis, the truth a
logistic of slope 8 per decade with its midpoint at 0.12. Studies that the fit refuses are counted
apart. Whole seeds are drawn where an interval draws seeds.
"""

import sys
from collections.abc import Callable

import numpy as np

from observatory.analysis.boundary.estimators.least_squares import BoundaryLsq
from observatory.analysis.boundary.estimators.likelihood import firth_points
from observatory.analysis.boundary.estimators.maximum_likelihood import BoundaryMle
from observatory.analysis.boundary.estimators.ratio import penalised_profile
from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.links import LINKS
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.resample import percentile_interval
from observatory.core.errors import FitRefusedError
from tests.statistical.calibration import (
    DROP,
    LEVEL,
    X0,
    Covered,
    X,
    firth,
    profile,
    with_seed_effect,
)

SEEDS = (5, 8, 10, 30)
SLOPE = 8.0


def grokked(rng: np.random.Generator, n_studies: int, n_seeds: int) -> np.ndarray:
    """Outcomes of replicas, `[study, seed, bin]`."""
    p = 1.0 / (1.0 + np.exp(-SLOPE * (X - X0)))
    return rng.random((n_studies, n_seeds, X.size)) < p


def counts(runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """n and k, `[study, bin]`."""
    k = runs.sum(axis=1).astype(float)
    return np.full(k.shape, float(runs.shape[1])), k


def table(runs: np.ndarray) -> Observations:
    """One study as its fits take it."""
    n_seeds, n_bins = runs.shape
    seeds, none = np.repeat(np.arange(n_seeds), n_bins), np.full(runs.size, np.nan)
    decays = np.tile(10.0**X, n_seeds)
    return Observations(decays, runs.ravel(), none, "first99", 2500, None, seed=seeds)


def by_fit(fit: BoundaryMle | BoundaryLsq, runs: np.ndarray) -> Covered:
    """Any estimator, one study after another."""
    covered = refused = 0
    for number, study in enumerate(runs):
        try:
            found = fit.fit(table(study), number).params["critical"]
        except FitRefusedError:
            refused += 1
            continue
        low, high = (found.ci_low or 0.0), np.inf if found.ci_high is None else found.ci_high
        covered += low <= 10.0**X0 <= high
    return Covered(len(runs) - refused, covered, refused)


def ratio(runs: np.ndarray) -> Covered:
    """The interval of the ratio of two like groups, by the sum of their profiles."""
    grid = X0 + np.linspace(-0.4, 0.4, 41)
    n, k = counts(runs)
    made = np.array(
        [penalised_profile(RateBins(X, *each), grid) for each in zip(n, k, strict=True)]
    )
    together = (made[::2] + made[1::2]).min(axis=1)
    return Covered(len(together), int((together <= DROP).sum()), 0)


def ratio_bootstrap(runs: np.ndarray) -> Covered:
    """The percentile interval beside it, seeds drawn whole."""
    rng, covered = np.random.default_rng(0), 0
    for a, b in zip(runs[::2], runs[1::2], strict=True):
        share = np.full(len(a), 1.0 / len(a))
        drawn = [rng.multinomial(len(a), share, size=199) @ each for each in (a, b)]
        n = np.full((199, X.size), float(len(a)))
        points = [firth_points(X, n, k.astype(float))[:, 0] for k in drawn]
        made = points[0] - points[1]
        low, high = percentile_interval(made[np.isfinite(made)], LEVEL)
        covered += low <= 0.0 <= high
    return Covered(len(runs) // 2, covered, 0)


def mle(interval: str) -> BoundaryMle:
    return BoundaryMle(
        link="logistic", edge="lower", window_max=1.0, guess=0.0, lapse=0.0, interval=interval,
        n_bootstrap=199, n_simulations=0, n_studies=1, level=LEVEL,
    )  # fmt: skip


def least_squares(interval: str) -> BoundaryLsq:
    return BoundaryLsq(1.0, 0.5, interval, 199, 1, LEVEL)


ROWS: dict[str, tuple[Callable[[np.ndarray], Covered], int]] = {
    "profile, no lapses": (lambda r: profile(*counts(r), LINKS["logistic"], 0.0), 1),
    "profile, lapses fitted": (lambda r: profile(*counts(r), LINKS["logistic"], None), 1),
    "Firth": (lambda r: firth(*counts(r)), 1),
    "likelihood, percentile bootstrap": (lambda r: by_fit(mle("percentile"), r), 1),
    "likelihood, BCa": (lambda r: by_fit(mle("bca"), r), 1),
    "least squares of smoothed rates, percentile": (
        lambda r: by_fit(least_squares("percentile"), r), 1,
    ),
    "the same, BCa": (lambda r: by_fit(least_squares("bca"), r), 1),
    "ratio, sum of the profiles": (ratio, 2),
    "ratio, percentile bootstrap": (ratio_bootstrap, 2),
}  # fmt: skip


def main(n_studies: int) -> None:
    """Print the table as Markdown."""
    print("| interval |" + "".join(f" {n} seeds |" for n in SEEDS))
    print("|---|" + "---|" * len(SEEDS))
    for name, (cover, groups) in ROWS.items():
        cells = list[str]()
        for n_seeds in SEEDS:
            rng = np.random.default_rng([130, n_seeds])
            found = cover(grokked(rng, groups * n_studies, n_seeds))
            refused = f", {found.n_refused} refused" if found.n_refused else ""
            cells.append(f"{found.share:.3f}{refused}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    cells = list[str]()
    for n_seeds in SEEDS:
        found = with_seed_effect(np.random.default_rng(131), n_studies // 2, n_seeds, 0.1, SLOPE)
        cells.append(f"{found['seed effect'].share:.3f}")
    print(f"| seed effect, spread 0.1 decades, half as many studies | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]))
