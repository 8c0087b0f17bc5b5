import numpy as np
import pytest
from scipy.stats import bootstrap

from observatory.analysis.boundary.estimators.firth import BoundaryFirth
from observatory.analysis.stats.bins import bin_rates
from observatory.analysis.stats.observations import Observations, from_counts
from observatory.analysis.stats.resample import (
    bca_interval,
    few_seeds_warning,
    left_out,
    percentile_interval,
    replica_weights,
    resampled_counts,
    row_weights,
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


def test_whole_seeds_are_drawn_where_seeds_recur() -> None:
    """Seed 0 groks everywhere, the others nowhere: k of every draw is the same in every bin."""
    decays, seed = np.repeat([0.1, 1.0], 6), np.tile(np.arange(6), 2)
    data = Observations(decays, seed == 0, np.full(12, np.nan), "e", 1, 1, seed=seed)
    n, k = resampled_counts(bin_rates(data), 200, np.random.default_rng(0))
    assert np.all(n == 6)
    assert np.array_equal(k[:, 0], k[:, 1])
    assert len(np.unique(k[:, 0])) > 2


@pytest.mark.parametrize(
    ("n_seeds", "said"),
    [
        (9, ["The bootstrap draws whole seeds, of which there are 9: with fewer than 10 its "]),
        (10, []),
    ],
)
def test_few_seeds_are_warned_of(n_seeds: int, said: list[str]) -> None:
    decays, seed = np.repeat([0.1, 1.0], n_seeds), np.tile(np.arange(n_seeds), 2)
    data = Observations(decays, seed == 0, np.full(len(seed), np.nan), "e", 1, 1, seed=seed)
    assert few_seeds_warning(bin_rates(data)) == [
        f"{text}intervals are too narrow." for text in said
    ]
    alone = Observations(decays, seed == 0, np.full(len(seed), np.nan), "e", 1, 1)
    assert few_seeds_warning(bin_rates(alone)) == []  # no seed recurs


@pytest.mark.slow
def test_one_seed_everywhere_is_no_unit_of_resampling() -> None:
    decays, grokked = np.repeat([0.1, 0.3, 1.0], 8), np.arange(24) % 8 < np.repeat([1, 4, 7], 8)
    for seed in (np.zeros(24, dtype=np.int64), np.repeat([0, 1, 2], 8)):
        data = Observations(decays, grokked, np.full(24, np.nan), "e", 1, 1, seed=seed)
        bins = bin_rates(data)
        assert bins.n_by is None
        assert np.unique(resampled_counts(bins, 50, np.random.default_rng(0))[1][:, 1]).size > 2
        cell = np.unique(decays, return_inverse=True)[1]
        drawn = row_weights(cell, seed, np.ones(24), 50, np.random.default_rng(0))
        assert drawn.std(axis=0).all()
        told = (
            BoundaryFirth(edge="lower", window_max=1.0, n_simulations=0, level=0.95)
            .fit(data, seed=0)
            .warnings
        )
        assert any("replicas of one seed only" in warning for warning in told)


def test_counts_without_seeds_are_drawn_within_their_bins() -> None:
    data = from_counts([0.1, 1.0], [10, 20], [0, 10], "e", 1)
    n, k = resampled_counts(bin_rates(data), 4000, np.random.default_rng(0))
    assert np.all(n == [10, 20])
    assert np.all(k[:, 0] == 0)
    # Binomial(20, 1/2): variance 5, its standard error over 4000 draws is 0.11
    assert abs(k[:, 1].var() - 5) < 0.5


def test_a_left_out_unit_is_a_seed_or_a_replica() -> None:
    data = from_counts([0.1, 1.0], [3, 2], [1, 2], "e", 1)
    n, k, alike = left_out(bin_rates(data))
    rows = sorted(zip(n.tolist(), k.tolist(), alike.tolist(), strict=True))
    assert rows == [
        ([2.0, 2.0], [0.0, 2.0], 1.0),
        ([2.0, 2.0], [1.0, 2.0], 2.0),
        ([3.0, 1.0], [1.0, 1.0], 2.0),
    ]


def test_bca_equals_scipys_on_a_skewed_mean() -> None:
    rng = np.random.default_rng(0)
    sample = rng.exponential(size=25)
    draws = sample[rng.integers(25, size=(20_000, 25))].mean(axis=1)
    without = (sample.sum() - sample) / 24
    ours = bca_interval(sample.mean(), draws, without, np.ones(25), 0.9)
    other = bootstrap(
        (sample,), np.mean, confidence_level=0.9, n_resamples=20_000, method="BCa", rng=rng
    ).confidence_interval
    # two sets of 20 000 draws: a limit is known to about 2 % of the interval
    assert ours == pytest.approx((other.low, other.high), abs=0.02 * (other.high - other.low))
