"""List columns of the store, such as one number per layer, as arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def layered(lists: Sequence[Any]) -> Array:
    """A list column as `[row, layer]`; NaN where a row or an entry is null.

    Example:
        >>> layered([[1.0, 2.0], None, [3.0, None]]).tolist()
        [[1.0, 2.0], [nan, nan], [3.0, nan]]
    """
    width = max((len(row) for row in lists if row is not None), default=1)
    empty = np.full(width, np.nan)
    rows = [empty if row is None else np.asarray(row, dtype=np.float64) for row in lists]
    return np.concatenate([*rows, empty]).reshape(-1, width)[:-1]


def middle(values: Array) -> Array:
    """The median over layers, of those that are finite; NaN where none is, `[row]`.

    Example:
        >>> middle(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])).tolist()
        [2.0, nan]
    """
    rising = np.sort(np.where(np.isfinite(values), values, np.nan), axis=1)  # NaN last
    n = np.isfinite(rising).sum(axis=1)
    each = np.arange(len(rising))
    low, high = (
        rising[each, np.maximum(n - 1, 0) // 2],
        rising[each, np.minimum(n // 2, values.shape[1] - 1)],
    )
    return np.where(n > 0, (low + high) / 2.0, np.nan)
