import numpy as np
import pytest

from observatory.events.censoring import at_horizon
from observatory.events.interval import Interval
from observatory.events.threshold import locate_threshold

EVENT = Interval(75.0, 100.0, True, 300)


@pytest.mark.parametrize(
    ("horizon", "expected"),
    [
        (300, EVENT),
        (10_000, EVENT),
        (100, Interval(75.0, 100.0, True, 100)),
        (99, Interval(None, None, False, 99)),
    ],
)
def test_an_event_counts_if_its_upper_end_is_within_the_horizon(horizon, expected) -> None:
    assert at_horizon(EVENT, horizon) == expected


def test_a_censored_record_is_censored_earlier() -> None:
    assert at_horizon(Interval(None, None, False, 300), 120).watched == 120
    assert at_horizon(Interval(None, None, False, 300), 500).watched == 300


def test_an_event_without_a_time_cannot_be_cut() -> None:
    untimed = Interval(None, None, True, 300)
    assert at_horizon(untimed, 300) == untimed
    with pytest.raises(ValueError, match="must have times"):
        at_horizon(untimed, 299)


def test_equals_locating_in_the_cut_record() -> None:
    """Re-censoring the result = cutting the record first, for a first touch at look boundaries."""
    rng = np.random.default_rng(0)
    steps = np.arange(0, 500, 25)
    for _ in range(300):
        values = rng.random(steps.size)
        cut = int(rng.integers(1, steps.size))
        whole = locate_threshold(steps, values, 0.9, 1, 0.0)
        part = locate_threshold(steps[:cut], values[:cut], 0.9, 1, 0.0)
        assert at_horizon(whole, int(steps[cut - 1])) == part
