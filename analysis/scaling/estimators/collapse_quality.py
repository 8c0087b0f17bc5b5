r"""Data collapse $m = L^{b} F((x - x_c) L^{a})$, with the quality S of Houdayer and Hartmann.

a = 1 / nu, b = zeta / nu. Sizes are divided by their geometric mean: that changes F, not a or b.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from observatory.analysis.scaling.estimators.sample import Array, Index, Sample

# points `[point, number]` and the problem that each belongs to `[point]`, to values `[point]`
_Objective = Callable[[Array, Index], Array]

LARGEST_INVERSE = 20.0
"""Largest 1 / nu that is looked at, of either sign."""
NUMBERS = ("critical", "inverse_nu", "zeta_over_nu")
# laws of a width with a limit: what stays of the largest size's, exponents with which the rest goes
_LEFT, _DECAYS = np.array([0.5, 0.7, 0.9]), np.geomspace(0.25, 4.0, 9)
_CHUNK = 30_000


@dataclass(frozen=True)
class Collapse:
    """Mean curves of several sizes, in one or more draws, to be put onto one.

    Where a smaller share of the cells than `min_overlap` lies within another size's range, S is
    infinite.
    """

    sample: Sample
    mean: Array  # of the order parameter, `[draw, cell]`
    se: Array  # of the mean, positive, `[draw, cell]`
    min_overlap: float
    zeta: float | None  # b held at this times a; None: b is fitted
    n_steps: int  # most steps of a search
    laws: Array | None = None  # ln of what stretches each size, `[draw, size]`; None: a ln size

    @cached_property
    def log_size(self) -> Array:
        """Ln of size over the geometric mean of sizes, `[size]`."""
        found = np.log(self.sample.sizes)
        return found - found.mean()

    @cached_property
    def _cells(self) -> list[Index]:
        return [self.sample.cells_of(size) for size in range(self.sample.sizes.size)]

    @property
    def n_free(self) -> int:
        """How many numbers are fitted."""
        return 3 if self.zeta is None else 2

    def whole(self, free: Array) -> Array:
        """All three numbers, from those that are fitted, `[point, 3]`."""
        return free if self.zeta is None else np.column_stack([free, self.zeta * free[:, 1]])

    def quality(self, numbers: Array, draw: Index) -> Array:
        """S at each `(critical, inverse_nu, zeta_over_nu)`, `[point, 3]`, of the draw it is for.

        Returns:
            Mean square distance of cells from the curve of the other sizes, in its variance,
            `[point]`: about 1 for a collapse within the errors.

        Source:
            Houdayer & Hartmann (2004), Phys. Rev. B 70, 014418, appendix. Deviation: infinite
            where too few cells overlap, or the critical point is outside the control.
        """
        step = max(1, _CHUNK // (self.sample.control.size * self.sample.sizes.size))
        parts = [
            self._quality(numbers[at : at + step], draw[at : at + step])
            for at in range(0, max(len(numbers), 1), step)
        ]
        return np.concatenate(parts)

    def _quality(self, numbers: Array, draw: Index) -> Array:
        sample = self.sample
        critical, a, b = (numbers[:, k : k + 1] for k in range(3))
        a = np.clip(a, -LARGEST_INVERSE, LARGEST_INVERSE)
        log_stretch = a * self.log_size if self.laws is None else self.laws[draw]
        stretch = np.exp(np.clip(log_stretch, -300.0, 300.0))  # [point, size]
        shrink = np.exp(np.clip(-b * self.log_size, -300.0, 300.0))[:, sample.of_size]
        y, dy = self.mean[draw] * shrink, self.se[draw] * shrink
        x = (sample.control - critical) * stretch[:, sample.of_size]
        k0, kx, kxx, ky, kxy = (np.zeros(x.shape) for _ in range(5))
        precision = 1.0 / dy**2
        first = np.arange(len(x))[:, None] * x.shape[1]  # of each point's cells, if all were flat
        for size, cells in enumerate(self._cells):
            # x of every cell as a control of this size, whose cells are sorted in that
            query = critical + x / stretch[:, size : size + 1]
            right: Index = np.searchsorted(sample.control[cells], query)
            inside = (right > 0) & (right < cells.size) & (sample.of_size != size)
            right = first + cells[np.clip(right, 1, cells.size - 1)]
            for neighbour in (right - 1, right):
                weight = inside * precision.take(neighbour)
                away = x.take(neighbour) - x
                height = y.take(neighbour)
                torque = weight * away
                k0 += weight
                kx += torque
                kxx += weight * away**2
                ky += weight * height
                kxy += torque * height
        spread = k0 * kxx - kx**2
        used = spread > 1e-12 * k0 * kxx
        spread = np.where(used, spread, 1.0)
        line = (kxx * ky - kx * kxy) / spread  # at the cell itself, since x is measured from it
        variance = kxx / spread
        square = np.where(used, (y - line) ** 2 / (dy**2 + variance), 0.0)
        count = used.sum(axis=1)
        low, high = sample.control.min(), sample.control.max()
        enough = (count >= self.min_overlap * x.shape[1]) & (critical >= low)[:, 0]
        enough &= (critical <= high)[:, 0]
        return np.where(enough, square.sum(axis=1) / np.maximum(count, 1), np.inf)

    def without_size(self) -> Array:
        """Least S of each draw where size does not stretch the control, 1 / nu = 0, `[draw]`."""
        n, ratios = len(self.mean), np.linspace(-1.0, 1.0, 41) if self.zeta is None else np.zeros(1)
        middle = float(np.median(self.sample.control))
        points = np.column_stack([np.full(ratios.size, middle), 0.0 * ratios, ratios])
        draw = np.repeat(np.arange(n), ratios.size)
        return self.quality(np.tile(points, (n, 1)), draw).reshape(n, -1).min(axis=1)

    def with_a_limit(self, best: Array) -> float:
        """Least S of the first draw where the width tends to a limit that is in sight.

        The control is stretched by 1 / w with $w = f + (1 - f) (L / L_N)^{-a}$: of the width of the
        largest size at least half stays, however much it shrinks over the sizes that were run.
        Searches start from `best`, where S is least without a limit.
        """
        down = self.log_size[-1] - self.log_size
        laws = np.array([-np.log(f + (1.0 - f) * np.exp(a * down)) for f in _LEFT for a in _DECAYS])
        n = len(laws)
        mean, se = (np.tile(each[:1], (n, 1)) for each in (self.mean, self.se))
        laws = laws - laws.mean(axis=1, keepdims=True)
        limited = replace(self, mean=mean, se=se, laws=laws, n_steps=60)
        return float(limited.search(np.tile(best, (n, 1)), np.arange(n))[1].min())

    def search(self, start: Array, draw: Index) -> tuple[Array, Array]:
        """Least S from each start, `[start, 3]` to numbers `[start, 3]` and S `[start]`."""
        span = float(np.ptp(self.sample.control))
        step = np.array([0.05 * span, 0.3, 0.2])[: self.n_free]
        found, quality = minimise_each(
            lambda point, which: self.quality(self.whole(point), draw[which]),
            start[:, : self.n_free],
            step,
            self.n_steps,
            1e-4,
        )
        return self.whole(found), quality

    def profile(self, number: int, value: Array, best: Array) -> Array:
        """Least S with one number held, the others searched from their best, `[value]`."""
        others = [k for k in range(self.n_free) if k != number]
        step = np.array([0.03 * float(np.ptp(self.sample.control)), 0.2, 0.1])[others]
        none = np.zeros(value.size, dtype=np.int64)

        def held(point: Array, which: Index) -> Array:
            free = np.tile(best[: self.n_free], (len(point), 1))
            free[:, others] = point
            free[:, number] = value[which]
            return self.quality(self.whole(free), none[which])

        start = np.tile(best[others], (value.size, 1))
        return minimise_each(held, start, step, self.n_steps, 1e-4)[1]


def standard_errors(sample: Sample, variance: Array, floor: float) -> Array:
    """Standard error of each cell's mean, no less than a share `floor` of the range of means.

    Seeds that all end at the same plateau would else outweigh all others. `[draw, cell]`.
    """
    least = floor * float(np.ptp(sample.pivot))
    return np.sqrt(np.maximum(variance / sample.n, least**2))


def starts(sample: Sample, n: int, rng: np.random.Generator) -> Array:
    """Random starts of the search, `[start, 3]`: the middle of the control, 1 / nu in (-0.5, 3)."""
    low, high = np.quantile(sample.control, [0.1, 0.9])
    points = rng.random((n, 3))
    return np.array([low, -0.5, -1.0]) + points * np.array([high - low, 3.5, 2.0])


def within_one(value: Array, quality: Array, least: float) -> tuple[float | None, float | None]:
    """Where a profile of S rises to its least plus 1; None where it does not within the values."""
    over = quality > least + 1.0
    centre = int(np.argmin(quality))
    left, right = np.flatnonzero(over[:centre]), np.flatnonzero(over[centre:])

    def cross(outer: int, inner: int) -> float:
        a, b = quality[outer], quality[inner]
        share = 0.0 if not np.isfinite(a) else float((least + 1.0 - b) / (a - b))
        return float(value[inner] + share * (value[outer] - value[inner]))

    low = cross(int(left[-1]), int(left[-1]) + 1) if left.size else None
    high = cross(centre + int(right[0]), centre + int(right[0]) - 1) if right.size else None
    return low, high


def minimise_each(
    objective: _Objective, start: Array, step: Array, n_steps: int, tolerance: float
) -> tuple[Array, Array]:
    """Minimise one function per problem, which may be infinite, never NaN.

    It starts at `start`, `[problem, number]`, with a simplex of length `step` along each number; a
    problem rests when the values of its simplex differ by less than the tolerance.

    Returns:
        The least point of each problem, `[problem, number]`, and its value, `[problem]`.

    Source:
        Nelder & Mead (1965), Computer Journal 7, 308, with the usual coefficients 1, 2, 1/2, 1/2.
        Deviation: contraction is always towards the better of the worst and the reflected point.
    """
    k = start.shape[1]
    simplex = np.repeat(start[:, None, :], k + 1, axis=1)
    simplex[:, 1:, :] += np.diag(step)
    everyone = np.arange(len(start))
    value = np.stack([objective(simplex[:, v], everyone) for v in range(k + 1)], axis=1)
    active = everyone
    for _ in range(n_steps):
        order = np.argsort(value[active], axis=1, kind="stable")
        value[active] = np.take_along_axis(value[active], order, axis=1)
        simplex[active] = np.take_along_axis(simplex[active], order[:, :, None], axis=1)
        active = active[value[active, -1] > value[active, 0] + tolerance]
        if active.size == 0:
            break
        simplex[active], value[active] = _moved(objective, simplex[active], value[active], active)
    best = np.argmin(value, axis=1)
    return simplex[everyone, best], value[everyone, best]


def _moved(
    objective: _Objective, simplex: Array, value: Array, problem: Index
) -> tuple[Array, Array]:
    """One step of each simplex, its points sorted by value."""
    centre: Array = simplex[:, :-1].mean(axis=1)
    worst, worst_value = simplex[:, -1], value[:, -1]
    reflected = 2.0 * centre - worst
    reflected_value = objective(reflected, problem)
    # One more point for each: further out after a success, else half way in.
    out = reflected_value < value[:, 0]
    inner = np.where((reflected_value < worst_value)[:, None], reflected, worst)
    further = np.where(out[:, None], 3.0 * centre - 2.0 * worst, 0.5 * (centre + inner))
    wanted = out | (reflected_value >= value[:, -2])
    further_value = np.full(value.shape[0], np.inf)
    further_value[wanted] = objective(further[wanted], problem[wanted])
    better = further_value < np.minimum(reflected_value, worst_value)
    take_reflected = ~better & (reflected_value < value[:, -2])
    simplex, value = simplex.copy(), value.copy()
    simplex[better, -1], value[better, -1] = further[better], further_value[better]
    simplex[take_reflected, -1] = reflected[take_reflected]
    value[take_reflected, -1] = reflected_value[take_reflected]
    shrink = np.flatnonzero(~better & ~take_reflected)
    if shrink.size:
        for v in range(1, simplex.shape[1]):
            simplex[shrink, v] = 0.5 * (simplex[shrink, v] + simplex[shrink, 0])
            value[shrink, v] = objective(simplex[shrink, v], problem[shrink])
    return simplex, value
