"""What intervals of the boundary cover, measured on simulated studies, many at once.

`python -m tests.statistical.calibration` prints the table of docs/fits.md. A study is 12 weight
decays from 0.02 to 1, evenly spaced on the log axis, with 20 seeds each; the truth is a curve with
its midpoint at 0.12.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import chi2, f

from observatory.analysis.boundary.estimators.coverage import bootstrap_coverage
from observatory.analysis.boundary.estimators.least_squares import PUBLISHED_START, refit_boundary
from observatory.analysis.boundary.estimators.likelihood import (
    SEPARATED,
    box,
    firth_box,
    fit_many,
    penalised,
    rates,
)
from observatory.analysis.boundary.estimators.seed_effect import SMALLEST, seed_likelihood
from observatory.analysis.boundary.estimators.window import second_edge_p
from observatory.analysis.stats.ascent import best_of, climb
from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.links import LINKS, Link
from tests.statistical.stored import Calibration, Outcome

X = np.log10(np.geomspace(0.02, 1.0, 12))
X0 = np.log10(0.12)
N = np.full(12, 20.0)
LEVEL = 0.95
DROP = float(chi2.ppf(LEVEL, 1))


@dataclass(frozen=True)
class Covered:
    """How many of the studies that were answered have an interval that holds the truth."""

    n_answered: int
    n_covered: int
    n_refused: int

    @property
    def share(self) -> float:
        return self.n_covered / self.n_answered


def studies(
    rng: np.random.Generator, n_studies: int, slope: float, lapse: float, link: Link
) -> tuple[np.ndarray, np.ndarray]:
    """n and k of simulated studies in which at least two bins are partial, `[study, bin]`."""
    p = rates(X, np.array([[X0, np.log(slope), 0.0, lapse]]), link)[0][0]
    k = rng.binomial(N.astype(int), p, size=(20 * n_studies, X.size)).astype(float)
    k = k[((k > 0) & (k < N)).sum(axis=1) >= 2][:n_studies]
    return np.tile(N, (len(k), 1)), k


def held(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The box with the critical point held at the truth."""
    low, high = low.copy(), high.copy()
    low[0] = high[0] = X0
    return low, high


def profile(n: np.ndarray, k: np.ndarray, link: Link, lapse: float | None) -> Covered:
    """Profile likelihood: the truth lies inside where its deviance is below the quantile."""
    low, high = box(RateBins(X, N, N), 0.0, lapse)
    _, value, margin = fit_many(X, n, k, link, low, high)
    _, at_truth, _ = fit_many(X, n, k, link, *held(low, high))
    answered = margin >= SEPARATED
    inside = 2 * (value - at_truth) <= DROP
    return Covered(int(answered.sum()), int((inside & answered).sum()), int((~answered).sum()))


def firth(n: np.ndarray, k: np.ndarray) -> Covered:
    """The profile of the penalised likelihood; nothing is refused."""
    low, high = firth_box(X)
    evaluate = penalised(
        X, np.repeat(n, 3, axis=0), np.repeat(k, 3, axis=0), LINKS["logistic"], low < high
    )
    begin = np.tile([[X0, np.log(s), 0.0, 0.0] for s in (3.0, 10.0, 30.0)], (len(n), 1))
    _, top = best_of(*climb(evaluate, begin, low, high), 3)
    _, at_truth = best_of(*climb(evaluate, begin, *held(low, high)), 3)
    return Covered(len(n), int((2 * (top - at_truth) <= DROP).sum()), 0)


PUBLISHED = (
    np.log10([0.001, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.3, 0.5, 0.7, 1.0, 2.0]),
    np.array([10.0, 30, 10, 10, 10, 10, 30, 10, 10, 10, 10, 30, 10]),
    float(np.log10(0.0158)),
)
"""The dense cohort of arXiv:2605.20441: log10 weight decays, replicas of each, critical point."""


def least_squares(
    slope: float, n_studies: int, rng: np.random.Generator, design=(X, N, X0)
) -> Covered:
    """The published estimator and its percentile bootstrap."""
    x, n_each, x0 = design
    bins = RateBins(x, n_each, n_each)
    covered = bootstrap_coverage(
        bins,
        rates(x, np.array([[x0, np.log(slope), 0.0, 0.0]]), LINKS["logistic"])[0][0],
        {"critical": x0},
        lambda n, k: refit_boundary(
            bins, n, k, 0.0, np.array(PUBLISHED_START), np.array([x0, slope])
        )[:, :1],
        "percentile",
        n_studies,
        LEVEL,
        rng,
    )
    return Covered(n_studies, round(covered["critical"] * n_studies), 0)


def seed_deviances(
    rng: np.random.Generator, n_seeds: int, spread: float, slope: float
) -> dict[str, float] | None:
    """Deviance of the truth in a study in which every seed has its own critical point.

    Returns:
        With the seed effect and without it; None where the study is refused.
    """
    link, n_by = LINKS["logistic"], np.ones((n_seeds, X.size))
    own = X0 + spread * rng.normal(size=(n_seeds, 1))
    k_by = (rng.random(n_by.shape) < 1 / (1 + np.exp(-slope * (X - own)))).astype(float)
    n, k = n_by.sum(axis=0), k_by.sum(axis=0)
    low, high = box(RateBins(X, n, k), 0.0, 0.0)
    plain, value, margin = fit_many(X, n[None], k[None], link, low, high)
    if margin[0] < SEPARATED or ((k > 0) & (k < n)).sum() < 2:
        return None
    _, at_truth, _ = fit_many(X, n[None], k[None], link, *held(low, high))
    evaluate = seed_likelihood(X, n_by, k_by, link, 31)
    low, high = np.append(low, SMALLEST), np.append(high, np.ptp(X))
    width = np.exp(-plain[0, 1])
    begin = np.array([np.append(plain[0], width * share) for share in (0.1, 1.0, 3.0)])
    begin[1:, 1] += np.log([1.3, 2.0])
    theta, top = best_of(*climb(evaluate, begin, low, high, 1e-9), 3)
    again = np.concatenate([begin, theta])
    _, below = best_of(*climb(evaluate, again, *held(low, high), 1e-9), 4)
    return {
        "seed effect": float(2 * (top[0] - below[0])),
        "no seed effect": float(2 * (value[0] - at_truth[0])),
    }


