"""Verdicts, refusals and warnings of the finite-size chain."""

import numpy as np
import pytest

from observatory.analysis.scaling.estimators.collapse_link import _inverted
from observatory.analysis.scaling.estimators.verdicts import (
    Collapsed,
    Crossed,
    Link,
    judge_chain,
    judge_collapse,
    judge_crossings,
    judge_groups,
    judge_sharpening,
    judge_susceptibility,
)
from observatory.analysis.stats.estimate import Parameter
from observatory.core.errors import ConfigError, FitRefusedError
from tests.made_sizes import QUICK, SIZES, chain, rows_of, scaled, thresholds

LEVEL = 0.95
YES = Link("sharpens", "", 0.01)
CROSSED = {"raw": Crossed((0.3, 0.5), (-1.0, 1.0), 0.01)}


def test_every_link_can_say_that_it_does_not_know() -> None:
    assert judge_sharpening(0.5, (-0.1, 1.0), 0.2, 0.25, LEVEL).verdict == "underdetermined"
    assert judge_sharpening(0.5, (0.1, 1.0), 0.01, 0.25, LEVEL).verdict == "sharpens"
    assert judge_sharpening(0.0, (-0.1, 0.1), 0.5, 0.25, LEVEL).verdict == "does not sharpen"
    far = {k: Crossed(limits, None, 0.01) for k, limits in
           (("raw", (0.1, 0.2)), ("centred", (0.1, 0.3)), ("shifted", (0.4, 0.5)))}  # fmt: skip
    assert judge_crossings(far, LEVEL).verdict == "depend on the zero of m"
    assert judge_crossings(CROSSED, LEVEL).verdict == "depend on the zero of m"
    same = dict.fromkeys(("raw", "centred", "shifted"), Crossed((0.1, 0.2), (1.0, 2.0), 0.01))
    assert judge_crossings(same, LEVEL).verdict == "cross at one place"
    assert "drift" in judge_crossings(same, LEVEL).reason
    none = dict.fromkeys(same, Crossed(None, None, 1.0))
    assert judge_crossings(none, LEVEL).verdict == "underdetermined"
    aicc = {"power": -20.0, "constant": 0.0, "saturating": -19.0}
    assert judge_susceptibility(aicc, (0.1, 1.0), 8, 0.1, LEVEL).verdict == "underdetermined"
    aicc["saturating"] = 0.0
    assert judge_susceptibility(aicc, (0.1, 1.0), 8, 0.1, LEVEL).verdict == "grows as a power"
    assert judge_susceptibility(aicc, (0.1, 1.0), 5, 0.1, LEVEL).verdict == "underdetermined"
    assert judge_susceptibility(aicc, (-1.0, -0.1), 8, 0.1, LEVEL).verdict == "does not grow"
    assert judge_groups([1.0, 0.01, 0.02], [9.0, 9, 9], LEVEL).verdict == "two groups"
    assert judge_groups([1.0, 0.5, 0.02], [9.0, 9, 9], LEVEL).verdict == "underdetermined"
    assert judge_groups([1.0, 0.5, 0.02], [40.0] * 3, LEVEL).verdict == "no second group seen"


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Collapsed(1.0, (0.5, 1.5), 0.01, 1.2, 40.0), "collapses"),
        (Collapsed(1.0, (0.5, 1.5), 0.01, 0.7, 40.0), "underdetermined"),
        (Collapsed(0.01, (0.5, 1.5), 0.01, 1.2, 40.0), "underdetermined"),
        (Collapsed(4.0, (0.5, 1.5), 0.01, 1.2, 40.0), "does not collapse"),
        (Collapsed(1.0, (-0.1, 0.1), 0.5, 1.2, 40.0), "collapses without size"),
        (Collapsed(1.0, (0.1, 0.2), 0.5, 1.2, 40.0), "underdetermined"),
        (Collapsed(1.0, (0.5, 1.5), 0.01, 1.2, 3.0), "underdetermined"),
    ],
)
def test_a_collapse_is_judged_by_its_quality_its_range_and_the_crossovers(found, verdict) -> None:
    assert judge_collapse(found, (0.2, 2.0), 1.0, LEVEL).verdict == verdict


def test_the_chain_needs_its_links() -> None:
    collapse = Link("collapses", "", 0.02)
    links = {"sharpening": YES, "data_collapse": collapse, "crossings": Link("depend", "")}
    chained = judge_chain(links, CROSSED, (0.39, 0.41), LEVEL)
    assert (chained.verdict, chained.p) == ("transition", 0.02)
    assert "Crossings of cumulants (depend) allow" in chained.reason
    away = judge_chain(links, CROSSED, (0.55, 0.6), LEVEL)
    assert away.verdict == "underdetermined"
    assert "crossings" in away.reason
    flat = Link("does not sharpen", "", 0.7)
    chained = judge_chain({"sharpening": flat, "data_collapse": collapse}, {}, (0.39, 0.41), LEVEL)
    assert chained.verdict == "crossover"
    loose = Link("underdetermined", "", 0.02)
    chained = judge_chain({"sharpening": YES, "data_collapse": loose}, {}, (0.39, 0.41), LEVEL)
    assert chained.verdict == "underdetermined"


