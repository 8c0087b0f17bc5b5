"""Limits of many profiles at once, where they can be written down."""

import numpy as np
import pytest

from observatory.analysis.stats.ascent import Array, climb
from observatory.analysis.stats.profiles import Axis, profile_limits

CENTRES = np.array([[0.5, -1.0], [2.0, 3.0]])
LOW, HIGH = np.full(2, -20.0), np.full(2, 20.0)
STIFF = np.array([[4.0, 1.0], [1.0, 1.0]])


def valleys(theta: Array, rows: np.ndarray) -> tuple[Array, Array, Array]:
    """Two parabolas whose parameters lean on each other."""
    gap = theta - CENTRES[rows]
    pull = -gap @ STIFF
    return 0.5 * (gap * pull).sum(axis=1), pull, np.tile(STIFF, (len(theta), 1, 1))


def test_limits_of_parabolas_are_half_widths_of_their_inverse() -> None:
    """The profile falls by 2 at two standard errors, the other parameter fitted anew."""
    places = np.linspace(-8.0, 8.0, 30)
    axes = [Axis(0, 0, places), Axis(1, 1, places), Axis(1, 0, np.linspace(-8.0, 2.5, 30))]
    starts = CENTRES[:, None] + 1.0
    found = profile_limits(valleys, LOW, HIGH, CENTRES, starts, axes, 2.0, quick=True)
    spread = np.sqrt(np.diag(np.linalg.inv(STIFF)))
    for axis, (lower, upper) in zip(axes[:2], found[:2], strict=True):
        centre, half = CENTRES[axis.problem, axis.index], 2.0 * spread[axis.index]
        assert lower == pytest.approx(centre - half, abs=1e-5)
        assert upper == pytest.approx(centre + half, abs=1e-5)
    assert found[2][0] == pytest.approx(2.0 - 2.0 * spread[0], abs=1e-5)
    assert found[2][1] is None  # the profile stays above up to the end of its axis


def test_a_row_that_cannot_reach_its_goal_is_given_up() -> None:
    """It stops where it hardly rises; one whose goal is reached goes on to the maximum."""
    looks: list[int] = []

    def counted(theta: Array, rows: np.ndarray) -> tuple[Array, Array, Array]:
        looks.append(len(theta))
        value, pull, metric = valleys(theta, np.zeros(len(theta), int))
        return value, pull, 8.0 * metric  # a metric that makes small steps

    start = np.zeros((2, 2))
    goal = np.array([1e6, -1.0])
    theta, value = climb(counted, start, LOW, HIGH, 1e-12, goal)
    assert value[0] < -1e-3
    assert theta[1] == pytest.approx(CENTRES[0], abs=1e-3)
    assert looks[1] == 2
    assert looks[2] == 1
