"""The posterior of a boundary, and what a replica would tell of it."""

import numpy as np
import pytest

from observatory.sweeps.acquisition import GridDraws, information
from observatory.sweeps.grid_posterior import GUESS, GridPosterior, Prior
from tests.made_searches import choose_batch

PRIOR = Prior(0.001, 1.0, n_slopes=5, n_controls=31)
TRUTH, SLOPE = 0.05, 14.0


def test_the_posterior_is_the_product_of_likelihoods() -> None:
    posterior, empty = GridPosterior(PRIOR), GridPosterior(PRIOR)
    control = np.array([0.02, 0.1])
    posterior.observe(control[:1], np.array([3.0]), np.array([1.0]))
    posterior.observe(control[1:], np.array([2.0]), np.array([2.0]))
    p = posterior.chance_at(control)
    likelihood = p[0] * (1 - p[0]) ** 2 * p[1] ** 2
    assert posterior.weight == pytest.approx(likelihood / likelihood.sum())
    assert empty.weight == pytest.approx(np.full(likelihood.size, 1 / likelihood.size))
    middle, low, high = empty.interval(0.95)
    assert middle == pytest.approx(-1.5, abs=1e-9)
    assert high - low == pytest.approx(0.95 * 3.0375, rel=0.01)  # half a cell at each end
    assert p.min() >= GUESS
    assert p.max() <= 1 - GUESS


def test_information_is_what_an_outcome_is_expected_to_tell() -> None:
    """Entropy of the critical value, less its mean entropy once the outcome is known."""
    posterior = GridPosterior(PRIOR)
    posterior.observe(np.array([0.01, 0.2]), np.ones(2), np.array([0.0, 1.0]))
    nats, chance = information(
        posterior.chance_by_critical, posterior.by_critical(posterior.weight[None])
    )

    def entropy(weight: np.ndarray) -> float:
        mass = posterior.by_critical(weight / weight.sum()).sum(axis=-1)
        return float(-(mass * np.log(np.maximum(mass, 1e-300))).sum())

    last = posterior.controls.size - 1
    for place in (last // 6, last // 2, last - 8):
        p = posterior.chance[place]
        yes = float((posterior.weight * p).sum())
        after = yes * entropy(posterior.weight * p)
        after += (1 - yes) * entropy(posterior.weight * (1 - p))
        assert chance[0, place] == pytest.approx(yes)
        assert nats[0, place] == pytest.approx(entropy(posterior.weight) - after, abs=1e-9)
    # Nothing is learnt where all would be as they are.
    assert nats[0].argmax() not in (0, last)
    assert nats[0, 0] < 0.2 * nats[0].max()


def test_a_batch_spreads_where_one_replica_more_would_tell_little() -> None:
    batch = choose_batch(GridPosterior(PRIOR), 8, np.random.default_rng(0))
    assert np.unique(batch).size >= 6
    known = GridPosterior(PRIOR)
    grid = np.geomspace(0.001, 1.0, 31)
    p = 1.0 / (1.0 + np.exp(-SLOPE * (np.log10(grid) - np.log10(TRUTH))))
    known.observe(grid, np.full(31, 8.0), np.rint(8.0 * p))
    near = choose_batch(known, 8, np.random.default_rng(0))
    assert np.abs(np.log10(near / TRUTH)).max() < 0.6


def test_a_cheaper_replica_is_preferred() -> None:
    """Those that grok leave early: with that, the search asks for larger weight decays."""
    dear, cheap = (GridDraws(GridPosterior(PRIOR), 16, np.random.default_rng(0)) for _ in range(2))
    assert cheap.next(lambda p: 0.05 * p + (1.0 - p)) > dear.next()
    allowed = GridPosterior(PRIOR).controls < 0.01
    assert dear.next(allowed=allowed) < 0.01


def test_the_grid_lies_closer_where_the_critical_value_is_and_loses_nothing() -> None:
    grid = np.geomspace(0.001, 1.0, 61)
    grokked = np.rint(10.0 / (1.0 + (grid / TRUTH) ** -SLOPE))
    posterior, fine = (
        GridPosterior(PRIOR),
        GridPosterior(Prior(0.001, 1.0, n_critical=2001, n_slopes=5)),
    )
    for each in (posterior, fine):
        each.observe(grid, np.full(61, 10.0), grokked)
    assert posterior.interval(0.95) == pytest.approx(fine.interval(0.95), abs=5e-4)
    assert posterior.x0[1] - posterior.x0[0] < 0.2 * 3.0 / 80
    assert posterior.controls[[0, -1]] == pytest.approx([0.001, 1.0])
    near = np.abs(np.log10(posterior.controls / TRUTH)) < 0.1
    assert near.sum() > 20


def test_above_an_upper_edge_replicas_do_not_grok() -> None:
    posterior = GridPosterior(Prior(0.001, 1.0, edge="upper"))
    posterior.observe(np.array([0.01, 0.1]), np.full(2, 4.0), np.array([4.0, 0.0]))
    middle, low, high = posterior.interval(0.95)
    assert -2.2 < low < middle < high < -0.8
    assert posterior.chance_at(np.array([0.001])) @ posterior.weight > 0.8
    assert posterior.chance_at(np.array([1.0])) @ posterior.weight < 0.05
