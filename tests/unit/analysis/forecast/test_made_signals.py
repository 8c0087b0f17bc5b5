"""One study each with a signal of known skill: what negatives without decay and a nowcast teach."""

from dataclasses import replace

import numpy as np
import pytest

from observatory.analysis.forecast.estimators.records import SignalRecords
from tests.made_forecasts import Made
from tests.statistical.forecast_studies import SETS, comparison, number, verdict


@pytest.mark.slow
def test_negatives_without_decay_let_a_detector_of_decay_pass() -> None:
    """The lesson of matched negatives: the same signal, two kinds of negatives.

    It rises at a fixed step wherever there is weight decay. Set beside runs without any it
    forecasts most events; set beside runs of the same weight decay it forecasts none.
    """
    made = replace(Made(), twins=False, n_seeds=20, times=(1200.0, 2600.0))
    records = made.records(0, ("decay_on",))
    unmatched = kept(records, (records.kind == "event") | (records.control == 0))
    fooled = comparison(matched=False, n_bootstrap=99).estimate(unmatched, 0)
    assert verdict(fooled, "decay_on").startswith("better")
    assert number(fooled, "decay_on", "detects") > 0.8
    found = comparison(n_bootstrap=99).estimate(records, 0)
    assert not verdict(found, "decay_on").startswith("better")
    assert number(found, "decay_on", "detects") < 0.2


def kept(records: SignalRecords, rows: np.ndarray) -> SignalRecords:
    """Some of the replicas."""
    assert records.val_acc is not None
    names = ("seed", "control", "kind", "opened", "t_lo", "t_hi", "watched", "val_acc")
    signals = {
        name: replace(s, value=s.value[rows], change=s.change[rows], readings=s.readings[rows])
        for name, s in records.signals.items()
    }
    return replace(records, signals=signals, **{n: getattr(records, n)[rows] for n in names})


@pytest.mark.slow
def test_a_nowcast_is_called_one() -> None:
    """The signal rises 250 steps ahead of the event, val accuracy 400 steps ahead."""
    found = comparison().estimate(SETS["negatives"].records(0, ("nowcast", "precursor")), 0)
    assert verdict(found, "nowcast").endswith("a nowcast")
    assert "nowcast" not in verdict(found, "precursor")
