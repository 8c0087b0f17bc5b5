"""Variance components against statsmodels called directly, and against closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, f
from statsmodels.regression.mixed_linear_model import MixedLM

from observatory import fits


def crossed(seed: int, sd: tuple[float, float, float, float], arms: int = 1) -> pd.DataFrame:
    """8 seeds x 5 splits x 3 repeats, scatter of seed, split, both and repeats."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(range(arms), range(8), range(5), range(3), indexing="ij")
    arm, s, k, _ = (axis.ravel() for axis in grid)
    y = 5.0 + 2.0 * arm + sd[0] * rng.normal(size=8)[s] + sd[1] * rng.normal(size=5)[k]
    y += sd[2] * rng.normal(size=40 * arms)[s * 5 + k + 40 * arm]
    y += sd[3] * rng.normal(size=y.size)
    return pd.DataFrame({"seed": s, "split": k, "arm": arm, "value": y})


@pytest.mark.slow
def test_components_are_those_of_statsmodels_called_directly() -> None:
    frame = crossed(3, (2.0, 1.0, 0.8, 0.7)).sample(frac=0.8, random_state=0)
    found = fits.variance(frame).params
    frame = frame.assign(one=1, both=frame["seed"] * 5 + frame["split"])
    parts = {"seed": "0 + C(seed)", "split": "0 + C(split)", "seed x split": "0 + C(both)"}
    model = MixedLM.from_formula("value ~ 1", frame, groups="one", vc_formula=parts)
    direct = model.fit(reml=True)
    variances = [*direct.vcomp, direct.scale]
    names = [*model.exog_vc.names, "numeric"]
    for name, variance in zip(names, variances, strict=True):
        assert found[f"variance[{name}]"] == pytest.approx(variance, rel=2e-3)
        assert found[f"share[{name}]"] == pytest.approx(variance / sum(variances), rel=2e-3)
    extras = fits.variance(frame, group=["seed", "split"]).record["extras"]
    assert extras["log_likelihood"] == pytest.approx(direct.llf, abs=1e-4)
    assert extras["log_likelihood"] >= direct.llf - 1e-7


def test_balanced_seeds_have_the_variances_of_the_analysis_of_variance() -> None:
    """One component, 12 seeds x 4 repeats: REML is the closed form of mean squares; 1e-5 since
    the search ends there. The profile interval of the numeric variance is near the exact one."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(12, 1)) * 1.5 + rng.normal(size=(12, 4))
    frame = pd.DataFrame({"seed": np.repeat(np.arange(12), 4), "value": y.ravel()})
    found = fits.variance(frame).frame()
    within = float(y.var(axis=1, ddof=1).mean())
    between = 4 * float(y.mean(axis=1).var(ddof=1))
    assert found.loc["variance[numeric]", "value"] == pytest.approx(within, rel=1e-5)
    seeds = (between - within) / 4
    assert found.loc["variance[seed]", "value"] == pytest.approx(seeds, rel=1e-5)
    assert found.loc["icc", "value"] == pytest.approx(seeds / (seeds + within), rel=1e-5)
    exact = 36 * within / chi2.ppf([0.975, 0.025], 36)
    limits = found.loc["variance[numeric]", ["ci_low", "ci_high"]].to_numpy()
    assert limits == pytest.approx(exact, rel=0.05)
    ratio = between / within / f.ppf([0.975, 0.025], 11, 36)
    icc = (ratio - 1) / (ratio + 3)
    assert found.loc["icc", ["ci_low", "ci_high"]].to_numpy() == pytest.approx(icc, abs=0.05)


@pytest.mark.slow
def test_planted_components_are_recovered() -> None:
    """Two arms of other means, one draw whose seed was not chosen: truths in 99 % intervals."""
    sd = (2.0, 1.0, 0.8, 0.5)
    found = fits.variance(crossed(0, sd, arms=2), arm="arm", level=0.99).frame()
    for name, truth in zip(("seed", "split", "seed x split x arm", "numeric"), sd, strict=True):
        low, high = found.loc[f"variance[{name}]", ["ci_low", "ci_high"]]
        assert low <= truth**2 <= high, name
    shares = found.loc[found.index.str.startswith("share["), "value"]
    assert shares.sum() == pytest.approx(1.0)