def seed_limits(n_seeds: int) -> dict[str, float]:
    """The deviance up to which the truth counts as covered, with the effect and without."""
    return {"seed effect": f.ppf(LEVEL, 1, n_seeds - 1), "no seed effect": DROP}


def with_seed_effect(
    rng: np.random.Generator, n_studies: int, n_seeds: int, spread: float, slope: float
) -> dict[str, Covered]:
    """Many studies in which every seed has its own critical point."""
    found = [seed_deviances(rng, n_seeds, spread, slope) for _ in range(n_studies)]
    answered = [each for each in found if each is not None]
    return {
        name: Covered(
            len(answered),
            sum(each[name] <= limit for each in answered),
            n_studies - len(answered),
        )
        for name, limit in seed_limits(n_seeds).items()
    }


def stored_seeds(spread: float, number: int) -> Outcome:
    """A study of 20 seeds at slope 13.7; no number where it is refused."""
    rng = np.random.default_rng([113, round(100 * spread), number])
    return dict(seed_deviances(rng, 20, spread, 13.7) or {})


def stored_edge(flat: bool, number: int) -> Outcome:
    """The p-value of a second edge where there is one edge, or none."""
    rng = np.random.default_rng([118, int(flat), number])
    p = np.full(X.size, 0.5) if flat else 1 / (1 + np.exp(-8.0 * (X - X0)))
    bins = RateBins(X, N, rng.binomial(20, p).astype(float))
    return {"p": second_edge_p(bins, LINKS["logistic"], 0.0, 99, rng)}


SOURCES = ("boundary/estimators", "stats")
STORED = (
    Calibration("seeds_alike", 500, partial(stored_seeds, 0.0), SOURCES),
    Calibration("seeds_apart", 500, partial(stored_seeds, 0.25), SOURCES),
    Calibration("edge_none", 200, partial(stored_edge, True), SOURCES),
    Calibration("edge_one", 200, partial(stored_edge, False), SOURCES),
)

SLOPES = (3.0, 8.0, 13.7, 40.0)


def table(n_studies: int, seed: int) -> dict[str, dict[float, Covered]]:
    """Every estimator against every slope; the truth is logistic unless the name says otherwise."""
    logistic, probit, cloglog = LINKS["logistic"], LINKS["probit"], LINKS["cloglog"]

    def on(truth: Link, lapse: float, fit: Callable[..., Covered], *given: object):
        def made(slope: float, rng: np.random.Generator) -> Covered:
            n, k = studies(rng, n_studies, slope, lapse, truth)
            return fit(n, k, *given) if len(k) else Covered(0, 0, 0)

        return made

    rows: dict[str, Callable[[float, np.random.Generator], Covered]] = {
        "profile, no lapses": on(logistic, 0.0, profile, logistic, 0.0),
        "profile, lapses fitted, truth with 4%": on(logistic, 0.04, profile, logistic, None),
        "profile, probit, truth probit": on(probit, 0.0, profile, probit, 0.0),
        "profile, cloglog, truth cloglog": on(cloglog, 0.0, profile, cloglog, 0.0),
        "Firth": on(logistic, 0.0, firth),
        "mis-specified: no lapses, truth with 10%": on(logistic, 0.1, profile, logistic, 0.0),
        "mis-specified: logistic, truth cloglog": on(cloglog, 0.0, profile, logistic, 0.0),
        "published least squares, percentile": lambda slope, rng: least_squares(
            slope, n_studies, rng
        ),
        "the same, weight decays and replicas of the published cohort": lambda slope, rng: (
            least_squares(slope, n_studies, rng, PUBLISHED)
        ),
    }
    return {
        name: {slope: row(slope, np.random.default_rng(seed)) for slope in SLOPES}
        for name, row in rows.items()
    }


def main() -> None:
    """Print both tables as Markdown."""
    print("| estimator |" + "".join(f" slope {slope:g} |" for slope in SLOPES))
    print("|---|" + "---|" * len(SLOPES))
    for name, row in table(500, 100).items():
        cells = [
            f"{c.share:.3f} of {c.n_answered}" + (f", {c.n_refused} refused" if c.n_refused else "")
            if c.n_answered
            else "–"
            for c in row.values()
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    print("\n| seeds | spread, decades | with the effect | without |\n|---|---|---|---|")
    for n_seeds in (8, 20, 30):
        for spread in (0.0, 0.1, 0.25):
            found = with_seed_effect(np.random.default_rng(101), 500, n_seeds, spread, 13.7)
            both = " | ".join(f"{c.share:.3f}" for c in found.values())
            print(f"| {n_seeds} | {spread:g} | {both} |", flush=True)


if __name__ == "__main__":
    main()
