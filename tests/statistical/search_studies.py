"""What a boundary search reaches with how many replicas, beside a dense grid and what is possible.

python -m tests.statistical.search_studies 500        every row of the table
python -m tests.statistical.search_studies 500 3 4    these rows
"""

import sys
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from observatory.analysis.stats.links import link_named
from observatory.sweeps.grid_posterior import GridPosterior, Prior
from tests.made_searches import choose_batch

TRUTH = np.log10(0.0158)
PRIOR = Prior(10.0**-3.3, 10.0**-0.3)
GRID = np.geomspace(PRIOR.low, PRIOR.high, 21)
PER_VALUE, BATCH = 10, 10
CASES = (
    (13.7, 0.02, 60, "logistic"),
    (13.7, 0.10, 60, "logistic"),
    (40.0, 0.02, 60, "logistic"),
    (40.0, 0.10, 60, "logistic"),
    (3.0, 0.02, 60, "logistic"),
    (3.0, 0.10, 60, "logistic"),
    (3.0, 0.02, 210, "logistic"),
    (13.7, 0.02, 60, "cloglog"),
)
"""Slope, lapse, replicas of the search, true curve; one row more draws each from the prior."""


@dataclass(frozen=True)
class Curve:
    """A true rate: the link's F of slope (x - truth), its median there, with lapses."""

    slope: float
    lapse: float
    link: str = "logistic"
    truth: float = TRUTH

    def rate(self, control: np.ndarray) -> np.ndarray:
        """P(grok)."""
        z = self.slope * (np.log10(control) - self.truth)
        return (1.0 - self.lapse) * link_named(self.link).rise(z)


def grid_error(curve: Curve, rng: np.random.Generator) -> tuple[float, bool]:
    """Error of the dense grid, in decades, and whether its interval covers the truth."""
    posterior = GridPosterior(PRIOR)
    grokked = rng.binomial(PER_VALUE, curve.rate(GRID)).astype(float)
    posterior.observe(GRID, np.full(GRID.size, float(PER_VALUE)), grokked)
    return judged(posterior, curve.truth)


def search_error(curve: Curve, n: int, rng: np.random.Generator) -> tuple[float, bool]:
    """The same of a search of n replicas in batches."""
    posterior = GridPosterior(PRIOR)
    for _ in range(n // BATCH):
        batch = choose_batch(posterior, BATCH, rng)
        grokked = (rng.random(BATCH) < curve.rate(batch)).astype(float)
        posterior.observe(batch, np.ones(BATCH), grokked)
    return judged(posterior, curve.truth)


def judged(posterior: GridPosterior, truth: float) -> tuple[float, bool]:
    """Error of the median, and whether the 95 % interval holds the truth."""
    middle, low, high = posterior.interval(0.95)
    return float(middle - truth), bool(low <= truth <= high)


def best_possible(curve: Curve, n: int) -> float:
    """Fisher's bound of the critical value's error with n replicas at the best design for it.

    Slope and lapse are unknown too. Weights of the design by the multiplicative algorithm.
    """
    x = np.linspace(TRUTH - 1.5, TRUTH + 1.5, 601)
    step = 1e-5
    p = curve.rate(10.0**x)

    def gradient(made: Curve, shift: float) -> np.ndarray:
        return made.rate(10.0 ** (x - shift))

    columns = [
        (gradient(curve, step) - gradient(curve, -step)) / (2 * step),
        (
            Curve(curve.slope + step, curve.lapse).rate(10.0**x)
            - Curve(curve.slope - step, curve.lapse).rate(10.0**x)
        )
        / (2 * step),
        -p / (1.0 - curve.lapse),
    ]
    f = np.stack(columns, axis=1) / np.sqrt(np.maximum(p * (1.0 - p), 1e-12))[:, None]
    weight = np.full(x.size, 1.0 / x.size)
    for _ in range(20_000):
        inverse = np.linalg.inv((f * weight[:, None]).T @ f)
        gain = (f @ inverse[0]) ** 2
        weight *= np.sqrt(gain / inverse[0, 0])
        weight /= weight.sum()
    return float(np.sqrt(np.linalg.inv((f * weight[:, None]).T @ f)[0, 0] / n))


def rms(errors: list[float]) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(errors))))


def drawn(rng: np.random.Generator) -> Curve:
    """A curve from the prior of the posterior."""
    slope = np.exp(rng.uniform(*np.log(PRIOR.slopes)))
    truth = rng.uniform(np.log10(PRIOR.low), np.log10(PRIOR.high))
    return Curve(float(slope), float(rng.choice(PRIOR.lapses)), truth=float(truth))


def row(repeats: int, curve: Curve | None, n: int) -> str:
    """A row of the table; curve None: one per repeat, from the prior."""
    curves = [curve or drawn(np.random.default_rng([0, i])) for i in range(repeats)]
    grid = [grid_error(c, np.random.default_rng([1, i])) for i, c in enumerate(curves)]
    found = [search_error(c, n, np.random.default_rng([2, i])) for i, c in enumerate(curves)]
    named = (
        f"{curve.slope:g} | {curve.lapse:g} | {curve.link}" if curve else "drawn | drawn | drawn"
    )
    bound = f"{best_possible(Curve(curve.slope, curve.lapse), n):.4f}" if curve else ""
    covers = [np.mean([covered for _, covered in each]) for each in (grid, found)]
    return (
        f"| {named} | {rms([e for e, _ in grid]):.4f} | {covers[0]:.3f} "
        f"| {n} | {rms([e for e, _ in found]):.4f} | {covers[1]:.3f} | {bound} |"
    )


def main(repeats: int, rows: list[int]) -> None:
    """Print the table, a row per case."""
    low, high = binom.ppf([0.0005, 0.9995], repeats, 0.95) / repeats
    print(f"95 % intervals: 99.9 % of tables have a coverage from {low:.3f} to {high:.3f}")
    print("| slope | lapse | curve | grid RMSE | covers | N | search RMSE | covers | bound |")
    print("|---|---|---|---|---|---|---|---|---|")
    cases = [(Curve(slope, lapse, link), n) for slope, lapse, n, link in CASES]
    for number, (curve, n) in enumerate([*cases, (None, 60)]):
        if not rows or number in rows:
            print(row(repeats, curve, n), flush=True)


if __name__ == "__main__":
    repeats, *rows = (int(word) for word in sys.argv[1:])
    main(repeats, rows)
