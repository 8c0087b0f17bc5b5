"""Which edge a table shows, and what is no estimate: ends of a search, points far from the data."""

import numpy as np
import pandas as pd
import pytest

import observatory as ob
from observatory.analysis.boundary.estimators.firth import BoundaryFirth
from observatory.analysis.stats.observations import from_counts
from observatory.core.errors import ConfigError, FitRefusedError

LAPTOP = np.array([0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0])
ESTIMATORS = ("mle", "firth", "lsq", "lsq_smoothed", "beta_binomial", "comparison")


def table(decays, n_grokked, n=8) -> pd.DataFrame:
    return pd.DataFrame({"weight_decay": decays, "n": n, "n_grokked": n_grokked})


def fitted(frame: pd.DataFrame, estimator: str, **settings):
    return ob.fits.boundary(frame, estimator, horizon_steps=2500, seed=0, settings=settings)


FALLING = table([2e-7, 2e-6, 2e-5, 2e-4], [5, 5, 0, 0], n=5)
POOLED = table([2e-7, 2e-6, 2e-5, 2e-4, 0.01, 0.1, 1.0], [5, 5, 0, 0, 5, 5, 5], n=5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_rate_that_falls_is_named_and_how_to_fit_it(estimator: str) -> None:
    words = "event rate falls with weight decay: 10 of 10 had the event `grokked` up to 2e-06, 0 of"
    with pytest.raises(FitRefusedError, match=words) as refusal:
        fitted(FALLING, estimator)
    assert "`--estimator firth --set edge=upper`" in str(refusal.value)


def test_an_upper_edge_alone_is_fitted() -> None:
    """Half-way between the two decays, by symmetry."""
    found = fitted(FALLING, "firth", edge="upper")
    assert found.record["estimator"] == "firth_upper"
    critical, slope = (found.record["params"][name] for name in ("critical", "slope"))
    assert critical["value"] == pytest.approx(np.sqrt(2e-6 * 2e-5), rel=1e-6)
    assert 2e-6 < critical["ci_low"] < critical["value"] < critical["ci_high"] < 2e-5
    assert slope["ci_low"] < slope["value"] < slope["ci_high"] < 0


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "settings"), [("firth", {}), ("mle", {"link": "cloglog"})])
def test_an_upper_edge_is_a_lower_one_seen_from_behind(estimator: str, settings) -> None:
    """The same counts at 1 / weight decay: the point inverts, the slope changes its sign."""
    decays, k = np.array([0.02, 0.05, 0.1, 0.2, 0.5]), [0, 2, 4, 7, 8]
    lower = fitted(table(decays, k), estimator, **settings).record["params"]
    upper = fitted(table(1 / decays, k), estimator, edge="upper", **settings).record["params"]
    for name, turn in (("critical", lambda v: 1 / v), ("slope", lambda v: -v)):
        ends = [turn(lower[name][end]) for end in ("value", "ci_high", "ci_low")]
        assert [upper[name][end] for end in ("value", "ci_low", "ci_high")] == pytest.approx(ends)


def test_a_rate_that_rises_has_no_upper_edge() -> None:
    with pytest.raises(FitRefusedError, match=r"rate rises with weight decay: .* lower edge alone"):
        fitted(table(LAPTOP, [0, 0, 1, 7, 8, 8, 8, 8]), "firth", edge="upper")
    with pytest.raises(ConfigError, match="`edge` must be lower or upper, got 'left'"):
        fitted(table(LAPTOP, [0, 0, 1, 7, 8, 8, 8, 8]), "mle", edge="left")


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["mle", "firth", "lsq", "lsq_smoothed", "beta_binomial"])
def test_two_edges_of_a_pooled_table_give_no_point_far_from_the_data(estimator: str) -> None:
    with pytest.raises(FitRefusedError):
        fitted(POOLED, estimator)


@pytest.mark.slow
def test_a_point_a_decade_beyond_the_values_is_no_estimate() -> None:
    with pytest.raises(FitRefusedError, match=r"6e-10, more than a decade beyond .* falls from"):
        fitted(POOLED, "lsq_smoothed")


@pytest.mark.slow
def test_a_rate_at_the_end_of_its_search_is_marked() -> None:
    """Six of ten grok below the edge: the rate of guessing is searched up to one half."""
    frame = table(LAPTOP, [60, 62, 60, 70, 96, 100, 100, 99], n=100)
    found = fitted(frame, "mle", guess=None)
    guess = found.record["params"]["guess"]
    assert found.record["extras"]["at_limit"] == "guess"
    assert (guess["value"], guess["se"], guess["ci_high"]) == (0.5, None, None)
    assert any(
        "`guess` lies at 0.5, the highest value" in text for text in found.record["warnings"]
    )


@pytest.mark.slow
def test_guesses_among_two_answers_are_held_at_one_half() -> None:
    frame = table(LAPTOP, [50, 48, 52, 60, 93, 100, 100, 99], n=100)
    found = fitted(frame, "mle", guess=0.5).record
    assert found["extras"]["guess"] == 0.5
    assert 0.15 < found["params"]["critical"]["value"] < 0.2
    assert "at_limit" not in found["extras"]
    with pytest.raises(ConfigError, match=r"`guess` must be in \[0, 0.5\] or null, got 0.51"):
        fitted(frame, "mle", guess=0.51)


@pytest.mark.slow
def test_a_limit_behind_a_lapse_rate_of_0_is_found() -> None:
    """Held at 0.1045 the steepest curve without lapses is no maximum: one with lapses is higher."""
    found = fitted(table(LAPTOP, [0, 0, 1, 7, 8, 8, 8, 8]), "mle").record["params"]["critical"]
    assert found["ci_low"] == pytest.approx(0.1001, rel=3e-3)


def test_the_record_of_one_edge_says_nothing_new() -> None:
    data = from_counts(LAPTOP, [8] * 8, [0, 0, 1, 5, 8, 8, 8, 8], "first99", 2500)
    fit = BoundaryFirth(edge="lower", window_max=1.0, n_simulations=0, level=0.95)
    found = fit.fit(data, 0)
    assert found.estimator == "firth"
    assert "at_limit" not in found.extras


@pytest.mark.slow
def test_rates_of_0_and_1_alone_have_no_bootstrap_interval() -> None:
    """Three seeds, of which not all ran everywhere: resamples differ in nothing but their n."""
    runs = pd.DataFrame(
        {
            "seed": [0, 1, 2, 0, 1, 2, 1, 2, 0, 1],
            "weight_decay": [0.01] * 3 + [0.03] * 3 + [0.1] * 4,
        }
    )
    runs["grokked"] = (runs["weight_decay"] > 0.02).astype(int)
    found = fitted(runs, "lsq_smoothed", n_studies=20).record
    critical = found["params"]["critical"]
    assert (critical["se"], critical["ci_low"], critical["ci_high"]) == (None, None, None)
    assert any("Use Firth's estimator" in text for text in found["warnings"])
