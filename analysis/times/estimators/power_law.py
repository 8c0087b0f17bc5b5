"""The power law t = A (weight_decay - critical)^-nu, fitted to replicas with the event.

Letters: y = ln t, u = ln(weight_decay - critical), y = ln A - nu u + noise.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.observations import Array, Observations, critical_words
from observatory.analysis.stats.search import end_of_search
from observatory.analysis.stats.solvers import minimise_between
from observatory.core.errors import ConfigError, FitRefusedError

KINDS: dict[str, str] = {"zero": "zero", "boundary": "fixed", "free": "free"}
N_PARAMS = {"zero": 3, "boundary": 3, "free": 4}
"""Numbers fitted: amplitude, exponent, spread, and the critical point where it is free. One that
was taken from a boundary fit is not counted, though it came from the same replicas."""
UNDECIDED = 2.0
"""Difference of Akaike's criteria below which the weaker of two laws is still a candidate."""
CLOSEST = 1e-4
"""Share of the smallest weight decay with the event by which a critical point stays below it."""


def held_warning(control: str) -> str:
    """That a critical point is held."""
    return (
        f"The {critical_words(control)} is held at its point estimate: its uncertainty is not in "
        "these intervals."
    )


def no_boundary_reason(control: str) -> str:
    """Why a law with a critical point held is refused."""
    return (
        f"No {critical_words(control)} to hold fixed: the boundary that leads gives none at this "
        "horizon."
    )


def at_limit_reason(highest: float, control: str) -> str:
    """Why a critical point at the end of its search is refused."""
    return (
        f"The best {critical_words(control)} is the smallest {control} with the event, "
        f"{highest:.4g}: the end of its search, not an estimate. The times there are longer than "
        f"any such law has them. Add {control}s below and just above {highest:.4g}, or hold the "
        "critical point."
    )


def require_among(name: str, value: str, known: Iterable[str]) -> None:
    """Refuse a setting that is none of the known values, by `ConfigError`."""
    if value not in known:
        raise ConfigError(f"`{name}` must be among {sorted(known)}, got {value}.")


def fit_line(u: Array, y: Array, weights: Array) -> Array:
    """Weighted least squares of y = ln A - nu u: `(ln A, nu, residual sum of squares)`, `[..., 3]`.

    u = ln(weight_decay - critical) and y = ln t, `[replica]`; multiplicities are `[..., replica]`.
    NaN where fewer than two u are distinct.
    """
    total = weights.sum(axis=-1)
    share = weights / np.where(total > 0, total, np.nan)[..., None]
    du, dy = u - u.mean(), y - y.mean()  # centred first: the sums below then lose no digits
    mean_u, mean_y = share @ du, share @ dy
    uu, uy, yy = share @ (du * du), share @ (du * dy), share @ (dy * dy)
    spread = uu - mean_u * mean_u
    slope = (uy - mean_u * mean_y) / np.where(spread > 1e-12, spread, np.nan)
    log_amplitude = y.mean() + mean_y - slope * (u.mean() + mean_u)
    rss = total * (yy - mean_y * mean_y - slope * (uy - mean_u * mean_y))
    return np.stack([log_amplitude, -slope, np.maximum(rss, 0.0)], axis=-1)


def _residuals(u: Array, y: Array, weights: Array) -> Array:
    """The residual sums of squares of `fit_line` for many u `[law, replica]`: `[draw, law]`."""
    total = weights.sum(axis=-1)[:, None]
    share = weights / np.where(total > 0, total, np.nan)
    du, dy = u - u.mean(axis=1, keepdims=True), y - y.mean()
    mean_u, mean_y = share @ du.T, (share @ dy)[:, None]
    uu, uy, yy = share @ (du * du).T, share @ (du * dy).T, (share @ (dy * dy))[:, None]
    spread, joint = uu - mean_u * mean_u, uy - mean_u * mean_y
    slope = joint / np.where(spread > 1e-12, spread, np.nan)
    return np.maximum(total * (yy - mean_y * mean_y - slope * joint), 0.0)


def _free_critical(weight_decay: Array, y: Array, weights: Array, n_grid: int) -> Array:
    """The critical point in [0, smallest weight decay) of least squares, from an even grid.

    Multiplicities are `[draw, replica]`; NaN where nothing can be fitted.
    """
    grid = np.linspace(0.0, float(weight_decay.min()), n_grid, endpoint=False)
    rss = _residuals(np.log(weight_decay - grid[:, None]), y, weights)
    best = grid[np.argmin(np.nan_to_num(rss, nan=np.inf), axis=-1)]
    return np.where(np.isnan(rss).all(axis=-1), np.nan, best)


