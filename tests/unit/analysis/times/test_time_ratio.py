"""The ratio of the times of two groups, beside brute force and by what it must obey."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from observatory.analysis.stats.observations import Observations
from observatory.analysis.times.estimators.time_ratio import time_ratio
from observatory.core.errors import FitRefusedError
from tests.made_times import Made

BASE = Made(cells=(0.05, 0.06, 0.1, 0.2, 0.5), n_seeds=6, seed_sd=0.2)
"""At 0.05 about half have the event by the horizon."""
SLOWER = replace(BASE, amplitude=1.5 * BASE.amplitude)


def pair(seed: int = 0) -> tuple[Observations, Observations]:
    return SLOWER.one(2 * seed + 1), BASE.one(2 * seed)


def ratio_of(a: Observations, b: Observations) -> float:
    return time_ratio(a, b, ("a", "b"), 0.95).params["ratio"].value


def test_it_is_the_maximum_of_a_likelihood_written_out() -> None:
    a, b = pair()
    cells = np.unique(a.weight_decay)

    def lost(theta: np.ndarray) -> float:
        sigma, log_ratio, medians = np.exp(theta[0]), theta[1], theta[2:]
        total = 0.0
        for group, shift in ((a, log_ratio), (b, 0.0)):
            place = medians[np.searchsorted(cells, group.weight_decay)] + shift
            total += norm.logsf((np.log(6000.0) - place[~group.grokked]) / sigma).sum()
            assert group.time_lo is not None
            with np.errstate(divide="ignore"):
                low, high = (
                    norm.cdf((np.log(t[group.grokked]) - place[group.grokked]) / sigma)
                    for t in (group.time_lo, group.time)
                )
                total += np.log(high - low).sum()
        return -float(total)

    begin = np.concatenate([[np.log(0.3), 0.0], np.log(300.0 / cells)])
    found = minimize(lost, begin, method="BFGS", options={"gtol": 1e-7})
    assert np.log(ratio_of(a, b)) == pytest.approx(found.x[1], abs=1e-5)


def test_it_turns_over_with_its_groups_and_is_one_of_a_group_and_itself() -> None:
    a, b = pair()
    one, other = time_ratio(a, b, ("a", "b"), 0.95), time_ratio(b, a, ("b", "a"), 0.95)
    first, second = one.params["ratio"], other.params["ratio"]
    assert first.value == pytest.approx(1 / second.value)
    assert first.ci_low == pytest.approx(1 / second.ci_high)
    assert one.extras["p"] == pytest.approx(other.extras["p"])
    same = time_ratio(a, a, ("a", "a"), 0.95)
    assert same.params["ratio"].value == pytest.approx(1.0)


def test_times_all_so_many_times_longer_change_it_by_that_factor() -> None:
    a, b = pair()
    assert a.time_lo is not None
    longer = replace(a, time=2 * a.time, time_lo=2 * a.time_lo, horizon_steps=12_000, watched=None)
    assert ratio_of(longer, b) == pytest.approx(2 * ratio_of(replace(a, watched=None), b))


def test_those_without_the_event_count() -> None:
    """They never had it within 6000 steps; without them the slower group looks faster."""
    a, b = pair()
    assert not a.grokked.all()
    assert ratio_of(a.take(a.grokked), b.take(b.grokked)) < ratio_of(a, b)


def test_seeds_that_both_groups_have_are_left_out_together() -> None:
    """An effect of the seed alone, in both groups, is no uncertainty of the ratio."""
    apart = replace(BASE, seed_sd=1.0, noise=0.01, cells=(0.2, 0.5, 1.0))
    b = apart.one(0)
    assert b.time_lo is not None
    a = replace(b, time=1.2 * b.time, time_lo=1.2 * b.time_lo)
    paired = time_ratio(a, b, ("a", "b"), 0.95)
    assert paired.extras["seeds_paired"] is True
    assert b.seed is not None
    other = time_ratio(a, replace(b, seed=b.seed + 100), ("a", "b"), 0.95)
    assert other.extras["seeds_paired"] is False
    assert other.extras["n_seeds"] == paired.extras["n_seeds"] == 6
    narrow, wide = (
        np.log(f.params["ratio"].ci_high / f.params["ratio"].ci_low) for f in (paired, other)
    )
    assert narrow < 0.05 < wide


def test_a_ratio_that_changes_with_weight_decay_is_said() -> None:
    steeper = replace(SLOWER, nu=2.0, amplitude=60.0, cells=(0.1, 0.2, 0.5))
    flat = replace(BASE, cells=(0.1, 0.2, 0.5))
    found = time_ratio(steeper.one(1), flat.one(0), ("a", "b"), 0.95)
    assert any("not the same at all values of weight decay" in w for w in found.warnings)
    constant = time_ratio(*pair(), ("a", "b"), 0.95)
    assert not any("not the same" in w for w in constant.warnings)


def test_what_holds_no_ratio_is_refused_with_its_reason() -> None:
    a, b = pair()
    never = replace(
        a, grokked=np.zeros(a.n, dtype=np.bool_), time=np.full(a.n, np.nan), time_lo=None
    )
    with pytest.raises(FitRefusedError, match="0 replicas of slow had the event `first99`"):
        time_ratio(never, b, ("slow", "base"), 0.95)
    elsewhere = replace(a, weight_decay=a.weight_decay + 0.001)
    with pytest.raises(FitRefusedError, match="share no value of weight decay"):
        time_ratio(elsewhere, b, ("a", "b"), 0.95)
    assert a.seed is not None
    assert b.seed is not None
    with pytest.raises(FitRefusedError, match="needs 3 seeds, got 2"):
        time_ratio(a.take(a.seed < 2), b.take(b.seed < 2), ("a", "b"), 0.95)
    with pytest.raises(FitRefusedError, match="unknown time"):
        time_ratio(replace(a, time=np.full(a.n, np.nan)), b, ("a", "b"), 0.95)
