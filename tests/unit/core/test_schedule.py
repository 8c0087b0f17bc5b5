import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.errors import ConfigError
from observatory.core.schedule import AnyOf, At, Every, LogSpaced

SCHEDULES = [
    Every(1),
    Every(7),
    LogSpaced(1),
    LogSpaced(20),
    LogSpaced(100),
    At((0, 3, 50)),
    AnyOf((Every(30), LogSpaced(5))),
]


@given(st.sampled_from(SCHEDULES), st.integers(0, 5000))
def test_following_is_the_next_due_step(schedule, step: int) -> None:
    following = schedule.following(step)
    upper = following if following is not None else step + 200
    assert not any(schedule.due(between) for between in range(step + 1, min(upper, step + 200)))
    if following is not None:
        assert following > step
        assert schedule.due(following)


def test_log_spaced_steps_are_the_rounded_powers() -> None:
    assert [s for s in range(1001) if LogSpaced(3).due(s)] == [
        0,
        1,
        2,
        5,
        10,
        22,
        46,
        100,
        215,
        464,
        1000,
    ]


@pytest.mark.parametrize("wrong", [lambda: Every(0), lambda: LogSpaced(0)])
def test_an_empty_schedule_is_refused(wrong) -> None:
    with pytest.raises(ConfigError):
        wrong()
