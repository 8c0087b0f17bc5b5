"""The belief of a boundary, and what a replica would tell of it."""

import numpy as np
import pytest

from observatory.sweeps.acquisition import Worlds, information
from observatory.sweeps.belief import GUESS, Belief, Prior
from tests.made_searches import choose_batch

PRIOR = Prior(0.001, 1.0, n_slopes=5, n_controls=31)
TRUTH, SLOPE = 0.05, 14.0


def test_the_posterior_is_the_product_of_likelihoods() -> None:
    belief, empty = Belief(PRIOR), Belief(PRIOR)
    control = np.array([0.02, 0.1])
    belief.told(control[:1], np.array([3.0]), np.array([1.0]))
    belief.told(control[1:], np.array([2.0]), np.array([2.0]))
    p = belief.chance_at(control)
    likelihood = p[0] * (1 - p[0]) ** 2 * p[1] ** 2
    assert belief.weight == pytest.approx(likelihood / likelihood.sum())
    assert empty.weight == pytest.approx(np.full(likelihood.size, 1 / likelihood.size))
    middle, low, high = empty.interval(0.95)
    assert middle == pytest.approx(-1.5, abs=1e-9)
    assert high - low == pytest.approx(0.95 * 3.0375, rel=0.01)  # half a cell at each end
    assert p.min() >= GUESS
    assert p.max() <= 1 - GUESS


def test_information_is_what_an_outcome_is_expected_to_tell() -> None:
    """Entropy of the critical value, less its mean entropy once the outcome is known."""
    belief = Belief(PRIOR)
    belief.told(np.array([0.01, 0.2]), np.ones(2), np.array([0.0, 1.0]))
    told, chance = information(belief.chance_by_critical, belief.by_critical(belief.weight[None]))

    def entropy(weight: np.ndarray) -> float:
        mass = belief.by_critical(weight / weight.sum()).sum(axis=-1)
        return float(-(mass * np.log(np.maximum(mass, 1e-300))).sum())

    last = belief.controls.size - 1
    for place in (last // 6, last // 2, last - 8):
        p = belief.chance[place]
        yes = float((belief.weight * p).sum())
        after = yes * entropy(belief.weight * p)
        after += (1 - yes) * entropy(belief.weight * (1 - p))
        assert chance[0, place] == pytest.approx(yes)
        assert told[0, place] == pytest.approx(entropy(belief.weight) - after, abs=1e-9)
    # Nothing is told where all would be as they are.
    assert told[0].argmax() not in (0, last)
    assert told[0, 0] < 0.2 * told[0].max()


def test_a_batch_spreads_where_one_replica_more_would_tell_little() -> None:
    batch = choose_batch(Belief(PRIOR), 8, np.random.default_rng(0))
    assert np.unique(batch).size >= 6
    known = Belief(PRIOR)
    grid = np.geomspace(0.001, 1.0, 31)
    p = 1.0 / (1.0 + np.exp(-SLOPE * (np.log10(grid) - np.log10(TRUTH))))
    known.told(grid, np.full(31, 8.0), np.rint(8.0 * p))
    near = choose_batch(known, 8, np.random.default_rng(0))
    assert np.abs(np.log10(near / TRUTH)).max() < 0.6


def test_a_cheaper_replica_is_preferred() -> None:
    """Those that grok leave early: with that, the search asks for larger weight decays."""
    dear, cheap = (Worlds(Belief(PRIOR), 16, np.random.default_rng(0)) for _ in range(2))
    assert cheap.next(lambda p: 0.05 * p + (1.0 - p)) > dear.next()
    allowed = Belief(PRIOR).controls < 0.01
    assert dear.next(allowed=allowed) < 0.01


def test_the_grid_lies_closer_where_the_critical_value_is_and_loses_nothing() -> None:
    grid = np.geomspace(0.001, 1.0, 61)
    grokked = np.rint(10.0 / (1.0 + (grid / TRUTH) ** -SLOPE))
    belief, fine = Belief(PRIOR), Belief(Prior(0.001, 1.0, n_critical=2001, n_slopes=5))
    for each in (belief, fine):
        each.told(grid, np.full(61, 10.0), grokked)
    assert belief.interval(0.95) == pytest.approx(fine.interval(0.95), abs=5e-4)
    assert belief.x0[1] - belief.x0[0] < 0.2 * 3.0 / 80
    assert belief.controls[[0, -1]] == pytest.approx([0.001, 1.0])
    near = np.abs(np.log10(belief.controls / TRUTH)) < 0.1
    assert near.sum() > 20


def test_above_an_upper_edge_replicas_do_not_grok() -> None:
    belief = Belief(Prior(0.001, 1.0, edge="upper"))
    belief.told(np.array([0.01, 0.1]), np.full(2, 4.0), np.array([4.0, 0.0]))
    middle, low, high = belief.interval(0.95)
    assert -2.2 < low < middle < high < -0.8
    assert belief.chance_at(np.array([0.001])) @ belief.weight > 0.8
    assert belief.chance_at(np.array([1.0])) @ belief.weight < 0.05
