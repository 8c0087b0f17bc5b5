"""Limits of one parameter by profile likelihood."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.fits.solvers import minimise_boxed, root

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """Along which parameter, and how far, the profile is looked at.

    Attributes:
        index: Position of the parameter.
        low: Smallest value looked at.
        high: Largest value looked at.
        step: Distance of the values, in the parameter's own units.
    """

    index: int
    low: float
    high: float
    step: float


def profile_limits(
    loss: Callable[[Array], tuple[float, Array]],
    bounds: tuple[tuple[float, float], ...],
    best: Array,
    axis: Axis,
    drop: float,
) -> tuple[float | None, float | None]:
    """Where the profile of a parameter has risen by `drop` above its minimum.

    All other parameters are fitted anew at each value. Where the profile crosses more than once,
    the outermost crossing counts.

    Args:
        loss: Negative log-likelihood and its gradient.
        bounds: Box of all parameters.
        best: Where the loss is least.
        axis: What is profiled.
        drop: Half the chi-square quantile of the level wanted.

    Returns:
        Lower and upper limit; None where the profile stays below up to the end of the axis.
    """
    target = loss(best)[0] + drop

    def profile(value: float, starts: list[Array]) -> tuple[float, Array]:
        held = list(bounds)
        held[axis.index] = (value, value)
        found = [
            minimise_boxed(
                loss, np.concatenate((s[: axis.index], [value], s[axis.index + 1 :])), held
            )
            for s in starts
        ]
        theta, low = min(found, key=lambda pair: pair[1])
        return low, theta

    def outermost(end: float) -> float | None:
        centre = float(best[axis.index])
        count = max(int(np.ceil(abs(end - centre) / axis.step)), 1)
        inner, warm, bracket = centre, best, None
        for value in np.linspace(centre, end, count + 1)[1:]:
            height, theta = profile(float(value), [warm, best])
            if height > target and bracket is None:
                bracket = (inner, float(value), warm)
            if height <= target:
                bracket = None
            inner, warm = float(value), theta
        if bracket is None:
            return None
        inside, outside, near = bracket
        return root(lambda v: profile(v, [near, best])[0] - target, inside, outside)

    return outermost(axis.low), outermost(axis.high)
