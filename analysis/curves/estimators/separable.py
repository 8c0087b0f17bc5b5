"""Curves that are linear in all but one or two of their numbers: variable projection, in batches.

Letters: x the abscissa, `[point]`; theta the numbers that enter non-linearly, `[draw, inner]`; phi
the columns that they give, `[draw, point, column]`; the coefficients of the columns follow from
theta by least squares.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.solvers import bounded_least_squares, solve_each

Array = NDArray[np.float64]

_SMALLEST_PIVOT = 1e-9
"""Columns, scaled to length one, that are closer than this to dependent are no fit."""
_MAX_CELLS = 4_000_000
"""Numbers of one batch: 32 MB."""


@dataclass(frozen=True)
class Law:
    """A curve: its columns, and where its non-linear numbers may lie."""

    columns: Callable[[Array, Array], Array]  # phi of x and theta
    n_columns: int  # how many columns
    low: Sequence[float] = ()  # least theta, `[inner]`; empty where all numbers are linear
    high: Sequence[float] = ()  # largest theta, likewise
    # d phi / d theta, `[draw, point, column, inner]`; None: by central differences
    slopes: Callable[[Array, Array], Array] | None = None
    beside: Sequence[float] = ()  # a theta that is refined beside those of the grid; empty for none

    @property
    def n_params(self) -> int:
        """Numbers of the curve and the spread about it."""
        return self.n_columns + len(self.low) + 1


@dataclass(frozen=True)
class Solution:
    """A curve fitted to one or many rows of values."""

    theta: Array  # `[draw, inner]`
    coefficients: Array  # `[draw, column]`
    fitted: Array  # `[draw, point]`
    rss: Array  # residual sum of squares, infinite where the columns depend on each other, `[draw]`

    def take(self, draws: NDArray[np.int64]) -> "Solution":
        """Some of the draws."""
        return Solution(
            self.theta[draws], self.coefficients[draws], self.fitted[draws], self.rss[draws]
        )


def central_slopes(law: Law, x: Array, theta: Array) -> Array:
    """Slopes d phi / d theta by central differences, `[draw, point, column, inner]`."""
    width = 1e-5 * np.maximum(np.abs(theta), 1.0)
    found: list[Array] = []
    for inner in range(theta.shape[1]):
        step = np.zeros_like(theta)
        step[:, inner] = width[:, inner]
        change = law.columns(x, theta + step) - law.columns(x, theta - step)
        found.append(change / (2.0 * width[:, inner, None, None]))
    return np.stack(found, axis=-1)


def _projected(phi: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """Orthonormal columns, the scaled triangle, coefficients and residuals of every draw."""
    length = np.sqrt(np.einsum("dpc,dpc->dc", phi, phi))
    length = np.where(length > 0, length, 1.0)
    q, r = np.linalg.qr(phi / length[:, None, :])
    pivot = np.abs(np.diagonal(r, axis1=1, axis2=2)).min(axis=1)
    lost = ~(pivot > _SMALLEST_PIVOT)
    r[lost] = np.eye(phi.shape[2])
    inside = (np.swapaxes(q, 1, 2) @ y[..., None])[..., 0]
    residual = y - (q @ inside[..., None])[..., 0]
    coefficients = solve_each(r, inside) / length
    residual[lost] = np.inf
    return q, r * length[:, None, :], coefficients, residual


def solve_linear(law: Law, x: Array, y: Array, theta: Array) -> Solution:
    """The coefficients at given theta; y may be of one draw, the same at every theta."""
    step = max(1, _MAX_CELLS // (x.size * law.n_columns))
    parts: list[Solution] = []
    for at in range(0, len(theta), step):
        rows = slice(at, at + step)
        values = y if len(y) == 1 else y[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            phi = law.columns(x, theta[rows])
            whole = np.array(np.isfinite(phi).all(axis=(1, 2)))
            phi = np.where(whole[:, None, None], phi, 0.0)
            _, _, coefficients, residual = _projected(phi, values)
            rss = np.where(whole, (residual * residual).sum(axis=1), np.inf)
        parts.append(Solution(theta[rows], coefficients, values - residual, rss))
    return Solution(
        *(np.concatenate([getattr(part, name) for part in parts])
          for name in ("theta", "coefficients", "fitted", "rss"))
    )  # fmt: skip


def evaluate(law: Law, x: Array, found: Solution) -> Array:
    """The fitted curves anywhere, `[draw, point]`."""
    return (law.columns(x, found.theta) @ found.coefficients[..., None])[..., 0]


def residual_slopes(law: Law, x: Array, y: Array, theta: Array) -> tuple[Array, Array]:
    """Residuals y - phi c, `[draw, point]`, and their derivatives by theta, c following theta.

    Source:
        Golub and Pereyra (1973), SIAM J. Numer. Anal. 10, 413: both terms.
    """
    q, r, coefficients, residual = _projected(law.columns(x, theta), y)
    residual = np.where(np.isfinite(residual), residual, y)
    slopes = central_slopes(law, x, theta) if law.slopes is None else law.slopes(x, theta)
    moved = np.stack(
        [(slopes[..., i] @ coefficients[..., None])[..., 0] for i in range(theta.shape[1])], axis=-1
    )
    moved -= q @ (np.swapaxes(q, 1, 2) @ moved)
    turned = np.stack(
        [(residual[:, None, :] @ slopes[..., i])[:, 0, :] for i in range(theta.shape[1])], axis=-1
    )
    back = q @ (np.swapaxes(np.linalg.inv(r), 1, 2) @ turned)  # of at most 3 by 3
    return residual, -moved - back


def leverage(law: Law, x: Array, y: Array, theta: Array) -> Array:
    """How much of its own fitted value each point decides, 0 to 1, at theta `[inner]`."""
    columns = law.columns(x, theta[None])[0]
    if law.low:
        slopes = residual_slopes(law, x, y[None], theta[None])[1][0]
        columns = np.concatenate([columns, slopes], axis=1)
    length = np.sqrt((columns * columns).sum(axis=0))
    left, size, _ = np.linalg.svd(columns / np.where(length > 0, length, 1.0), full_matrices=False)
    return (left[:, size > 1e-9 * size[0]] ** 2).sum(axis=1)


def _starts(law: Law, x: Array, y: Array, n_grid: int, n_starts: int) -> Solution:
    """The best local minima of a grid over theta, the best first."""
    axes = [np.linspace(a, b, n_grid) for a, b in zip(law.low, law.high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    found = solve_linear(law, x, y[None], grid)
    cells = found.rss.reshape([n_grid] * len(axes))
    least = np.isfinite(cells)
    for axis in range(len(axes)):
        padded = np.pad(cells, 1, constant_values=np.inf)
        for shift in (0, 2):
            window = [slice(1, -1)] * len(axes)
            window[axis] = slice(shift, shift + n_grid)
            least &= cells <= padded[tuple(window)]
    minima = np.flatnonzero(least)
    return found.take(minima[np.argsort(found.rss[minima], kind="stable")][:n_starts])


def fit_separable(law: Law, x: Array, y: Array, n_grid: int, n_starts: int) -> Solution | None:
    """Least squares: the best of a grid, each refined by a bounded trust-region reflective search.

    Returns:
        One draw; None where no theta gives independent columns.
    """
    if not law.low:
        found = solve_linear(law, x, y[None], np.zeros((1, 0)))
        return found if np.isfinite(found.rss[0]) else None
    whole, y = y, y / (float(np.ptp(y)) or 1.0)
    first = _starts(law, x, y, n_grid, n_starts).theta
    if not first.size:
        return None
    if law.beside:
        first = np.concatenate([first, np.array([law.beside])])

    def residual(theta: Array) -> Array:
        left = _projected(law.columns(x, theta[None]), y[None])[3][0]
        return np.where(np.isfinite(left), left, y)

    def slopes(theta: Array) -> Array:
        return residual_slopes(law, x, y[None], theta[None])[1][0]

    refined = [bounded_least_squares(residual, slopes, theta, law.low, law.high) for theta in first]
    every = solve_linear(law, x, whole[None], np.concatenate([first, np.stack(refined)]))
    return every.take(np.argsort(every.rss, kind="stable")[:1])


def refit(law: Law, x: Array, y: Array, theta: Array, n_steps: int) -> Solution:
    """Least squares of many rows of values at once, from one start (Levenberg and Marquardt)."""
    at = np.tile(theta, (len(y), 1))
    if not law.low:
        return solve_linear(law, x, y, at)
    low, high = np.array(law.low), np.array(law.high)
    whole, y = y, y / (float(np.ptp(y)) or 1.0)
    damping = np.full(len(y), 1e-3)
    best = solve_linear(law, x, y, at).rss
    for _ in range(n_steps):
        residual, slopes = residual_slopes(law, x, y, at)
        square = np.swapaxes(slopes, 1, 2) @ slopes
        diagonal = np.diagonal(square, axis1=1, axis2=2)
        ridge = damping[:, None] * diagonal + 1e-12 * (1.0 + diagonal.max(axis=1)[:, None])
        downhill = -(residual[:, None, :] @ slopes)[:, 0, :]
        move = solve_each(square + np.eye(low.size) * ridge[:, None, :], downhill)
        tried = np.clip(at + np.clip(move, -2.0, 2.0), low, high)
        rss = solve_linear(law, x, y, tried).rss
        better = rss < best
        gain = np.where(better, best - rss, 0.0).max() / max(float(best.max()), 1e-300)
        at, best = np.where(better[:, None], tried, at), np.where(better, rss, best)
        damping = np.where(better, damping * 0.2, damping * 5.0)
        if gain < 1e-12 and bool(np.all(better | (damping > 1e3))):
            break
    return solve_linear(law, x, whole, at)
