import numpy as np
import pytest

from observatory.core.errors import ConfigError
from observatory.events.interval import Interval
from observatory.events.threshold import Threshold, locate_threshold, run_starts

STEPS = np.arange(0, 200, 25)  # 8 looks


def slow_locate(steps, values, level, persistence, tolerance):
    """The definition, word by word."""
    for i, value in enumerate(values):
        later = values[i : i + persistence]
        if len(later) < persistence:
            break
        if value >= level and all(v >= level - tolerance for v in later):
            return (float(steps[i - 1]) if i else 0.0), float(steps[i])
    return None


def test_event_lies_between_the_look_before_and_the_first_look_that_shows_it() -> None:
    values = [0.0, 0.5, 0.98, 0.99, 0.2, 1.0, 1.0, 1.0]
    assert locate_threshold(STEPS, values, 0.99, 1, 0.0) == Interval(50.0, 75.0, True, 175)


def test_persistence_skips_a_touch_that_does_not_hold() -> None:
    values = [0.0, 0.5, 0.98, 0.99, 0.2, 1.0, 1.0, 1.0]
    assert locate_threshold(STEPS, values, 0.99, 3, 0.01) == Interval(100.0, 125.0, True, 175)


@pytest.mark.parametrize(("later", "held"), [(0.981, True), (0.979, False)])
def test_later_looks_may_fall_by_the_tolerance_and_no_further(later: float, held: bool) -> None:
    values = [0.0, 0.99, later, 0.99]
    assert locate_threshold(STEPS[:4], values, 0.99, 3, 0.01).observed is held


def test_the_first_look_itself_must_reach_the_level_without_tolerance() -> None:
    values = [0.985, 0.99, 0.985, 0.985]
    assert locate_threshold(STEPS[:4], values, 0.99, 3, 0.01) == Interval(0.0, 25.0, True, 75)


def test_a_record_that_ends_too_early_does_not_show_the_event_yet() -> None:
    values = [0.0, 0.0, 1.0, 1.0]
    assert not locate_threshold(STEPS[:4], values, 0.99, 3, 0.01).observed
    assert locate_threshold(STEPS[:5], [*values, 1.0], 0.99, 3, 0.01).t_hi == 50.0
    assert not locate_threshold([0], [1.0], 0.99, 3, 0.01).observed


def test_nan_never_satisfies() -> None:
    nan = float("nan")
    assert not locate_threshold([0, 25], [nan, nan], 0.99, 1, 0.0).observed
    assert not locate_threshold(STEPS[:4], [0.0, 1.0, nan, 1.0], 0.99, 3, 0.01).observed


@pytest.mark.parametrize(("first", "expected"), [(0, (0.0, 0.0)), (25, (0.0, 25.0))])
def test_an_event_at_the_first_look_happened_since_step_zero(first: int, expected) -> None:
    found = locate_threshold([first, first + 25], [1.0, 1.0], 0.99, 1, 0.0)
    assert (found.t_lo, found.t_hi) == expected


def test_equals_the_definition_word_by_word() -> None:
    rng = np.random.default_rng(3)
    seen = 0
    for _ in range(2000):
        values = rng.choice([0.5, 0.975, 0.981, 0.99, 1.0, np.nan], size=rng.integers(1, 9))
        persistence = int(rng.integers(1, 4))
        steps = STEPS[: values.size]
        found = locate_threshold(steps, values, 0.99, persistence, 0.01)
        expected = slow_locate(steps, values, 0.99, persistence, 0.01)
        assert (found.t_lo, found.t_hi) == (expected or (None, None))
        assert found.observed is (expected is not None)
        seen += found.observed
    assert 200 < seen < 1800  # both answers were exercised


def test_run_starts_finds_complete_runs_only() -> None:
    assert run_starts(np.array([True, True]), 3).size == 0
    assert run_starts(np.array([True, True, True, False]), 3).tolist() == [True, False]


@pytest.mark.parametrize(("steps", "values"), [([], []), ([0, 25], [1.0])])
def test_unequal_or_empty_records_are_refused(steps, values) -> None:
    with pytest.raises(ValueError, match="equally long and not empty"):
        locate_threshold(steps, values, 0.99, 1, 0.0)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="`persistence` must be at least 1"):
        Threshold("val_acc", 0.99, 0, 0.0)
    with pytest.raises(ConfigError, match="`tolerance` must be at least 0"):
        Threshold("val_acc", 0.99, 1, -0.1)


@pytest.mark.parametrize(
    "wrong", [(0.0, None, True), (0.0, 25.0, False), (50.0, 25.0, True)], ids=str
)
def test_an_interval_that_contradicts_itself_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match="`t_lo`"):
        Interval(*wrong, watched=100)
