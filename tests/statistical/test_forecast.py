"""Verdicts of forecasts on made-up studies with signals of known skill; the studies are stored."""

import numpy as np
import pytest

from observatory.analysis.forecast.estimators.event_times import from_alarms
from tests.power import Rate, states
from tests.statistical import forecast_studies
from tests.statistical.stored import Calibration

SKILL, EVEN = forecast_studies.STORED
WRONG, EVENLY = Rate(300, 0.05, "above"), Rate(150, 0.05, "above")
FOUND = Rate(300, 0.98, "below")
HELD = Rate(800, 0.9, "below")


@pytest.mark.statistical
@pytest.mark.parametrize("stored", forecast_studies.STORED, ids=lambda each: each.name)
def test_stored_studies_are_what_they_are_now(stored: Calibration) -> None:
    """No rate: a part of the stored studies, drawn by a digest of the code, is compared again."""
    assert stored.stale(4) == []


@states(WRONG, FOUND)
def test_signals_without_skill_are_not_better_and_a_precursor_is() -> None:
    """H0: at most 5 % of studies call any of three signals without skill better.

    n = 300, H0 rate at most 0.05, alpha = 0.001: accepts at most 28, catches 0.110.

    And H0: the precursor, which leads by 600 steps, is better than every baseline in 98 %.
    n = 300, H0 rate at least 0.98, alpha = 0.001: accepts at least 285, catches 0.936.
    Its lead is 550 steps. Seeds 0 to 299.
    """
    rows = SKILL.outcomes()
    assert WRONG.accepts(sum(row["wrong"] is True for row in rows))
    assert FOUND.accepts(sum(row["better"] is True for row in rows))
    assert all(row["lead"] == pytest.approx(550, abs=100) for row in rows)


@states(EVENLY)
def test_a_signal_as_good_as_a_baseline_is_not_better_than_every_baseline() -> None:
    """H0: at most 5 % of studies call it so; seeds 0 to 149.

    n = 150, H0 rate at most 0.05, alpha = 0.001: accepts at most 17, catches 0.141.
    """
    assert EVENLY.accepts(sum(row["wrong"] is True for row in EVEN.outcomes()))


@states(HELD)
def test_conformal_intervals_cover() -> None:
    """H0: coverage at least 0.9 for exchangeable events; 800 of one new event each, seed 5.

    Log event = log alarm + noise with heavy tails, 20 to train, 25 to calibrate.
    n = 800, H0 rate at least 0.9, alpha = 0.001: accepts at least 693, catches 0.855.
    """
    rng, held = np.random.default_rng(5), 0
    for _ in range(HELD.n):
        alarm = np.exp(rng.normal(6, 0.5, 46))
        event = alarm * np.exp(np.abs(rng.standard_t(3, 46)) * 0.2 + 0.1)
        made = from_alarms((alarm[:20], event[:20]), (alarm[20:45], event[20:45]), alarm[45:], 0.9)
        held += made.low[0] <= event[45] <= made.high[0]
    assert HELD.accepts(held)
