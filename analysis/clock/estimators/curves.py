"""What is drawn of a clock: boundaries of each learning rate, times of cells, fitted medians."""

import numpy as np

from observatory.analysis.boundary.estimators.at_horizon import firth_limits
from observatory.analysis.boundary.estimators.likelihood import firth_points
from observatory.analysis.clock.estimators.boundary import BoundaryPlane
from observatory.analysis.clock.estimators.fitting import ClockSample, LawFit
from observatory.analysis.clock.estimators.laws import RecordAxes
from observatory.analysis.clock.estimators.rows import ClockRows
from observatory.analysis.stats.observations import Array

Columns = dict[str, list[float | None]]
_SHARES = {"q25": 0.25, "median": 0.5, "q75": 0.75}
_N_LINE = 41


def _column(values: Array) -> list[float | None]:
    """Numbers as the record holds them, null where not finite."""
    return [float(v) if np.isfinite(v) else None for v in values]


def smallest_boundary(rows: ClockRows, plane: BoundaryPlane) -> float:
    """The smallest boundary of a learning rate by itself over the horizons, in weight decay."""
    found: list[float] = []
    for lr in rows.lrs:
        data = rows.take(rows.lr == lr).data
        cells, index = np.unique(data.weight_decay, return_inverse=True)
        member = (index[:, None] == np.arange(cells.size)).astype(np.float64)
        n = data.weights @ member
        k = np.stack([(data.weights * data.grokked_by(float(t))) @ member for t in plane.horizons])
        points = firth_points(np.log10(cells), np.tile(n, (len(k), 1)), k)
        found.append(float(10.0 ** points[:, 0].min()))
    return min(found)


def boundary_curves(rows: ClockRows, plane: BoundaryPlane, level: float) -> Columns:
    """The boundary of each learning rate at each horizon by itself, and the fitted plane there.

    Columns lr, horizon (steps), critical, low, high, plane; limits are those of the profile of
    Firth's likelihood.
    """
    names = ("lr", "horizon", "critical", "low", "high", "plane")
    found: Columns = {f"boundary.{name}": [] for name in names}
    for lr in rows.lrs.tolist():
        own = rows.take(rows.lr == lr).data
        for steps in plane.horizons.tolist():
            at = firth_limits(own, steps, level)
            fitted = float(plane.at(np.array([lr]), steps)[0])
            for name, value in zip(
                names, (lr, steps, at.value, at.ci_low, at.ci_high, fitted), strict=True
            ):
                found[f"boundary.{name}"].append(value)
    return found


def time_curves(sample: ClockSample, fit: LawFit) -> Columns:
    """Times of every cell, and the medians of a law.

    Columns `times.`: lr, weight_decay, n, n_event, q25, median, q75 (steps; null where fewer had
    the event), law (the law's median there), residual (mean of the standardised residuals of the
    cell's events); `law.`: lr, weight_decay, median.
    """
    rows = sample.rows
    cells, index = rows.cells
    weights, data = rows.data.weights, rows.data
    medians = medians_of(sample, fit, cells[:, 0], cells[:, 1])
    out: Columns = {f"times.{name}": [] for name in ("n", "n_event", *_SHARES, "residual")}
    tau = np.exp(fit.theta[-2] + fit.theta[-1] * _scatter_axis(sample, cells))
    for cell in range(len(cells)):
        here = index == cell
        seen = here & data.grokked
        n = float(weights[here].sum())
        order = np.sort(np.repeat(data.time[seen], np.rint(weights[seen]).astype(int)))
        out["times.n"].append(n)
        out["times.n_event"].append(float(order.size))
        for name, share in _SHARES.items():
            needed = max(int(np.ceil(share * n - 1e-9)), 1)
            out[f"times.{name}"].append(float(order[needed - 1]) if order.size >= needed else None)
        middle = out["times.median"][-1]
        gap = None
        if middle is not None and np.isfinite(medians[cell]):
            gap = float(tau[cell] * np.log(middle / medians[cell]))
        out["times.residual"].append(gap)
    out |= {"times.lr": _column(cells[:, 0]), "times.weight_decay": _column(cells[:, 1])}
    out["times.law"] = _column(medians)
    lines: list[Array] = []
    for lr in rows.lrs:
        own = cells[cells[:, 0] == lr, 1]
        decay = np.geomspace(float(own.min()), float(own.max()), _N_LINE)
        rate = np.full(_N_LINE, lr)
        lines.append(np.stack([rate, decay, medians_of(sample, fit, rate, decay)]))
    for name, values in zip(("lr", "weight_decay", "median"), np.hstack(lines), strict=True):
        out[f"law.{name}"] = _column(values)
    return out


def _scatter_axis(sample: ClockSample, cells: Array) -> Array:
    """The axis of the scatter at cells, as it is at their records."""
    of_cell = dict(
        zip(sample.records.control.astype(int).tolist(), sample.axes.scatter.tolist(), strict=True)
    )
    return np.array([of_cell[cell + 1] for cell in range(len(cells))])


def medians_of(sample: ClockSample, fit: LawFit, lr: Array, decay: Array) -> Array:
    """Median times of a law in steps, infinite at or below its critical point."""
    axes = RecordAxes(lr, decay, sample.axes.log_lr, sample.axes.log_decay)
    x, held = axes.design(fit.law, np.array([fit.critical]))
    k = fit.law.n_linear
    mu = x[0] @ fit.theta[:k] + held[0]
    if fit.law.constant:
        mu = np.logaddexp(mu, fit.theta[k])
    return np.where(decay > fit.critical, np.exp(mu), np.inf)
