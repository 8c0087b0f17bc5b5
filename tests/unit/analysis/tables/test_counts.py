"""Observations, bins and Wilson intervals."""

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from observatory.analysis.stats.bins import bin_rates, non_monotone, require_boundary
from observatory.analysis.stats.observations import Observations, from_counts
from observatory.analysis.stats.wilson import wilson_interval
from observatory.core.errors import FitRefusedError


def test_counts_and_replicas_are_two_forms_of_one_table() -> None:
    data = from_counts([1.0, 0.1, 0.5], [4, 3, 2], [4, 0, 1], "first99", 2500)
    bins = bin_rates(data)
    assert bins.weight_decay == pytest.approx([0.1, 0.5, 1.0])
    assert bins.n.tolist() == [3, 2, 4]
    assert bins.k.tolist() == [0, 1, 4]


def test_the_window_keeps_positive_weight_decays_up_to_its_end() -> None:
    data = from_counts([0.0, 0.1, 1.0, 2.0], [2] * 4, [0, 1, 2, 2], "first99", None)
    assert np.unique(data.within(1.0).weight_decay).tolist() == [0.1, 1.0]


def test_epochs_and_the_warning_follow_the_horizon() -> None:
    one = np.ones(1)
    known = Observations(one, one > 0, one, "first99", 2500, 10)
    assert known.horizon_epochs == 250.0
    assert known.horizon_warnings == []
    unknown = Observations(one, one > 0, one, "first99", None, 10)
    assert unknown.horizon_epochs is None
    assert "no horizon" in unknown.horizon_warnings[0]


def test_tables_that_contradict_themselves_are_refused() -> None:
    one = np.ones(1)
    with pytest.raises(ValueError, match="equally long"):
        Observations(one, np.ones(2, dtype=bool), one, "first99", None, None)
    with pytest.raises(ValueError, match="at least 0"):
        Observations(-one, one > 0, one, "first99", None, None)
    with pytest.raises(ValueError, match="`n_grokked` must lie in"):
        from_counts([0.1], [2], [3], "first99", None)
    with pytest.raises(ValueError, match="must be positive on a log axis"):
        bin_rates(from_counts([0.0], [2], [1], "first99", None))


@pytest.mark.parametrize(
    ("decays", "k", "reason"),
    [
        ([0.1], [1], "at least two weight decays, got 1"),
        (
            [0.1, 1.0],
            [0, 0],
            "No replica had the event `first99` between 0.1 and 1. Add larger weight decays",
        ),
        (
            [0.1, 1.0],
            [4, 4],
            "Every replica had the event `first99` between 0.1 and 1. Add smaller",
        ),
    ],
)
def test_counts_without_a_boundary_are_refused(decays, k, reason: str) -> None:
    with pytest.raises(FitRefusedError, match=reason):
        require_boundary(bin_rates(from_counts(decays, [4] * len(k), k, "first99", None)))


def test_the_largest_fall_is_named() -> None:
    data = from_counts([0.1, 0.3, 0.5, 1.0], [10] * 4, [2, 10, 9, 4], "first99", None)
    (warning,) = non_monotone(bin_rates(data))
    assert "falls from 1.00 at weight decay 0.3 to 0.40 at 1" in warning
    # hypergeometric: 2 C(10,6) C(10,0) / C(20,6) = 2 * 210 / 38760
    assert "p = 0.011" in warning


def test_a_rising_rate_gives_no_warning() -> None:
    data = from_counts([0.1, 0.3, 1.0], [10] * 3, [2, 2, 9], "first99", None)
    assert non_monotone(bin_rates(data)) == []


@pytest.mark.parametrize("level", [0.68, 0.95, 0.999])
def test_wilson_equals_statsmodels(level: float) -> None:
    n = np.repeat([1, 8, 30, 1000], 31)
    k = np.minimum(np.tile(np.arange(31), 4), n)
    low, high = wilson_interval(k, n, level)
    other_low, other_high = proportion_confint(k, n, alpha=1 - level, method="wilson")
    # two closed forms of one formula: rounding only
    assert np.abs(low - np.clip(other_low, 0, 1)).max() < 1e-12
    assert np.abs(high - np.clip(other_high, 0, 1)).max() < 1e-12


def test_wilson_needs_trials() -> None:
    with pytest.raises(ValueError, match="`n` must be positive"):
        wilson_interval([0], [0], 0.95)


def test_less_than_a_replica_is_refused() -> None:
    data = from_counts([0.1, 1.0, 2.0], [4, 4, 4], [0, 2, 4], "e", 1)
    light = replace(data, weight=data.weights * np.where(data.weight_decay == 0.1, 0.1, 0.5))
    with pytest.raises(FitRefusedError, match=r"at weight decay 0\.1 add up to 0\.4 replicas"):
        require_boundary(bin_rates(light))
