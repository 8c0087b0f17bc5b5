"""Shapes of the rise from 0 to 1, each with its midpoint at 0 and both tails exact."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.solvers import expit, normal_cdf
from observatory.core.errors import ConfigError

Array = NDArray[np.float64]
_TO_MIDPOINT = math.log(math.log(2.0))


@dataclass(frozen=True)
class Link:
    """A distribution function with median 0."""

    name: str  # how it is called: "logistic", "probit" or "cloglog"
    rise: Callable[[Array], Array]  # F(z)
    fall: Callable[[Array], Array]  # 1 - F(z), without cancellation
    bell: Callable[[Array, Array, Array], Array]  # the density F'(z), from z, F(z) and 1 - F(z)


def _normal_bell(z: Array, _rise: Array, _fall: Array) -> Array:
    return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def _hazard(z: Array) -> Array:
    return np.exp(np.minimum(z + _TO_MIDPOINT, 700.0))


LINKS = {
    "logistic": Link("logistic", expit, lambda z: expit(-z), lambda _, up, down: up * down),
    "probit": Link("probit", normal_cdf, lambda z: normal_cdf(-z), _normal_bell),
    "cloglog": Link(
        "cloglog",
        lambda z: -np.expm1(-_hazard(z)),
        lambda z: np.exp(-_hazard(z)),
        lambda z, _, fall: _hazard(z) * fall,
    ),
}
"""By name; complementary log-log is shifted so that its midpoint, too, is F = 1/2."""


def link_named(name: str) -> Link:
    """The link of a name.

    Raises:
        ConfigError: If there is none.
    """
    if name not in LINKS:
        raise ConfigError(f"`link` must be among {sorted(LINKS)}, got {name}.")
    return LINKS[name]
