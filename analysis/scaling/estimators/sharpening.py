r"""How the width of a sigmoid shrinks with size: $w = w_0 (L / L_0)^{-a}$, with a = 0 a crossover.

The mean order parameter of each size is lo + (hi - lo) / (1 + exp(-(x - c) / w)); lo, hi and c are
each size's own. For given c and w it is linear: c and w are searched on a grid, which serves all
resamples at once.
"""

from dataclasses import dataclass

import numpy as np

from observatory.analysis.scaling.estimators.collapse_quality import standard_errors
from observatory.analysis.scaling.estimators.found import (
    Draws,
    Found,
    crossover_draws,
    limits_of,
    spread_columns,
    student_parameter,
    tail_share,
)
from observatory.analysis.scaling.estimators.sample import Index, Sample, moments, resampled
from observatory.analysis.scaling.estimators.verdicts import Link, judge_sharpening
from observatory.analysis.stats.estimate import Plain
from observatory.analysis.stats.solvers import Array, expit

_EXPONENTS = np.arange(-2.0, 6.0001, 0.05)


@dataclass(frozen=True)
class _SigmoidGrid:
    """Sigmoids of each size, made ready for weighted least squares."""

    cells: list[Index]  # of each size
    root: Array  # square root of the weight of each cell, `[cell]`
    log_width: Array  # rising, evenly spaced, `[width]`
    centre: Array  # `[centre]`
    basis: list[Array]  # of each size, orthonormal: `[2, centre * width, cell of the size]`
    log_size: Array  # ln of size over the geometric mean of sizes, `[size]`


@dataclass(frozen=True)
class Sharpening:
    """The exponent of the width in each draw; every array `[draw]`."""

    exponent: Array  # a
    statistic: Array  # signed root of the gain over a = 0, in residual variances
    log_width: Array  # ln of the width that all sizes share where a = 0
    reduced: Array  # squares left, in variances, per degree of freedom


def sigmoid_grid(sample: Sample, se: Array, n_centres: int, n_widths: int) -> _SigmoidGrid:
    """Prepare the search over centres in the range of the control and a grid of widths.

    Widths go from an eighth of the finest spacing to twice the range; `se` is the standard error of
    each cell's mean, positive, `[cell]`.
    """
    cells = [sample.cells_of(i) for i in range(sample.sizes.size)]
    low, high = float(sample.control.min()), float(sample.control.max())
    finest = min(float(np.diff(sample.control[c]).min()) for c in cells)
    ends = (float(np.log(finest / 8.0)), float(np.log(2.0 * (high - low))))
    log_width = np.linspace(*ends, n_widths)
    centre = np.linspace(low, high, n_centres)
    root = 1.0 / se
    basis = list[Array]()
    for of_size in cells:
        x, weight = sample.control[of_size], root[of_size]
        first = weight / np.sqrt((weight**2).sum())
        u = (x - centre[:, None, None]) / np.exp(log_width)[:, None]
        second = (expit(u) * weight).reshape(-1, x.size)
        second = second - (second @ first)[:, None] * first
        norm = np.sqrt((second**2).sum(axis=-1, keepdims=True))
        second = np.where(norm > 1e-9 * np.sqrt((weight**2).sum()), second / norm, 0.0)
        basis.append(np.stack([np.broadcast_to(first, second.shape), second]))
    log_size = np.log(sample.sizes)
    return _SigmoidGrid(cells, root, log_width, centre, basis, log_size - log_size.mean())


def _squares(grid: _SigmoidGrid, mean: Array, size: int) -> Array:
    """Weighted squares left by every sigmoid of a size, `[draw, centre, width]`."""
    cells = grid.cells[size]
    y = (mean * grid.root)[:, cells]
    first, second = grid.basis[size]
    left = (y**2).sum(axis=-1) - (y @ first[0]) ** 2
    rest = left[:, None] - (y @ second.T) ** 2
    return np.maximum(rest, 0.0).reshape(len(y), grid.centre.size, grid.log_width.size)


