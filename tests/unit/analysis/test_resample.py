import numpy as np
import pytest

from observatory.analysis.fits.resample import (
    percentile_interval,
    replica_weights,
    standard_error,
)

STRATUM = np.array([0, 2, 0, 1, 2, 2, 0])


def test_every_weight_decay_keeps_its_number_of_replicas() -> None:
    weights = replica_weights(STRATUM, 500, np.random.default_rng(0))
    for value in (0, 1, 2):
        assert (weights[:, value == STRATUM].sum(axis=1) == (value == STRATUM).sum()).all()
    assert len(np.unique(weights, axis=0)) > 50


def test_the_same_replicas_and_seed_give_the_same_draws() -> None:
    first, again = (replica_weights(STRATUM, 20, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, replica_weights(STRATUM, 20, np.random.default_rng(8)))


def test_limits_are_order_statistics_rounded_outwards() -> None:
    draws = np.arange(1.0, 1001.0)
    assert percentile_interval(draws, 0.95) == (25.0, 976.0)
    assert percentile_interval(np.append(draws[:900], [np.inf] * 100), 0.95) == (25.0, np.inf)


def test_no_standard_error_from_infinite_draws() -> None:
    assert standard_error(np.array([1.0, np.inf])) is None
    assert standard_error(np.array([1.0, 3.0])) == pytest.approx(np.sqrt(2.0))
