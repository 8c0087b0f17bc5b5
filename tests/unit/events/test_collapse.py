import numpy as np

from observatory.events.collapse import collapsed

STEPS = np.arange(0, 2001, 25)
RULE = {"level": 0.3, "looks": 8, "after": 600}


def test_confirmed_at_the_last_of_the_looks_after_the_grace() -> None:
    train = np.where(STEPS >= 1000, 0.05, 1.0)
    assert collapsed(STEPS, train, **RULE) == 1000 + 7 * 25


def test_looks_within_the_grace_do_not_count() -> None:
    assert collapsed(STEPS, np.zeros(STEPS.size), **RULE) == 625 + 7 * 25
    assert collapsed(STEPS[:32], np.zeros(32), **RULE) is None  # ends at step 775


def test_the_looks_must_be_consecutive() -> None:
    train = np.where(np.arange(STEPS.size) % 8 == 7, 0.3, 0.05)
    assert collapsed(STEPS, train, **RULE) is None


def test_nan_is_not_below() -> None:
    assert collapsed(STEPS, np.full(STEPS.size, np.nan), **RULE) is None


def test_a_short_record_has_not_collapsed() -> None:
    assert collapsed([0], [0.0], **RULE) is None
