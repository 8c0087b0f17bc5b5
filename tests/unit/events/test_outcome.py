from itertools import product

import numpy as np
import pytest

from observatory.core.errors import ConfigError
from observatory.events.interval import Interval
from observatory.events.outcome import Label, LostRule, label

STEPS = np.arange(0, 300, 25)
RULE = LostRule(0.9, 3)
NOT = Interval(None, None, False, 275)
MEM = Interval(25.0, 50.0, True, 275)
GROK = Interval(100.0, 125.0, True, 275)
KEPT = np.where(STEPS >= 125, 1.0, 0.4)


def labelled(val_acc=KEPT, first99=GROK, mem=MEM, diverged=None, collapsed=None) -> Label:
    return label(
        STEPS,
        val_acc,
        first99=first99,
        mem=mem,
        diverged_step=diverged,
        collapsed_step=collapsed,
        lost_rule=RULE,
    )


def test_precedence_over_every_combination() -> None:
    fell = np.where(STEPS > 150, 0.2, KEPT)
    for diverged, collapsed, grok, fallen, mem in product([False, True], repeat=5):
        found = labelled(
            val_acc=fell if fallen else KEPT,
            first99=GROK if grok else NOT,
            mem=MEM if mem else NOT,
            diverged=10 if diverged else None,
            collapsed=20 if collapsed else None,
        ).outcome
        applies = {
            "diverged": diverged,
            "collapsed": collapsed,
            "lost": grok and fallen,
            "grokked": grok,
            "memorised": mem,
            "none": True,
        }
        assert found == next(name for name, holds in applies.items() if holds)


@pytest.mark.parametrize(
    ("tail", "outcome"),
    [
        ([0.89, 0.89, 0.89, 1, 1, 1], "lost"),
        ([0.89, 0.89, 0.9, 0.89, 0.89, 1], "grokked"),  # 0.9 is not below, and breaks the run
        ([1, 1, 1, 1, 0.5, 0.5], "grokked"),  # two looks only
        ([np.nan] * 6, "grokked"),  # NaN is not below: divergence has its own rule
    ],
)
def test_lost_is_three_looks_in_a_row_below_the_level(tail, outcome: str) -> None:
    assert labelled(val_acc=np.concatenate([KEPT[:6], tail])).outcome == outcome


def test_looks_before_the_touch_do_not_lose_it() -> None:
    assert labelled(val_acc=np.where(STEPS < 125, 0.0, 1.0)).outcome == "grokked"


@pytest.mark.parametrize(("t_hi", "instant"), [(50, True), (75, True), (100, False), (25, True)])
def test_instant_is_within_one_look_of_memorising(t_hi: int, instant: bool) -> None:
    first = Interval(t_hi - 25.0, float(t_hi), True, 275)
    assert labelled(val_acc=np.ones(STEPS.size), first99=first) == Label("grokked", instant)


def test_instant_counts_looks_not_steps() -> None:
    steps = np.array([0, 10, 1000, 2000])
    mem, first = Interval(0.0, 10.0, True, 2000), Interval(10.0, 1000.0, True, 2000)
    found = label(
        steps,
        np.ones(4),
        first99=first,
        mem=mem,
        diverged_step=None,
        collapsed_step=None,
        lost_rule=RULE,
    )
    assert found.instant


def test_instant_is_a_flag_on_grokked_alone() -> None:
    assert not labelled(first99=MEM, collapsed=200).instant
    assert not labelled(first99=GROK, mem=NOT).instant


def test_a_step_zero_divergence_is_a_divergence() -> None:
    assert labelled(diverged=0).outcome == "diverged"
    assert labelled(collapsed=0).outcome == "collapsed"


def test_a_rule_without_looks_is_refused() -> None:
    with pytest.raises(ConfigError, match="`looks` must be at least 1"):
        LostRule(0.9, 0)
