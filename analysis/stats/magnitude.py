"""The size of numbers, to compute without overflow or underflow of their squares."""

import math

import numpy as np
from numpy.typing import NDArray


def magnitude(values: NDArray[np.float64]) -> float:
    """The power of two below the largest absolute value: division by it is exact.

    1 where all values are 0.

    Example:
        >>> magnitude(np.array([-6.0, 1.0])), magnitude(np.zeros(2))
        (4.0, 1.0)
    """
    largest = float(np.abs(values).max(initial=0.0))
    return math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest else 1.0
