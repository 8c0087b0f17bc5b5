"""An order parameter by size, control and seed, in cells, and its moments over seeds.

Letters: a cell is one size at one value of the control; m is the order parameter of one seed.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.resample import Array, replica_weights
from observatory.core.errors import FitRefusedError

Index = NDArray[np.int64]


@dataclass(frozen=True)
class SizedRows:
    """A table of an order parameter, a row per network."""

    size: Array  # of the system, positive, `[row]`
    control: Array  # what is varied at each size, on the axis of the fits, `[row]`
    value: Array  # the order parameter m, `[row]`
    seed: Index | None  # what rows share within a size; None where every row is its own, `[row]`
    outcome: str  # name of the order parameter


@dataclass(frozen=True)
class Sample:
    """The rows in cells, sorted by size and control."""

    sizes: Array  # distinct, rising, `[size]`
    of_size: Index  # which size each cell is of, `[cell]`
    control: Array  # of each cell, rising within a size, `[cell]`
    n: Array  # seeds of each cell, `[cell]`
    value: Array  # `[row]`
    seed: Index | None  # what rows share within a size, or None, `[row]`
    pivot: Array  # mean of each cell: deviations are taken from it, `[cell]`

    @cached_property
    def starts(self) -> Index:
        """First row of each cell, `[cell]`."""
        return np.concatenate([[0], np.cumsum(self.n)[:-1]]).astype(np.int64)

    @cached_property
    def of_cell(self) -> Index:
        """Cell of each row, `[row]`."""
        return np.repeat(np.arange(self.n.size), self.n.astype(np.int64))

    @property
    def deviation(self) -> Array:
        """Distance of each row from the mean of its cell, `[row]`."""
        return self.value - self.pivot[self.of_cell]

    def cells_of(self, size: int) -> Index:
        """The cells of one size, in rising control."""
        return np.flatnonzero(self.of_size == size)


@dataclass(frozen=True)
class Moments:
    """Moments over the seeds of each cell, in each draw, `[draw, cell]`."""

    n: Array  # seeds
    mean: Array
    second: Array  # central, divided by n, as are the next two
    third: Array
    fourth: Array

    @property
    def variance(self) -> Array:
        """Unbiased variance over seeds, `[draw, cell]`."""
        return self.second * self.n / np.maximum(self.n - 1.0, 1.0)

    def take(self, cells: NDArray[np.bool_]) -> "Moments":
        """Those of some of the cells."""
        parts = (self.n, self.mean, self.second, self.third, self.fourth)
        return Moments(*(part[:, cells] for part in parts))


def in_cells(rows: SizedRows, min_seeds: int) -> tuple[Sample, list[str]]:
    """Sort rows into cells; cells with too few seeds are left out, which is said.

    Refused if fewer than three sizes have five values of the control.
    """
    order = np.lexsort((rows.control, rows.size))
    pairs = np.column_stack([rows.size, rows.control])[order]
    _, cell, n = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    cell = cell.reshape(-1)
    enough = n >= min_seeds
    size_of_cell = pairs[np.unique(cell, return_index=True)[1], 0]
    per_size = {s: int(enough[size_of_cell == s].sum()) for s in np.unique(size_of_cell)}
    keep = enough[cell] & np.isin(pairs[:, 0], [s for s, k in per_size.items() if k >= 5])
    if sum(k >= 5 for k in per_size.values()) < 3:
        found = ", ".join(f"{k} at size {s:g}" for s, k in per_size.items())
        raise FitRefusedError(
            f"Scaling with size needs 3 sizes with 5 values of the control, each with {min_seeds} "
            f"seeds; got, of such values, {found}. Add sizes, values of the control, or seeds."
        )
    kept = order[keep]
    table, n = np.unique(pairs[keep], axis=0, return_counts=True)
    sizes, of_size = np.unique(table[:, 0], return_inverse=True)
    of_size = of_size.reshape(-1).astype(np.int64)
    value, seed = rows.value[kept], None if rows.seed is None else rows.seed[kept]
    mean = np.add.reduceat(value, np.cumsum(n) - n) / n
    sample = Sample(sizes, of_size, table[:, 1], n.astype(np.float64), value, seed, mean)
    lost = int((~keep).sum())
    what = f"Rows of cells with fewer than {min_seeds} seeds, or of sizes with fewer than 5 such"
    return sample, [f"{what} cells, are left out ({lost})."] if lost else []


def thinned(sample: Sample, keep: NDArray[np.bool_]) -> Sample:
    """Some of the cells; every size must keep one."""
    rows = keep[sample.of_cell]
    cells = {name: getattr(sample, name)[keep] for name in ("of_size", "control", "n", "pivot")}
    seed = None if sample.seed is None else sample.seed[rows]
    return replace(sample, value=sample.value[rows], seed=seed, **cells)


def require_signal(sample: Sample, f_limit: float) -> None:
    """Refuse an order parameter that does not depend on the control, or whose seeds are equal.

    `f_limit` is the largest ratio of variances, between cells to within, that counts as flat.
    """
    within = float((sample.deviation**2).sum()) / (sample.value.size - sample.pivot.size)
    total = np.bincount(sample.of_size, sample.n * sample.pivot)
    means = total / np.bincount(sample.of_size, sample.n)
    between = float((sample.n * (sample.pivot - means[sample.of_size]) ** 2).sum())
    between /= sample.pivot.size - sample.sizes.size
    if between <= 1e-24 * float((sample.value**2).mean()) or between <= f_limit * within:
        raise FitRefusedError(
            "The order parameter does not change with the control more than seeds differ (ratio "
            f"of variances {between / within if within > 0 else 0.0:.3g}, needs {f_limit:.3g}): "
            "there is nothing to scale. Add values of the control on both sides of the change."
        )
    if within <= 1e-24 * float((sample.value**2).mean()):
        raise FitRefusedError(
            "The order parameter is the same for all seeds of every cell: cumulants, "
            "susceptibility and intervals need seeds that differ. Add seeds."
        )


def moments(sample: Sample, deviation: Array, weights: Array) -> Moments:
    """Central moments of each cell, from deviations so that no digits are lost.

    `deviation` is the distance of each row from the pivot of its cell, `[row]` or `[draw, row]`,
    and `weights` how often the row counts, `[draw, row]` or `[1, row]`.
    """
    n = np.add.reduceat(weights, sample.starts, axis=-1)
    power, raw = weights * deviation, list[Array]()
    for _ in range(4):
        raw.append(np.add.reduceat(power, sample.starts, axis=-1) / n)
        power = power * deviation
    one, two, three, four = raw
    second = np.maximum(two - one**2, 0.0)
    third = three - 3.0 * one * two + 2.0 * one**3
    fourth = four - 4.0 * one * three + 6.0 * one**2 * two - 3.0 * one**4
    n = np.broadcast_to(n, one.shape)
    return Moments(n, sample.pivot + one, second, third, np.maximum(fourth, 0.0))


def resampled(sample: Sample, n_draws: int, rng: np.random.Generator) -> Array:
    """How often each row appears in each resample of the seeds, `[draw, row]`.

    Networks of two sizes share nothing: each size is resampled by itself. Where the same seeds were
    run at all values of its control they are drawn whole, else within each cell.
    """
    weights = np.zeros((n_draws, sample.value.size))
    for size in range(sample.sizes.size):
        rows = np.flatnonzero(sample.of_size[sample.of_cell] == size)
        seeds = _whole_seeds(sample, rows)
        if seeds is None:
            weights[:, rows] = replica_weights(sample.of_cell[rows], n_draws, rng)
        else:
            strata = np.zeros(int(seeds.max()) + 1, dtype=np.int64)
            weights[:, rows] = replica_weights(strata, n_draws, rng)[:, seeds]
    return weights


def _whole_seeds(sample: Sample, rows: Index) -> Index | None:
    """Index of the seed of each row, where every seed is once in every cell of these rows."""
    if sample.seed is None:
        return None
    names, which = np.unique(sample.seed[rows], return_inverse=True)
    cells, cell = np.unique(sample.of_cell[rows], return_inverse=True)
    pairs = np.unique(np.column_stack([which.reshape(-1), cell.reshape(-1)]), axis=0)
    complete = len(pairs) == len(rows) == names.size * cells.size
    return which.reshape(-1).astype(np.int64) if complete else None
