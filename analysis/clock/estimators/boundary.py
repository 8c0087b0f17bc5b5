"""The boundary in the plane of learning rate and weight decay, at several horizons.

Letters: x = ln weight_decay, l = ln lr, T = horizon. Each count of replicas with the event by T at
(l, x) is binomial with logit p = s (x - a + b l + c ln T): the boundary, p = 1/2, is
ln lambda_c = a - b l - c ln T. The counts at several horizons come from the same replicas: limits
of slopes are those of units left out one at a time; where the boundary falls between two cells and
no unit moves it, they are as wide as the likelihood leaves it free.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.clock.estimators.rows import ClockRows
from observatory.analysis.stats.ascent import climb
from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.observations import Array
from observatory.analysis.stats.resample import jackknife_limits
from observatory.analysis.stats.solvers import chi2_quantile, expit
from observatory.core.errors import FitRefusedError

NAMES = ("intercept", "lr_slope", "horizon_slope", "steepness")
"""a, b, c and s of the boundary."""
_MAX_STEPS = 60
_STEEPEST = 200.0  # largest steepness of a profile: a rise within a hundredth of ln weight_decay
_FARTHEST = 8.0  # largest distance of a slope's limit from its estimate


@dataclass(frozen=True)
class PlaneCounts:
    """Replicas, and those with the event, by cell and horizon and by unit."""

    log_lr: Array  # `[count]`
    log_decay: Array  # `[count]`
    log_horizon: Array  # `[count]`
    n: Array  # `[unit, count]`
    k: Array  # `[unit, count]`

    @property
    def design(self) -> tuple[Array, Array]:
        """Columns 1, x, l, ln T, centred, `[count, 4]`, and their centres, `[3]`."""
        axes = np.stack([self.log_decay, self.log_lr, self.log_horizon], axis=1)
        centre = axes.mean(axis=0)
        return np.column_stack([np.ones(len(axes)), axes - centre]), centre


def counts_of(rows: ClockRows, horizons: Array) -> PlaneCounts:
    """The counts at horizons, steps, `[horizon]`."""
    cells, cell = rows.cells
    units, own = rows.units, rows.data.weights
    size = (int(units.max()) + 1, len(cells))
    flat = units * size[1] + cell

    def total(weights: Array) -> Array:
        summed = np.bincount(flat, weights=weights, minlength=size[0] * size[1])
        return summed.astype(np.float64).reshape(size)

    n = total(own)
    k = [total(own * rows.data.grokked_by(float(steps))) for steps in horizons]
    lr, decay = np.log(cells).T
    repeats = len(horizons)
    steps = np.repeat(np.log(horizons), len(cells))
    return PlaneCounts(
        np.tile(lr, repeats), np.tile(decay, repeats), steps, np.tile(n, repeats), np.hstack(k)
    )


def bracketed(rows: ClockRows, horizons: Array) -> NDArray[np.bool_]:
    """Whether each learning rate has its boundary inside its cells at each horizon.

    That is, by then at least half of the replicas of one cell had the event, and of another not.

    Returns:
        `[horizon, lr]`.
    """
    inside = np.zeros((horizons.size, rows.lrs.size), dtype=np.bool_)
    for i, steps in enumerate(horizons):
        seen = rows.data.weights * rows.data.grokked_by(float(steps))
        for j, lr in enumerate(rows.lrs):
            own = rows.lr == lr
            cells, index = np.unique(rows.data.weight_decay[own], return_inverse=True)
            n = np.bincount(index, weights=rows.data.weights[own], minlength=cells.size)
            rate = np.bincount(index, weights=seen[own], minlength=cells.size) / n
            inside[i, j] = (rate >= 0.5).any() and (rate < 0.5).any()
    return inside


def _check_bracketed(rows: ClockRows, horizons: Array, inside: NDArray[np.bool_]) -> None:
    """Refuse where fewer than two horizons have a boundary at every learning rate."""
    n = int(inside.all(axis=1).sum())
    if n >= 2:
        return
    never = [f"{lr:g}" for j, lr in enumerate(rows.lrs.tolist()) if not inside[:, j].any()]
    raise FitRefusedError(
        f"At {n} of the horizons {', '.join(f'{h:g}' for h in horizons)} every learning rate has "
        "cells in which most replicas had the event and cells in which most had not; 2 are needed. "
        f"Add {rows.data.control}s where that is missing, or watch longer."
        + (f" It is missing at every horizon at learning rate {', '.join(never)}." if never else "")
    )


def regressions(design: Array, n: Array, k: Array) -> Array:
    """Logistic regressions with Firth's penalty, one for each row of counts, `[fit, column]`.

    Source:
        Firth (1993), Biometrika 80, 27. Deviation: none. The estimate is finite where the counts
        are separated; NaN where the iteration does not end.
    """
    beta = np.zeros((len(n), design.shape[1]))
    beta[:, 1] = 1.0
    moving = np.ones(len(n), dtype=np.bool_)
    for _ in range(_MAX_STEPS):
        p = expit(beta @ design.T)
        w = n * p * (1.0 - p)
        information: Array = (design.T * w[:, None, :]) @ design
        trace: Array = np.einsum("fcc->f", information)
        information += 1e-12 * trace[:, None, None] * np.eye(design.shape[1])
        inverse = np.asarray(np.linalg.inv(information), dtype=np.float64)
        leverage = w * ((design @ inverse) * design).sum(axis=2)
        score = (k - n * p + leverage * (0.5 - p)) @ design
        step = (inverse @ score[..., None])[..., 0]
        size = np.abs(step).max(axis=1)
        beta += step * np.minimum(1.0, 2.0 / np.maximum(size, 1e-12))[:, None]
        moving = size > 1e-8
        if not moving.any():
            break
    beta[moving] = np.nan
    return beta


def boundary_numbers(beta: Array, centre: Array) -> Array:
    """(a, b, c, s) of regressions, `[fit, 4]`."""
    s = beta[:, 1]
    with np.errstate(all="ignore"):
        b, c = beta[:, 2] / s, beta[:, 3] / s
        a = centre[0] + b * centre[1] + c * centre[2] - beta[:, 0] / s
    return np.stack([a, b, c, s], axis=1)


def slope_limits(
    design: Array, n: Array, k: Array, column: int, centre: float, level: float
) -> tuple[float, float]:
    """Limits of a slope of the boundary by the profile of the likelihood of all counts.

    Counts at several horizons are taken as if each were of other replicas: the limits are too close
    unless the counts are separated, where the likelihood is flat as far as the cells leave it.

    Args:
        design: Columns 1, x, l, ln T, centred, `[count, 4]`.
        n: Replicas, `[count]`.
        k: Those with the event, `[count]`.
        column: Of the design: 2 for the slope against l, 3 against ln T.
        centre: The estimate.
        level: Coverage.
    """
    other = design[:, 5 - column]

    def heights(slopes: Array) -> Array:
        along = design[:, 1] + slopes[:, None] * design[:, column]
        x = np.stack([np.ones_like(along), along, np.broadcast_to(other, along.shape)], axis=2)

        def evaluate(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
            z = (x[rows] * theta[:, None, :]).sum(axis=2)
            p = expit(z)
            value = (k * z - n * np.logaddexp(0.0, z)).sum(axis=1)
            score = ((k - n * p)[:, None, :] @ x[rows])[:, 0]
            metric = (x[rows] * (n * p * (1.0 - p))[:, :, None]).swapaxes(1, 2) @ x[rows]
            return value, score, metric

        start = np.tile([0.0, 3.0, 0.0], (slopes.size, 1))
        box = np.array([_STEEPEST * 20.0, _STEEPEST, _STEEPEST * 5.0])
        low = np.where(np.arange(3) == 1, 1e-3, -box)
        return climb(evaluate, start, low, box, 1e-6)[1]

    steps = np.concatenate([[0.0], np.geomspace(0.01, _FARTHEST, 16)])
    top = float(heights(np.full(1, centre))[0])
    found: list[float] = []
    for side in (-1.0, 1.0):
        values = heights(centre + side * steps)
        target = max(top, float(values.max())) - 0.5 * chi2_quantile(level, 1)
        last = int(np.flatnonzero(values >= target)[-1]) if (values >= target).any() else 0
        if last == steps.size - 1:
            found.append(centre + side * _FARTHEST)
            continue
        inner, outer = steps[last], steps[last + 1]
        above, below = values[last] - target, values[last + 1] - target
        share = above / (above - below) if above > 0 else 0.0
        found.append(centre + side * float(inner + share * (outer - inner)))
    return found[0], found[1]


@dataclass(frozen=True)
class BoundaryPlane:
    """The fitted boundary."""

    params: dict[str, Parameter]  # of `NAMES`
    horizons: Array  # steps at which the records were cut, `[horizon]`
    n_units: int
    without: Array  # (a, b, c, s) without each unit, `[unit, 4]`

    def at(self, lr: Array, horizon: float) -> Array:
        """The boundary in weight decay."""
        a, b, c = (self.params[name].value for name in NAMES[:3])
        return np.exp(a - b * np.log(lr) - c * np.log(horizon))


def boundary_plane(rows: ClockRows, horizons: Array, level: float) -> BoundaryPlane:
    """The boundary by logistic regression, with the limits of units left out one at a time.

    Limits are Student's with as many degrees of freedom as units less one, those of the slopes at
    least as wide as `slope_limits`.

    Raises:
        FitRefusedError: If at fewer than two horizons every learning rate has a boundary, there are
            fewer than three units, or the rate does not rise with weight decay.
    """
    found = bracketed(rows, horizons)
    _check_bracketed(rows, horizons, found)
    inside = horizons[found.all(axis=1)]
    counts = counts_of(rows, inside)
    n_units = len(counts.n)
    if n_units < 3:
        raise FitRefusedError(
            f"The limits of the boundary need at least 3 seeds, got {n_units}. Add seeds."
        )
    design, centre = counts.design
    n, k = counts.n.sum(axis=0), counts.k.sum(axis=0)
    every = np.concatenate([n[None], n - counts.n]), np.concatenate([k[None], k - counts.k])
    found = boundary_numbers(regressions(design, *every), centre)
    if not (np.isfinite(found).all() and (found[:, 3] > 0).all()):
        raise FitRefusedError(
            f"The rate does not rise with {rows.data.control} at all learning rates and horizons: "
            "there is no boundary to fit. Look at `fit boundary` of each learning rate."
        )
    values, without = found[0], found[1:]
    se, low, high = jackknife_limits(values, without, level)
    for place, column in ((1, 2), (2, 3)):  # b of ln lr, c of ln T
        ends = slope_limits(design, n, k, column, values[place], level)
        low[place], high[place] = min(low[place], ends[0]), max(high[place], ends[1])
    params = {
        name: Parameter(float(v), float(e), float(lo), float(hi))
        for name, v, e, lo, hi in zip(NAMES, values, se, low, high, strict=True)
    }
    return BoundaryPlane(params, inside, n_units, without)
