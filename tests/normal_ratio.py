"""What the largest of normal entries is, in medians: the ratio without anything massive."""

import numpy as np
from scipy.integrate import quad
from scipy.special import erfc, ndtri


def normal_ratio(n: int) -> float:
    """The largest of n absolute normal values over their median, expected."""

    def above(x: float) -> float:
        return -float(np.expm1(n * np.log1p(-erfc(x / np.sqrt(2.0)))))

    largest = quad(above, 1e-9, 12.0, points=[2.0, 4.0, 6.0], limit=500)[0]
    return largest / float(ndtri(0.75))
