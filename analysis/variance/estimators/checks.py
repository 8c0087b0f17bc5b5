"""What a table must show before its variances can be told apart."""

import math
from collections.abc import Sequence

import numpy as np

from observatory.analysis.stats.solvers import magnitude
from observatory.analysis.variance.estimators.likelihood import Array, Codes
from observatory.core.errors import FitRefusedError

NUMERIC = "numeric"
_ROUNDING = 1e3 * float(np.finfo(np.float64).eps)
"""Scatter, as a share of the largest value, that may be of rounding alone."""
_SMALL, _LARGE = 1e-150, 1e150
"""Between these a scatter can be squared."""


def standard_scatter(value: Array, fixed: Array) -> tuple[Array, float]:
    """Values less the mean of their arm, in units of their standard deviation, and this unit.

    `fixed` has a column per arm, 1 in its rows.

    Raises:
        FitRefusedError: If there is no scatter but of rounding, or its square is no number.
    """
    size = magnitude(value)
    centred = value / size - np.median(value / size)  # first, so that a large mean costs no digits
    scatter = centred - fixed @ np.linalg.lstsq(fixed, centred, rcond=None)[0]
    free = max(value.size - fixed.shape[1], 1)
    unit = math.sqrt(float(scatter @ scatter) / free)
    if all(np.ptp(centred[arm > 0]) == 0.0 for arm in fixed.T):
        raise FitRefusedError("All values of an arm are equal: there is nothing to share out.")
    if unit <= _ROUNDING:
        raise FitRefusedError(
            f"Values of an arm scatter by {unit * size:.2g} beside values of "
            f"{float(np.abs(value).max()):.2g}, which may be rounding alone. Subtract what all "
            "values have in common before they are written."
        )
    if not _SMALL < unit * size < _LARGE:
        raise FitRefusedError(
            f"Values scatter by {unit * size:.2g}, whose square is no number of a computer. Give "
            "them in a unit of that size."
        )
    return scatter / unit, unit * size


def require_told_apart(codes: Sequence[Codes], fixed: Array, names: Sequence[str]) -> None:
    """Refuse components whose covariances are no more than sums of others'."""
    hat = fixed @ np.linalg.pinv(fixed)
    random = [np.eye(int(code.max()) + 1)[code] for code in codes]
    left = [*(z - hat @ z for z in random), None]
    size = len(names)
    gram = np.empty((size, size))
    rest = fixed.shape[0] - float(np.trace(hat))
    for i in range(size):
        for j in range(i + 1):
            a, b = left[i], left[j]
            if a is None:
                gram[i, j] = rest if b is None else float((b**2).sum())
            elif b is not None:
                gram[i, j] = float(((a.T @ b) ** 2).sum())
            gram[j, i] = gram[i, j]
    scale = np.sqrt(np.diag(gram))
    values, vectors = np.linalg.eigh(gram / scale[:, None] / scale)
    if values[0] < 1e-9:
        alike = [name for name, part in zip(names, vectors[:, 0], strict=True) if abs(part) > 1e-4]
        raise FitRefusedError(
            f"The model is singular: the variances of {' and '.join(alike)} cannot be told apart, "
            "since their levels coincide. Repeat levels of one across the other, or name fewer "
            "by `--group`."
        )


def require_numeric_scatter(scatter: Array, parts: Sequence[Codes]) -> None:
    """Refuse where rows that are alike in everything are equal: the likelihood has no maximum."""
    cell, n = np.unique(np.column_stack(parts), axis=0, return_inverse=True, return_counts=True)[1:]
    cell = cell.reshape(-1)
    within = scatter - np.bincount(cell, weights=scatter)[cell] / n[cell]
    if n.max() > 1 and float(np.abs(within).max()) <= 1e-12 * float(np.abs(scatter).max()):
        raise FitRefusedError(
            f"Rows that are alike in every component are equal: the variance `{NUMERIC}` is 0 "
            "exactly. Keep one of each to see the others."
        )
