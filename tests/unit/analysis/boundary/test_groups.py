"""Ratios of boundaries, rates side by side, and the planner of seeds."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from observatory.analysis.boundary.compare import at_common_horizon, compare_groups
from observatory.analysis.boundary.estimators.logistic import curve
from observatory.analysis.boundary.estimators.ratio import boundary_ratio
from observatory.analysis.boundary.seeds_needed import plan_seeds
from observatory.analysis.stats.observations import Observations, from_counts
from observatory.analysis.stats.paired_rates import compare_rates
from observatory.core.errors import ConfigError, FitRefusedError

DECAYS = np.geomspace(0.02, 1.0, 12)


def counts(critical: float, n: int = 20, slope: float = 10.0) -> Observations:
    k = np.round(n * curve(np.log10(DECAYS), np.log10(critical), slope))
    return from_counts(DECAYS, [n] * 12, k, "first99", 2500)


def runs(critical: float, seed: int, n_seeds: int = 12) -> Observations:
    rng = np.random.default_rng(seed)
    grokked = rng.random((n_seeds, 12)) < curve(np.log10(DECAYS), np.log10(critical), 10.0)
    return Observations(
        np.tile(DECAYS, n_seeds),
        grokked.ravel(),
        np.where(grokked.ravel(), 200.0 / np.tile(DECAYS, n_seeds), np.nan),
        "first99",
        2500,
        1,
        seed=np.repeat(np.arange(n_seeds), 12),
    )


@pytest.mark.slow
def test_a_planted_ratio_lies_in_its_interval_and_one_is_not_told_from_one() -> None:
    three = boundary_ratio(counts(0.3), counts(0.1), ("a", "b"), 0.95, 300, 0)
    ratio = three.params["ratio"]
    assert ratio.ci_low < 3.0 < ratio.ci_high
    assert ratio.value == pytest.approx(3.0, rel=0.1)
    assert three.extras["p"] < 1e-6
    low, high = three.extras["bootstrap_low"], three.extras["bootstrap_high"]
    assert low < 3.0 < high
    # profile and bootstrap: two roads to one width
    assert np.log(ratio.ci_high / ratio.ci_low) == pytest.approx(np.log(high / low), rel=0.35)
    same = boundary_ratio(counts(0.1), counts(0.1), ("a", "b"), 0.95, 300, 0)
    assert same.params["ratio"].value == pytest.approx(1.0)
    assert same.extras["p"] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
def test_the_ratio_turns_over_with_its_groups() -> None:
    one = boundary_ratio(counts(0.3), counts(0.1), ("a", "b"), 0.95, 100, 0).params["ratio"]
    other = boundary_ratio(counts(0.1), counts(0.3), ("b", "a"), 0.95, 100, 0).params["ratio"]
    # limits are read on a grid of 0.005 decades, 1.2 %
    assert one.value == pytest.approx(1 / other.value)
    assert one.ci_low == pytest.approx(1 / other.ci_high, rel=0.012)
    assert one.ci_high == pytest.approx(1 / other.ci_low, rel=0.012)


def test_shared_seeds_are_drawn_jointly_and_a_group_without_boundary_is_named() -> None:
    found = boundary_ratio(runs(0.2, 0), runs(0.1, 1), ("a", "b"), 0.95, 100, 0)
    assert found.extras["seeds_drawn_jointly"] is True
    with pytest.raises(FitRefusedError, match="none: No replica had the event"):
        boundary_ratio(
            from_counts(DECAYS, [8] * 12, [0] * 12, "e", 2500),
            counts(0.1),
            ("none", "b"),
            0.95,
            50,
            0,
        )


def test_different_horizons_are_told() -> None:
    longer = from_counts(DECAYS, [20] * 12, [0] * 5 + [10] + [20] * 6, "first99", 6000)
    found = boundary_ratio(longer, counts(0.1), ("a", "b"), 0.95, 50, 0)
    assert found.to_json()["horizon_steps"] is None
    assert any("horizons differ (6000 and 2500 steps)" in w for w in found.warnings)
    cut = at_common_horizon({"a": runs(0.1, 0), "b": runs(0.1, 1).at_horizon(1000.0)})
    assert [group.horizon_steps for group in cut.values()] == [1000, 1000]


@pytest.mark.slow
def test_rates_are_paired_by_seed() -> None:
    a, b = runs(0.2, 0), runs(0.1, 1)
    found = compare_rates(a, b, ("a", "b"), 0.95)
    assert found.estimator == "mcnemar"
    at = found.curves["rates.weight_decay"].index(DECAYS[5])
    one = a.grokked[a.weight_decay == DECAYS[5]]
    other = b.grokked[b.weight_decay == DECAYS[5]]
    table = [
        [(one & other).sum(), (one & ~other).sum()],
        [(~one & other).sum(), (~one & ~other).sum()],
    ]
    assert found.curves["rates.p"][at] == pytest.approx(
        mcnemar(table, exact=True).pvalue, abs=1e-10
    )
    assert found.curves["rates.a"][at] == one.mean()
    assert min(found.curves["rates.p_holm"]) == found.extras["smallest_p_holm"]
    assert compare_rates(counts(0.2), counts(0.1), ("a", "b"), 0.95).estimator == "fisher"


def test_rates_need_a_weight_decay_in_common() -> None:
    elsewhere = from_counts(DECAYS * 1.01, [8] * 12, [4] * 12, "first99", 2500)
    with pytest.raises(FitRefusedError, match="share no value"):
        compare_rates(elsewhere, counts(0.1), ("a", "b"), 0.95)


@pytest.mark.slow
def test_ratios_are_one_family_adjusted_by_holm() -> None:
    nothing = from_counts(DECAYS, [8] * 12, [0] * 12, "first99", 2500)
    groups = {"ref": counts(0.1), "near": counts(0.12), "far": counts(0.3), "none": nothing}
    records = compare_groups(groups, 0.95, 50, 0)
    ratios = {r["extras"]["numerator"]: r for r in records if r["fit"] == "boundary_ratio"}
    assert set(ratios) == {"near", "far", "none"}
    assert "No replica had the event" in ratios["none"]["refused"]
    near, far = ratios["near"]["extras"], ratios["far"]["extras"]
    assert near["family"] == far["family"] == 2
    assert far["p_holm"] == pytest.approx(2 * far["p"])
    assert near["p_holm"] == pytest.approx(max(near["p"], far["p_holm"]))


@pytest.mark.slow
def test_more_seeds_are_planned_for_a_narrower_interval() -> None:
    wide, narrow = (
        plan_seeds(counts(0.12, n=16), width, 0.8, 200, 0.95, 0) for width in (0.3, 0.15)
    )
    assert wide.params["n_seeds"].value < narrow.params["n_seeds"].value
    shares = narrow.curves["plan.share_reached"]
    assert shares[-1] >= 0.8 > max(shares[:-1])
    assert narrow.extras["n_replicas"] == 12 * narrow.params["n_seeds"].value


@pytest.mark.slow
def test_a_grid_too_coarse_for_the_width_is_told_where_to_add() -> None:
    steep = from_counts([0.01, 0.1, 1.0], [20] * 3, [0, 0, 20], "first99", 2500)
    with pytest.raises(FitRefusedError, match=r"Add values of weight decay between 0\.1 and 1"):
        plan_seeds(steep, 0.05, 0.8, 50, 0.95, 0)
    with pytest.raises(ConfigError, match="`width_decades` must be a positive"):
        plan_seeds(steep, 0.0, 0.8, 50, 0.95, 0)
    with pytest.raises(ConfigError, match="`assurance`"):
        plan_seeds(steep, 0.1, 80.0, 50, 0.95, 0)


def test_a_flat_group_has_no_ratio_and_a_far_one_has_its_p_value() -> None:
    flat = from_counts([0.03, 0.06, 0.1, 0.2, 0.5, 1.0], [20] * 6, [15, 16, 15, 17, 16, 17], "e", 1)
    with pytest.raises(FitRefusedError, match="flat: The event rate does not rise"):
        boundary_ratio(flat, counts(0.1), ("flat", "b"), 0.95, 50, 0)
    decays = [[0.001, 0.01, 0.1], [0.1, 1.0, 10.0]]
    low, high = (from_counts(x, [5] * 3, [0, 2, 5], "e", 1) for x in decays)
    far = boundary_ratio(high, low, ("high", "low"), 0.95, 200, 0)
    assert far.params["ratio"].value == pytest.approx(100.0, rel=1e-3)
    assert 1e-12 < far.extras["p"] < 0.05


@pytest.mark.slow
def test_a_planned_study_is_not_one_that_is_refused() -> None:
    """Four seeds on a steep pilot are mostly separated: that is not reaching the width."""
    plan = plan_seeds(counts(0.12, n=16, slope=25.0), 0.3, 0.8, 200, 0.95, 0)
    assert plan.curves["plan.share_reached"][0] < 0.7
    assert plan.params["n_seeds"].value > 4
