"""What the printed intervals of a boundary and a ratio cover, by the number of seeds.

`python -m tests.statistical.interval_coverage 200` prints a table of docs/fits.md, from so many
studies per cell: 12 weight decays from 0.02 to 1, evenly spaced on the log axis, the truth a
logistic of slope 8 per decade with its midpoint at 0.12. Studies that a fit refuses are counted
apart.
"""

import sys
from collections.abc import Callable

import numpy as np

from observatory.analysis.boundary.estimators.coverage import percentile_coverage
from observatory.analysis.boundary.estimators.least_squares import PUBLISHED_START, refit_boundary
from observatory.analysis.boundary.estimators.ratio import penalised_profile
from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.links import LINKS
from tests.statistical.calibration import DROP, LEVEL, X0, Covered, X, firth, profile

SEEDS = (5, 8, 10, 30)
SLOPE = 8.0
P = 1.0 / (1.0 + np.exp(-SLOPE * (X - X0)))


def counts(n_studies: int, n_seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """n and k, `[study, bin]`; the same studies for every interval."""
    k = np.random.default_rng([130, n_seeds]).binomial(n_seeds, P, size=(n_studies, X.size))
    return np.full(k.shape, float(n_seeds)), k.astype(float)


def least_squares(n: np.ndarray, smoothing: float) -> Covered:
    """The percentile bootstrap of the published fit, replicas drawn."""
    bins, start = RateBins(X, n[0], n[0]), np.array(PUBLISHED_START)

    def refit(n_drawn: np.ndarray, k: np.ndarray) -> np.ndarray:
        point = np.array([X0, SLOPE])
        return refit_boundary(bins, n_drawn, k, smoothing, start, point)[:, 0]

    rng = np.random.default_rng(131)
    share = percentile_coverage(n[0], P, X0, refit, len(n), LEVEL, rng)
    return Covered(len(n), round(share * len(n)), 0)


def ratio(n: np.ndarray, k: np.ndarray) -> Covered:
    """The interval of the ratio of two like groups, by the sum of their profiles."""
    grid = X0 + np.linspace(-0.4, 0.4, 41)
    made = np.array([penalised_profile(RateBins(X, *at), grid) for at in zip(n, k, strict=True)])
    together = (made[::2] + made[1::2]).min(axis=1)
    return Covered(len(together), int((together <= DROP).sum()), 0)


Cover = Callable[[np.ndarray, np.ndarray], Covered]
ROWS: dict[str, tuple[Cover, int]] = {
    "profile, no lapses": (lambda n, k: profile(n, k, LINKS["logistic"], 0.0), 1),
    "profile, lapses fitted": (lambda n, k: profile(n, k, LINKS["logistic"], None), 1),
    "Firth": (firth, 1),
    "published least squares, percentile bootstrap": (lambda n, k: least_squares(n, 0.0), 1),
    "the same on smoothed rates": (lambda n, k: least_squares(n, 0.5), 1),
    "ratio, sum of the profiles": (ratio, 2),
}
"""By name: how to cover, and how many groups a study has."""


def main(n_studies: int) -> None:
    """Print the table as Markdown."""
    print("| interval |" + "".join(f" {n} seeds |" for n in SEEDS))
    print("|---|" + "---|" * len(SEEDS))
    for name, (cover, groups) in ROWS.items():
        found = [cover(*counts(groups * n_studies, n_seeds)) for n_seeds in SEEDS]
        cells = (f"{c.share:.3f}" + f", {c.n_refused} refused" * bool(c.n_refused) for c in found)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