def _refined_critical(weight_decay: Array, y: Array, weights: Array, n_grid: int) -> float:
    """`_free_critical` of the data themselves, refined between its neighbours on the grid."""
    coarse = float(_free_critical(weight_decay, y, weights[None], n_grid)[0])
    cell = float(weight_decay.min()) / n_grid

    def rss(critical: float) -> float:
        return float(fit_line(np.log(weight_decay - critical), y, weights)[2])

    high = min(coarse + cell, float(weight_decay.min()) * (1.0 - CLOSEST))
    fine = minimise_between(rss, max(coarse - cell, 0.0), high)
    return min((0.0, coarse, fine), key=rss)


def uncensored(observations: Observations, above: float) -> tuple[NDArray[np.bool_], list[str]]:
    """Replicas with the event at a known time above a critical point, and who is left out."""
    timed = observations.grokked & (observations.time > 0)
    keep = timed & (observations.weight_decay > above)
    cases = (
        ("Uncensored replicas only: those without the event", ~observations.grokked),
        ("Replicas with the event at an unknown time", observations.grokked & ~timed),
        ("Replicas with the event at or below the critical point", timed & ~keep),
    )
    counts = {who: observations.count(rows) for who, rows in cases}
    notes = [f"{who} are left out ({n})." for who, n in counts.items() if n]
    if observations.horizon_steps is None:
        notes.append("The table names no horizon: which runs have a time at all depends on it.")
    return keep, notes


def require_law(weight_decay: Array, n_params: int, control: str, n: float | None = None) -> None:
    """Refuse times that cannot fix a power law.

    Fewer distinct weight decays than numbers of the curve, or no more replicas than `n_params`,
    which counts the spread; `n` is the number of replicas, None: one for each row with the event.
    """
    n_cells = np.unique(weight_decay).size
    n_replicas = weight_decay.size if n is None else round(n)
    if n_cells < n_params - 1 or n_replicas <= n_params + 1:
        raise FitRefusedError(
            f"A power law with {n_params - 1} free numbers needs times at {n_params - 1} "
            f"{control}s and more than {n_params + 1} replicas, got {n_replicas} replicas at "
            f"{n_cells}. Add {control}s at which replicas have the event."
        )


def information(rss: float, n: float, n_params: int) -> dict[str, float]:
    """Spread and Akaike's criteria of normal noise in ln t, from a residual sum of squares.

    `rms_log`, `aic` = n ln(rss / n) + 2 k, and `aicc`, corrected for few replicas; k counts the
    spread.
    """
    aic = n * math.log(max(rss, 1e-300) / n) + 2.0 * n_params
    correction = 2.0 * n_params * (n_params + 1.0) / (n - n_params - 1.0)
    return {"rms_log": math.sqrt(rss / n), "aic": aic, "aicc": aic + correction}


def fit_law(
    weight_decay: Array,
    time: Array,
    weights: Array,
    critical: str,
    known: float | None,
    n_grid: int,
    control: str = "weight decay",
) -> tuple[float, Array]:
    """The critical point and `(ln A, nu, rss)` of one law.

    `known` is the critical point of a boundary, where that law takes it; `control` is what messages
    call the weight decay.

    Raises:
        FitRefusedError: As `require_law`; or if a critical point should be given and is not.
    """
    require_law(weight_decay, N_PARAMS[critical], control, weights.sum())
    y, point = np.log(time), known if critical == "boundary" else 0.0
    if critical == "free":
        point = _refined_critical(weight_decay, y, weights, n_grid)
        if end_of_search(point / float(weight_decay.min()), 0.0, 1.0 - CLOSEST) == "highest":
            raise FitRefusedError(at_limit_reason(float(weight_decay.min()), control))
    if point is None:
        raise FitRefusedError(no_boundary_reason(control))
    return point, fit_line(np.log(weight_decay - point), y, weights)


def bootstrap_law(
    weight_decay: Array, time: Array, weights: Array, critical: float | None, n_grid: int
) -> Array:
    """The law on resampled replicas: `(critical, ln A, nu)`, `[draw, 3]`, NaN where there is none.

    The critical point is held, or for None fitted anew in each resample, on a grid; the
    multiplicity of each replica in each resample is `[draw, replica]`.
    """
    y = np.log(time)
    if critical is not None:
        lines = fit_line(np.log(weight_decay - critical), y, weights)
        return np.column_stack([np.full(len(lines), critical), lines[:, :2]])
    points = _free_critical(weight_decay, y, weights, n_grid)
    draws = np.full((len(weights), 3), np.nan)
    for point in np.unique(points[~np.isnan(points)]):
        at = points == point
        draws[at, 0] = point
        draws[at, 1:] = fit_line(np.log(weight_decay - point), y, weights[at])[:, :2]
    return draws
