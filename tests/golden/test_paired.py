"""Paired statistics against scipy and statsmodels, to 1e-10 where these have them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nct, permutation_test, ttest_ind, ttest_rel, wilcoxon
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from observatory import fits
from observatory.analysis.paired.estimators.power import (
    detectable,
    pairs_for_difference,
    pairs_for_width,
)
from observatory.analysis.stats.paired_tests import noncentrality_interval, sign_flip_p

EXACT = {"rel": 1e-10, "abs": 1e-12}


def table(seed: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    base = rng.normal(size=n)
    arms = {"A": base, "B": base + rng.normal(0.8, 0.7, n), "C": base + rng.normal(0.1, 0.5, n)}
    return pd.DataFrame(
        [(s, arm, v) for arm, values in arms.items() for s, v in enumerate(values)],
        columns=["seed", "arm", "value"],
    ).sample(frac=1.0, random_state=seed)


def arms_of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    wide = frame.pivot(index="seed", columns="arm", values="value")
    return {str(name): wide[name].to_numpy() for name in wide}


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 12])
def test_means_are_those_of_scipy_and_statsmodels(n: int) -> None:
    frame = table(n, n)
    arms = arms_of(frame)
    found = fits.paired(frame, settings={"margin": 0.5})
    tests = found.frame()
    pairs = {"B - A": ("A", "B"), "C - A": ("A", "C"), "C - B": ("B", "C")}
    assert list(tests.index) == list(pairs)
    for label, (a, b) in pairs.items():
        row, d = tests.loc[label], arms[b] - arms[a]
        t = ttest_rel(arms[b], arms[a])
        assert row["t"] == pytest.approx(t.statistic, **EXACT)
        assert row["p_t"] == pytest.approx(t.pvalue, **EXACT)
        assert found.conf_int().loc[label].tolist() == pytest.approx(
            list(DescrStatsW(d).tconfint_mean(alpha=0.05)), **EXACT
        )
        assert row["p_wilcoxon"] == pytest.approx(wilcoxon(d).pvalue, **EXACT)
        flips = permutation_test(
            (arms[b], arms[a]), lambda x, y, axis: np.mean(x - y, axis=axis),
            permutation_type="samples", n_resamples=np.inf, vectorized=True,
        )  # fmt: skip
        assert row["p_sign_flip"] == pytest.approx(flips.pvalue, **EXACT)
        tost = ttost_paired(arms[b], arms[a], -0.5, 0.5)[0]
        assert row["p_equivalent"] == pytest.approx(tost, **EXACT)
        assert row["d_z"] == pytest.approx(d.mean() / d.std(ddof=1), **EXACT)
    for name, method in (("holm", "holm"), ("bonferroni", "bonferroni")):
        for kind in ("p", "p_equivalent"):
            expected = multipletests(tests[kind], method=method)[1]
            assert tests[f"{kind}_{name}"].tolist() == pytest.approx(list(expected), **EXACT)


@pytest.mark.slow
def test_unpaired_effect_is_the_published_formula_on_all_rows() -> None:
    """d = t sqrt(1/n + 1/m) of the two-sample t; its limits leave their tails in t(n + m - 2)."""
    frame = table(4, 10)
    frame = frame.loc[(frame["arm"] == "A") | ((frame["arm"] == "B") & (frame["seed"] < 8))]
    one, other = (frame.loc[frame["arm"] == arm, "value"].to_numpy() for arm in "AB")
    row = fits.paired(frame).frame().loc["B - A"]
    pooled = (9 * one.var(ddof=1) + 7 * other.var(ddof=1)) / 16
    assert row["n"] == 8
    assert row["d_unpaired"] == pytest.approx((other.mean() - one.mean()) / pooled**0.5, **EXACT)
    t, root = ttest_ind(other, one).statistic, (1 / 10 + 1 / 8) ** 0.5
    assert row["d_unpaired"] == pytest.approx(t * root, **EXACT)
    assert nct.sf(t, 16, row["d_unpaired_low"] / root) == pytest.approx(0.025, abs=1e-7)
    assert nct.cdf(t, 16, row["d_unpaired_high"] / root) == pytest.approx(0.025, abs=1e-7)


@pytest.mark.slow
def test_rates_are_those_of_statsmodels() -> None:
    frame = table(3, 30)
    frame["value"] = (frame["value"] > 0.3).astype(float)
    arms = arms_of(frame)
    found = fits.paired(frame, reference="B")
    assert found.record["estimator"] == "mcnemar"
    assert list(found.params.index) == ["A - B", "C - B"]
    for label, other in (("A - B", "A"), ("C - B", "C")):
        row = found.frame().loc[label]
        counts = pd.crosstab(arms["B"], arms[other]).to_numpy()
        assert row["p"] == pytest.approx(mcnemar(counts, exact=True).pvalue, **EXACT)
        limits = proportion_confint(arms[other].sum(), 30, method="wilson")
        assert (row["second_low"], row["second_high"]) == pytest.approx(limits, **EXACT)


@pytest.mark.slow
def test_published_differences_have_the_published_test_and_effect() -> None:
    """E12 of arXiv:2605.20441: mean -0.0379, scatter 0.0433, 20 seeds; p 9.3e-4, d -0.876."""
    rng = np.random.default_rng(0)
    d = rng.normal(size=20)
    d = -0.0379 + 0.0433 * (d - d.mean()) / d.std(ddof=1)
    frame = pd.DataFrame({"seed": [*range(20)] * 2, "arm": ["A"] * 20 + ["B"] * 20})
    frame["value"] = np.concatenate([np.zeros(20), d]) + np.tile(rng.normal(size=20), 2)
    row = fits.paired(frame, settings={"n_tests": 15}).frame().loc["B - A"]
    assert row["p_t"] == pytest.approx(9.3e-4, abs=0.1e-4)
    assert row["d_z"] == pytest.approx(-0.876, abs=1e-3)
    assert row["p_holm"] == pytest.approx(15 * row["p_t"], **EXACT)
    assert row["p_bonferroni"] == pytest.approx(15 * row["p_t"], **EXACT)


def test_effect_limits_leave_the_tails_that_they_claim() -> None:
    for t, degrees in ((0.0, 4), (2.0 * np.sqrt(3.0), 2), (2.5, 9), (-7.0, 19), (60.0, 8)):
        low, high = noncentrality_interval(t, degrees, 0.9)
        assert nct.sf(t, degrees, low) == pytest.approx(0.05, abs=1e-7)
        assert nct.cdf(t, degrees, high) == pytest.approx(0.05, abs=1e-7)


def test_plans_are_those_of_statsmodels() -> None:
    for target, sd in ((0.5, 1.0), (2.0, 1.5), (0.1, 0.4)):
        exact = TTestPower().solve_power(target / sd, power=0.8, alpha=0.01)
        assert pairs_for_difference(target, sd, 0.8, 0.01) == int(np.ceil(exact))
    least = TTestPower().solve_power(nobs=10, power=0.8, alpha=0.05)
    assert detectable(3.0, 10, 0.8, 0.05) == pytest.approx(3.0 * least, rel=1e-6)
    assert pairs_for_width(0.5, 1.0, 0.95) == 18
    assert pairs_for_difference(1e-9, 1.0, 0.8, 0.05) is None


def test_drawn_flips_are_near_all_flips() -> None:
    """One draw of 9,999 flips against all 2^13: within 5 standard errors."""
    d = np.random.default_rng(5).normal(0.4, 1.0, 13)
    exact = sign_flip_p(d, 2**13, np.random.default_rng(0))
    drawn = sign_flip_p(d, 8000, np.random.default_rng(0))
    assert drawn == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / 8000))
