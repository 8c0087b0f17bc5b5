from observatory.events.interval import Interval
from observatory.events.verma import locate_verma


def test_a_recorded_touch_gives_the_time_whatever_came_later() -> None:
    found = locate_verma([0, 25, 50], [0.0, 0.99, 0.1], 0.99, 0.95)
    assert found == Interval(0.0, 25.0, True, 50)


def test_the_last_value_alone_gives_an_event_without_a_time() -> None:
    found = locate_verma([0, 25, 50], [0.0, 0.98, 0.951], 0.99, 0.95)
    assert found == Interval(None, None, True, 50)


def test_the_last_value_must_exceed_the_level() -> None:
    assert not locate_verma([0, 25], [0.98, 0.95], 0.99, 0.95).observed
    assert not locate_verma([0, 25], [0.98, float("nan")], 0.99, 0.95).observed
