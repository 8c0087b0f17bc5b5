import pytest

from observatory.events.interval import Interval
from observatory.events.settled import settled

FIRST = Interval(275.0, 300.0, True, 600)
HELD = Interval(375.0, 400.0, True, 600)
NOT = Interval(None, None, False, 600)


@pytest.mark.parametrize(("step", "expected"), [(499, False), (500, True), (600, True)])
def test_the_tail_counts_from_the_first_touch(step: int, expected: bool) -> None:
    assert settled(HELD, FIRST, step, 200) is expected


def test_needs_both_the_touch_and_the_hold() -> None:
    assert not settled(NOT, FIRST, 10_000, 200)
    assert not settled(HELD, NOT, 10_000, 200)