def _best_centres(grid: _SigmoidGrid, mean: Array) -> Array:
    """Squares left for each width by the best centre, `[size, draw, width]`."""
    step = max(1, 4_000_000 // (grid.centre.size * grid.log_width.size))
    sizes = range(len(grid.cells))
    parts = [
        np.stack([_squares(grid, mean[at : at + step], s).min(axis=1) for s in sizes])
        for at in range(0, len(mean), step)
    ]
    return np.concatenate(parts, axis=1)


def sharpening(grid: _SigmoidGrid, mean: Array) -> Sharpening:
    """Fit the law of the widths to the mean order parameter, `[draw, cell]`, in each draw."""
    by_width = _best_centres(grid, mean)
    laws = [_law_squares(grid, by_width, a) for a in _EXPONENTS]
    total = np.stack(laws)  # [exponent, draw, width]
    best = total.min(axis=-1)
    flat = int(np.argmin(np.abs(_EXPONENTS)))
    k = np.argmin(best, axis=0)
    draw = np.arange(len(mean))
    exponent = _EXPONENTS[k] + (_EXPONENTS[1] - _EXPONENTS[0]) * _vertex(best, k)
    free = mean.shape[1] - 3 * len(grid.cells) - 2
    noise = np.maximum(best[k, draw], 1e-12) / max(free, 1)
    gain = np.maximum(best[flat] - best[k, draw], 0.0) / noise
    shared = grid.log_width[np.argmin(total[flat], axis=-1)]
    return Sharpening(exponent, np.sign(exponent) * np.sqrt(gain), shared, noise)


def _law_squares(grid: _SigmoidGrid, by_width: Array, exponent: float) -> Array:
    """Squares of all sizes together for each width at the mean size, `[draw, width]`."""
    step = grid.log_width[1] - grid.log_width[0]
    last = grid.log_width.size - 1
    total = np.zeros(by_width.shape[1:])
    for size, log_size in enumerate(grid.log_size):
        place = np.clip(np.arange(last + 1) - exponent * log_size / step, 0, last)
        low = np.minimum(place.astype(np.int64), last - 1)
        share = place - low
        total += by_width[size][:, low] * (1.0 - share) + by_width[size][:, low + 1] * share
    return total


def _vertex(best: Array, k: Index) -> Array:
    """Where a parabola through the least value and its neighbours is least, in steps, `[draw]`."""
    draw, inner = np.arange(len(best[0])), np.clip(k, 1, len(best) - 2)
    left, mid, right = best[inner - 1, draw], best[inner, draw], best[inner + 1, draw]
    bend = left - 2.0 * mid + right
    move = 0.5 * (left - right) / np.where(bend > 0, bend, np.inf)
    return np.where(inner == k, np.clip(move, -0.5, 0.5), 0.0)


def _width_of_each(grid: _SigmoidGrid, mean: Array) -> Array:
    """Ln of the width of each size by itself, `[draw, size]`."""
    return grid.log_width[np.argmin(_best_centres(grid, mean), axis=-1)].T


def shared_curve(grid: _SigmoidGrid, sample: Sample, log_width: float) -> tuple[Array, Array]:
    """Fitted mean of each cell under one width for all sizes, and its distance from the centre.

    The width nearest to the one given on the grid is taken; the distance is in widths, `[cell]`.
    """
    fitted, distance = np.zeros(sample.pivot.size), np.zeros(sample.pivot.size)
    k = int(np.argmin(np.abs(grid.log_width - log_width)))
    for size, cells in enumerate(grid.cells):
        c = int(np.argmin(_squares(grid, sample.pivot[None], size)[0, :, k]))
        first, second = grid.basis[size][:, c * grid.log_width.size + k]
        y = (sample.pivot * grid.root)[cells]
        fitted[cells] = ((y @ first) * first + (y @ second) * second) / grid.root[cells]
        distance[cells] = (sample.control[cells] - grid.centre[c]) / np.exp(grid.log_width[k])
    return fitted, distance


def sharpening_link(
    sample: Sample,
    se_floor: float,
    grid_size: tuple[int, int],
    n_draws: tuple[int, int],
    least: float,
    level: float,
    rng: np.random.Generator,
) -> tuple[Link, Found, Draws]:
    """The width against size; from its fit with one width for all sizes, the smooth crossovers.

    `grid_size` is how many centres and widths are tried, `n_draws` how many resamples of seeds and
    smooth crossovers are drawn, `least` the exponent below which shrinking counts as none.
    """
    once = np.ones((1, sample.value.size))
    own = moments(sample, sample.deviation, once)
    se = standard_errors(sample, own.variance, se_floor)[0]
    grid = sigmoid_grid(sample, se, *grid_size)
    measured = sharpening(grid, own.mean)
    again = moments(sample, sample.deviation, resampled(sample, n_draws[0], rng))
    redrawn = sharpening(grid, again.mean)
    fitted, distance = shared_curve(grid, sample, float(measured.log_width[0]))
    smooth = moments(sample, crossover_draws(sample, fitted, distance, n_draws[1], rng), once)
    p = tail_share(float(measured.statistic[0]), sharpening(grid, smooth.mean).statistic)
    n_seeds = int(sample.n.min())
    exponent = student_parameter(float(measured.exponent[0]), redrawn.exponent, n_seeds, level)
    link = judge_sharpening(exponent.value, limits_of(exponent), p, least, level)
    widths = np.exp(_width_of_each(grid, own.mean)[0])
    curves = spread_columns("size.width", widths, np.exp(_width_of_each(grid, again.mean)), level)
    cells = {"size": sample.sizes[sample.of_size], "control": sample.control, "n": sample.n}
    cells |= {"mean": own.mean[0], "se": se, "crossover": fitted}
    curves |= {f"cell.{name}": of.tolist() for name, of in cells.items()}
    extras: dict[str, Plain] = {"reduced_chi2": float(measured.reduced[0])}
    return link, Found({"sharpening": exponent}, curves, extras), Draws(sample, own, again, smooth)
