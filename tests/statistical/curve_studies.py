"""What a search of a boundary curve reaches with how many replicas, beside a dense grid.

python -m tests.statistical.curve_studies 100       repeats 0 to 99; a line every ten
python -m tests.statistical.curve_studies 100 100   repeats 100 to 199
"""

import sys

import numpy as np

from observatory.sweeps.curve import CurveDraws, CurveParticles, CurvePrior
from observatory.sweeps.grid_posterior import Prior
from observatory.sweeps.targets import CONTROLS_OF_CURVE

VALUES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
TRUTH = -1.5 + 0.5 * ((0.5 / np.array(VALUES)) ** 2 - 1.0)
"""log10 of the critical weight decay at each train fraction: 0.24 to 0.014."""
SLOPE, LAPSE = 13.7, 0.02
ALONG = Prior(10.0**-3.3, 10.0**-0.3, n_controls=CONTROLS_OF_CURVE)
PRIOR = CurvePrior(ALONG, VALUES)
GRID, PER_CELL = np.geomspace(ALONG.low, ALONG.high, 21), 10
N, BATCH = 240, 10


def rate(control: np.ndarray, place: np.ndarray) -> np.ndarray:
    """P(grok)."""
    return (1.0 - LAPSE) / (1.0 + np.exp(-SLOPE * (np.log10(control) - TRUTH[place])))


def dense(rng: np.random.Generator) -> CurveParticles:
    """What all weight decays at all train fractions say: 1470 replicas."""
    posterior = CurveParticles(PRIOR, rng)
    control, place = (each.ravel() for each in np.meshgrid(GRID, np.arange(len(VALUES))))
    grokked = rng.binomial(PER_CELL, rate(control, place)).astype(float)
    n = np.full(control.size, float(PER_CELL))
    posterior.observe(control, np.array(VALUES)[place], n, grokked)
    return posterior


def searched(rng: np.random.Generator) -> CurveParticles:
    """What the replicas of a search say; each batch has one train fraction."""
    posterior = CurveParticles(PRIOR, rng)

    def allowed(control: np.ndarray, place: int) -> np.ndarray:
        return np.ones(control.size, dtype=bool)

    for _ in range(N // BATCH):
        draws = CurveDraws(posterior, 16, rng)
        place = draws.place(BATCH, np.ones_like, allowed)
        control = np.empty(BATCH)
        for i in range(BATCH):
            control[i] = draws.next(place, np.ones_like, allowed)
            draws.run(control[i], place)
        grokked = rng.random(BATCH) < rate(control, np.full(BATCH, place))
        second = np.full(BATCH, VALUES[place])
        posterior.observe(control, second, np.ones(BATCH), grokked.astype(float))
    return posterior


def main(repeats: int, first: int = 0) -> None:
    """Print root mean squares over repeats and values, and shares of intervals that cover."""
    ways = {"grid": (dense, len(VALUES) * GRID.size * PER_CELL), "search": (searched, N)}
    squares: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    covers: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for repeat in range(repeats):
        for number, (name, (way, _)) in enumerate(ways.items()):
            posterior = way(np.random.default_rng([number, first + repeat]))
            middle, low, high = posterior.intervals(0.95)
            squares[name].append(np.square(middle - TRUTH))
            covers[name].append((low <= TRUTH) & (high >= TRUTH))
        if (repeat + 1) % 10 == 0 or repeat + 1 == repeats:
            for name, (_, n) in ways.items():
                error = np.sqrt(np.mean(squares[name]))
                each = np.sqrt(np.mean(squares[name], axis=0)).round(3)
                cover = np.mean(covers[name])
                print(f"{repeat + 1} {name} N = {n}: {error:.4f} {each}, covers {cover:.3f}")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