def test_flat_and_short_tables_are_refused() -> None:
    rng = np.random.default_rng(0)
    flat = rows_of(rng.normal(size=(3, 6, 10)), (1.0, 10.0, 40.0), np.arange(6.0))
    with pytest.raises(FitRefusedError, match="does not change with the control"):
        chain(**QUICK).estimate(flat, 0)
    equal = rows_of(np.tile(np.arange(6.0)[None, :, None], (3, 1, 10)), (1, 2, 4), np.arange(6.0))
    with pytest.raises(FitRefusedError, match="the same for all seeds"):
        chain(**QUICK).estimate(equal, 0)
    constant = rows_of(np.ones((3, 6, 10)), (1.0, 2.0, 4.0), np.arange(6.0))
    with pytest.raises(FitRefusedError, match="does not change"):
        chain(**QUICK).estimate(constant, 0)
    with pytest.raises(FitRefusedError, match=r"3 sizes with 5 values.*Add sizes"):
        chain(**QUICK).estimate(scaled(rng, sizes=(16, 32)), 0)
    with pytest.raises(FitRefusedError, match="each with 5 seeds"):
        chain(**QUICK).estimate(scaled(rng, n_seeds=4), 0)
    with pytest.raises(FitRefusedError, match="log_control=false"):
        chain(**QUICK, log_control=True).estimate(flat, 0)


def test_numbers_out_of_range_are_named() -> None:
    for name, value in (("level", 1.5), ("n_null", 3), ("quality_low", 5.0)):
        with pytest.raises(ConfigError, match=f"`{name}` must be"):
            chain(**{name: value})


@pytest.mark.slow
def test_a_log_axis_gives_the_critical_point_in_the_control_itself() -> None:
    rows = scaled(np.random.default_rng(1), n_control=15, n_seeds=20)
    linear = chain(**QUICK, zeta=0.0).estimate(rows, 0)
    raised = type(rows)(rows.size, 10.0**rows.control, rows.value, rows.seed, "m")
    found = chain(**QUICK, zeta=0.0, log_control=True).estimate(raised, 0)
    for name in ("critical", "crossing_shifted"):
        ours, theirs = found.params[name], linear.params[name]
        assert np.log10(ours.value) == pytest.approx(theirs.value, abs=1e-6)
        assert ours.ci_low is not None
        assert np.log10(ours.ci_low) == pytest.approx(theirs.ci_low, abs=1e-6)
    assert found.params["nu"].value == pytest.approx(linear.params["nu"].value, rel=1e-6)


@pytest.mark.slow
def test_warnings_tell_of_ends_of_few_seeds_and_of_two_values() -> None:
    rng = np.random.default_rng(0)
    rate = 1.0 / (1.0 + np.exp(-(np.linspace(0.2, 0.6, 9) - 0.4) / 0.05))
    binary = (rng.random((4, 9, 8)) < rate[None, :, None]).astype(float)
    found = chain(**QUICK).estimate(rows_of(binary, (8, 16, 64, 128), np.linspace(0.2, 0.6, 9)), 0)
    warned = "\n".join(found.warnings)
    assert "two values only" in warned
    assert "8 seeds" in warned
    assert "U4 depends on the zero" in warned
    assert "interval covered 0.47 to 0.58" in warned
    assert found.extras["verdict"] != "transition"


@pytest.mark.slow
def test_jumps_at_a_place_of_each_seed_are_no_transition() -> None:
    found = chain(**QUICK).estimate(thresholds(np.random.default_rng(3), 15, 30), 0)
    assert found.extras["verdict"] == "crossover"


def test_seeds_that_are_alike_but_for_rounding_are_refused() -> None:
    """Means of equal numbers are rounded: what is left of their scatter is no scatter."""
    control = np.linspace(0.2, 0.6, 11)
    value = 1.0 / (1.0 + np.exp(-(control - 0.4) * np.array(SIZES)[:, None] / 10.0))
    alike = np.repeat(value[:, :, None], 7, axis=2)
    with pytest.raises(FitRefusedError, match="the same for all seeds"):
        chain(**QUICK).estimate(rows_of(alike, SIZES, control), 0)


def test_nu_is_infinite_where_no_length_grows() -> None:
    for inverse in (Parameter(-0.01, None, -0.03, 0.03), Parameter(0.0, None, -0.1, 0.1)):
        nu = _inverted(inverse)
        assert nu.value == np.inf
        assert nu.ci_low is not None
        assert nu.ci_high is None
    nu = _inverted(Parameter(0.5, None, 0.4, 0.8))
    assert (nu.value, nu.ci_low, nu.ci_high) == (2.0, 1.25, 2.5)


@pytest.mark.slow
def test_numbers_of_a_collapse_are_given_only_where_curves_collapse() -> None:
    """A smooth crossover has no critical point, and one at an end of the control is none."""
    rows = scaled(np.random.default_rng(1), inverse_nu=0.0, n_control=15, n_seeds=20)
    whole, found = chain(**QUICK).whole(rows, 0), chain(**QUICK).estimate(rows, 0)
    assert found.table["data_collapse"]["verdict"] != "collapses"
    assert {"critical", "nu", "inverse_nu", "zeta_over_nu"} <= set(whole.params)
    assert set(whole.params) - set(found.params) == {
        "critical", "nu", "inverse_nu", "zeta", "zeta_over_nu",
    }  # fmt: skip
    assert "profile_critical.value" not in found.curves
    assert "critical" not in found.table
    ended = Collapsed(1.0, (0.5, 1.0), 0.01, 1.2, 99.0, ended=True)
    link = judge_collapse(ended, (0.2, 2.0), 1.0, 0.95)
    assert link.verdict == "underdetermined"
    assert "at an end of the control" in link.reason
