"""Verdicts of audits on made-up studies with signals of known skill."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from observatory.analysis.forecast.estimators.conformal import from_alarms
from tests.made_forecasts import Made
from tests.statistical.audit_studies import SETS, audit, number, verdict, wrongly_better

pytestmark = pytest.mark.statistical
ALPHA = 1e-3
UNSKILLED = ("nothing", "clock_copy", "decay_on")


def test_signals_without_skill_are_not_better_and_a_precursor_is() -> None:
    """H0: at most 5 % of studies call any of three unskilled signals better; 5 studies.

    Better in at most Binomial(5, 0.05)'s 99.9 % limit; the precursor, which leads by 600 steps in
    every study, is better in all but at most one. Seeds 0 to 4.
    """
    wrong = right = 0
    for seed in range(5):
        records = SETS["negatives"].records(seed, (*UNSKILLED, "precursor"))
        found = audit(n_bootstrap=199).estimate(records, seed)
        wrong += wrongly_better(found, UNSKILLED)
        right += verdict(found, "precursor").startswith("better than every baseline")
        assert number(found, "precursor", "lead") == pytest.approx(550, abs=100)
    assert wrong <= binom.isf(ALPHA, 5, 0.05)
    assert right >= 4


def test_a_signal_as_good_as_a_baseline_is_not_better_than_every_baseline() -> None:
    """H0: at most 5 % of studies call it so; 5 studies, alpha = 1e-3, seeds 0 to 4."""
    wrong = 0
    for seed in range(5):
        found = audit(n_bootstrap=99).estimate(SETS["even"].records(seed, ("even",)), seed)
        wrong += wrongly_better(found, ("even",))
    assert wrong <= binom.isf(ALPHA, 5, 0.05)


def test_negatives_without_decay_let_a_detector_of_decay_pass() -> None:
    """The lesson of matched negatives, one study: the same signal, two kinds of negatives.

    It rises at a fixed step wherever there is weight decay. Set beside runs without any it
    forecasts most events; set beside runs of the same weight decay it forecasts none.
    """
    made = replace(Made(), twins=False, n_seeds=20, times=(1200.0, 2600.0))
    records = made.records(0, ("decay_on",))
    unmatched = records.kept((records.kind == "event") | (records.control == 0))
    fooled = audit(matched=False, n_bootstrap=99).estimate(unmatched, 0)
    assert verdict(fooled, "decay_on").startswith("better")
    assert number(fooled, "decay_on", "detects") > 0.8
    found = audit(n_bootstrap=99).estimate(made.records(0, ("decay_on",)), 0)
    assert not verdict(found, "decay_on").startswith("better")
    assert number(found, "decay_on", "detects") < 0.2


def test_a_nowcast_is_called_one() -> None:
    """One study: the signal rises 250 steps ahead of the event, val accuracy 400 steps ahead."""
    found = audit().estimate(SETS["negatives"].records(0, ("nowcast", "precursor")), 0)
    assert verdict(found, "nowcast").endswith("a nowcast")
    assert "nowcast" not in verdict(found, "precursor")


def test_conformal_intervals_cover() -> None:
    """H0: coverage at least 0.9 for exchangeable events; 800 of one new event each, seed 5.

    Log event = log alarm + noise with heavy tails, 20 to train, 25 to calibrate.
    """
    rng, held = np.random.default_rng(5), 0
    for _ in range(800):
        alarm = np.exp(rng.normal(6, 0.5, 46))
        event = alarm * np.exp(np.abs(rng.standard_t(3, 46)) * 0.2 + 0.1)
        made = from_alarms((alarm[:20], event[:20]), (alarm[20:45], event[20:45]), alarm[45:], 0.9)
        held += made.low[0] <= event[45] <= made.high[0]
    assert held >= binom.ppf(ALPHA, 800, 0.9)
