"""Curves of a cell: what is final, what is kept, and what the quantiles are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.mirror.curves import (
    NEVER,
    Looks,
    final_step,
    held,
    order_statistic,
    quantiles,
    thinned,
)

STEPS = st.lists(st.integers(0, 5000), min_size=1, max_size=60, unique=True).map(sorted)


@given(STEPS, st.integers(1, 59))
@settings(max_examples=200, deadline=None)
def test_a_step_that_is_kept_stays_kept_when_more_come(steps: list[int], cut: int) -> None:
    whole = thinned(np.array(steps), 5000, 20)
    early = thinned(np.array(steps[:cut]), 5000, 20)
    assert (whole[: len(early)] == early).all()


@pytest.mark.parametrize(("every", "horizon"), [(1, 10**5), (25, 2500), (10, 200_000)])
def test_a_curve_keeps_no_more_than_its_points_and_covers_every_decade(
    every: int, horizon: int
) -> None:
    steps = np.arange(0, horizon + 1, every)
    kept = steps[thinned(steps, horizon, 100)]
    assert 30 < len(kept) <= 102
    assert kept[0] == 0
    assert (np.diff(np.log10(kept[1:])) < 0.5).all()


def test_held_values_equal_a_plain_loop_over_replicas_and_steps() -> None:
    rng = np.random.default_rng(0)
    rows = sorted({(int(r), int(s)) for r, s in rng.integers(0, [5, 40], (60, 2))})
    replica, step = np.array(rows).T
    values = rng.normal(size=(len(rows), 2))
    grid = np.arange(0, 45, 3)
    expected = np.full((len(grid), 5, 2), np.nan)
    for i, at in enumerate(grid):
        for r in range(5):
            earlier = [k for k, (rr, ss) in enumerate(rows) if rr == r and ss <= at]
            if earlier:
                expected[i, r] = values[earlier[-1]]
    np.testing.assert_array_equal(held(Looks(replica, step, values), grid), expected)


@given(st.integers(1, 9), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_quantiles_equal_numpy_on_the_finite_values(n: int, level: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(1, n, 1))
    values[0, ::3] = np.inf
    values[0, ::4] = np.nan
    finite = values[np.isfinite(values)]
    found = quantiles(values, (level,))[0, 0, 0]
    if len(finite):
        assert found == pytest.approx(np.quantile(finite, level), abs=1e-12)
    else:
        assert np.isnan(found)


def test_no_step_is_final_before_the_slowest_replica_has_passed_it() -> None:
    looks = Looks(np.array([0, 0, 0, 1, 1]), np.array([0, 25, 50, 0, 25]), np.zeros((5, 1)))
    assert final_step(looks, {0: False, 1: False}) == 25
    assert final_step(looks, {0: False, 1: True}) == 50
    assert final_step(looks, {0: True, 1: True}) == NEVER
    assert final_step(looks, {0: True, 1: True, 2: False}) == -1  # still in the queue


def test_a_median_time_counts_those_that_never_had_the_event() -> None:
    times = np.array([100.0, 200.0, np.inf, np.inf])
    assert order_statistic(times, 0.5) == 200.0
    assert order_statistic(times, 0.75) is None
