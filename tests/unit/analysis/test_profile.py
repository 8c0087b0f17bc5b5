import numpy as np
import pytest

from observatory.analysis.fits.profile import Axis, profile_limits

BOUNDS = ((-20.0, 20.0), (-20.0, 20.0))


def bowl(theta):
    """Two correlated normal parameters: the profile of the first has standard deviation 2."""
    precision = np.array([[1.0, -1.5], [-1.5, 3.0]])
    return 0.5 * float(theta @ precision @ theta), precision @ theta


def two_valleys(theta):
    """Lowest at 0, a second valley at 4 that is 0.5 higher, a ridge of about 5 in between."""
    t, u = theta
    wave = 2.5 * (1 - np.cos(np.pi * t / 2)) + 0.125 * t
    slope = 2.5 * np.pi / 2 * np.sin(np.pi * t / 2) + 0.125
    return float(wave + u * u), np.array([slope, 2 * u])


def test_limits_of_a_normal_likelihood_are_its_quantiles() -> None:
    low, high = profile_limits(bowl, BOUNDS, np.zeros(2), Axis(0, -10.0, 10.0, 0.3), 1.92)
    # the profile is t^2 / 8 exactly: 1 - 1.5^2 / 3 = 1/4 is the precision left
    assert (low, high) == pytest.approx((-np.sqrt(8 * 1.92), np.sqrt(8 * 1.92)), abs=1e-6)


def test_the_outermost_crossing_counts() -> None:
    best = np.zeros(2)
    _, high = profile_limits(two_valleys, BOUNDS, best, Axis(0, -1.5, 6.0, 0.1), 1.92)
    assert high is not None
    assert 4.0 < high < 5.0
    assert two_valleys(np.array([high, 0.0]))[0] == pytest.approx(1.92, abs=1e-6)


def test_a_side_without_a_crossing_is_open() -> None:
    low, high = profile_limits(bowl, BOUNDS, np.zeros(2), Axis(0, -2.0, 10.0, 0.3), 1.92)
    assert low is None
    assert high is not None
