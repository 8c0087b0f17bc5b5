"""Made-up records of `fits.json`, of every kind of fit: for tests of what tells them."""

from typing import Any

import numpy as np

HORIZON = 2500
DISTRIBUTIONS = ("weibull", "lognormal", "loglogistic")
PUBLISHED = (
    *("boundary_lsq", "boundary_lsq_smoothed", "boundary_mle"),
    *("times", "times_boundary", "times_free", "time_comparison"),
)
"""Fits of the configuration that the made-up study is really fitted with."""


def number(value: float, low: float | None, high: float | None) -> dict[str, float | None]:
    return {"value": value, "se": None, "ci_low": low, "ci_high": high}


def record(fit: str, estimator: str, **parts: Any) -> dict[str, Any]:
    made = {
        "fit": fit,
        "estimator": estimator,
        "event": "first99",
        "horizon_steps": HORIZON,
        "horizon_epochs": float(HORIZON),
        "params": {},
        "level": 0.95,
        "n": 64,
        "seed": 0,
        "warnings": [],
        "refused": None,
        "extras": {},
        "curves": {},
    }
    return made | parts


def boundary(estimator: str, critical: float = 0.14, **extras: Any) -> dict[str, Any]:
    params = {
        "critical": number(critical, critical * 0.8, critical * 1.3),
        "slope": number(12.0, 7.0, None),
    }
    extras = {"link": "logistic", "window_max": 1.0, "deviance_p": 0.4} | extras
    extras = {"width_10_90_decades": 0.37} | extras
    return record("boundary", estimator, params=params, extras=extras)


def window() -> dict[str, Any]:
    params = {
        "critical": number(0.14, 0.11, 0.18),
        "slope": number(12.0, 7.0, 25.0),
        "critical_upper": number(4.4, 2.2, None),
        "slope_upper": number(9.0, 3.0, None),
        "lapse": number(0.02, 0.0, 0.09),
    }
    return record("boundary", "window", params=params, extras={"link": "logistic"}, n=80)


def models() -> dict[str, Any]:
    extras: dict[str, Any] = {"preferred": "logistic", "verdict": "cannot tell: logistic, probit"}
    for index, name in enumerate(("logistic", "probit", "cloglog")):
        extras |= {f"aicc_{name}": 20.0 + index, f"log_score_{name}": -0.3 - 0.01 * index}
    return record("boundary_comparison", "aicc", extras=extras)


def law(distribution: str, kind: str, shift: float = 0.0) -> dict[str, Any]:
    params = {
        "nu": number(0.95 - shift, 0.85, 1.05),
        "amplitude": number(330.0, 290.0, 380.0),
        "sigma": number(0.22, 0.18, 0.27),
    }
    extras: dict[str, Any] = {"critical_kind": kind, "aicc": 700.0 + 3 * (kind == "free")}
    curves: dict[str, Any] = {}
    if kind == "free":
        params["critical"] = number(0.02, 0.0, 0.06)
        criticals, nus = np.linspace(0, 0.09, 21), np.linspace(0.6, 1.1, 31)
        c, nu = np.meshgrid(criticals, nus)
        delta = ((c - 0.02) / 0.02) ** 2 + ((nu - 0.93 + 3.2 * (c - 0.02)) / 0.05) ** 2
        delta[c > 0.085] = np.nan
        rng = np.random.default_rng(0)
        draws = np.abs(rng.normal(0.02, 0.018, 200))
        extras |= {"lr_zero": 1.1, "p_zero": 0.15, "aicc_zero": 700.0, "amplitude_zero": 335.0}
        extras |= {"nu_zero": 0.97, "nu_zero_low": 0.9, "nu_zero_high": 1.04, "sigma_zero": 0.22}
        curves = {
            "region.critical": c.ravel().tolist(),
            "region.nu": nu.ravel().tolist(),
            "region.delta": [None if np.isnan(d) else float(d) for d in delta.ravel()],
            "joint.critical": draws.tolist(),
            "joint.nu": (0.93 - 3.2 * (draws - 0.02) + rng.normal(0, 0.04, 200)).tolist(),
        }
    name = f"{distribution}_{kind}"
    return record("times_censored", name, params=params, extras=extras, curves=curves)


def survival(decays: tuple[float, ...] = (0.1, 0.15, 0.2, 0.3, 0.5, 1.0)) -> dict[str, Any]:
    rows = [
        (decay, step, share, max(share - 0.25, 0.0), min(share + 0.25, 1.0))
        for decay in decays
        for step, share in [(0.0, 0.0), (250 / decay, 0.25), (300 / decay, 0.5), (400 / decay, 1.0)]
        if step <= HORIZON
    ]
    names = ("weight_decay", "step", "share", "low", "high")
    columns = zip(*rows, strict=True)
    curves = {f"km.{name}": list(column) for name, column in zip(names, columns, strict=True)}
    means = [min(300 / decay, HORIZON) for decay in decays]
    curves |= {
        "rmst.weight_decay": list(decays),
        "rmst.value": means,
        "rmst.se": [20.0] * len(decays),
        "rmst.low": [mean - 40 for mean in means],
        "rmst.high": [mean + 40 for mean in means],
        "rmst.n": [8] * len(decays),
    }
    extras = {"logrank_chi2": 88.0, "logrank_df": len(decays) - 1, "logrank_p": 1e-9}
    return record("survival", "kaplan_meier", curves=curves, extras=extras, n=88)


def horizon(verdict: str = "cannot tell", deciding: float | None = 12000.0) -> dict[str, Any]:
    steps = np.geomspace(600, HORIZON, 7)
    curves = {
        "boundary.horizon": steps.tolist(),
        "boundary.critical": (330 / steps).tolist(),
        "boundary.low": (290 / steps).tolist(),
        "boundary.high": [None, *(390 / steps[1:]).tolist()],
    }
    for index, name in enumerate(DISTRIBUTIONS):
        curves[f"law_zero_{name}.horizon"] = curves[f"law_free_{name}.horizon"] = steps.tolist()
        curves[f"law_zero_{name}.critical"] = ((320 + 4 * index) / steps).tolist()
        curves[f"law_free_{name}.critical"] = (0.02 + (290 + 4 * index) / steps).tolist()
    extras: dict[str, Any] = {
        "verdict": verdict,
        "reason": "the test rejects λc = 0 under Weibull times only",
        "deciding_horizon": deciding,
    }
    for name in DISTRIBUTIONS:
        extras |= {f"lr_{name}": 2.2, f"p_{name}": 0.07, f"critical_upper_{name}": 0.05}
        extras |= {f"held_out_ratio_{name}": 1.02, f"flattens_{name}": False}
    params = {"critical": number(0.13, 0.11, 0.16)}
    return record("horizon", "horizon_verdict", params=params, curves=curves, extras=extras, n=64)


def every_kind() -> list[dict[str, Any]]:
    """One record of each fit that the published ones lack."""
    laws = [law(name, "free") for name in DISTRIBUTIONS]
    extra = [
        boundary("firth", 0.145),
        boundary("beta_binomial", 0.139),
        boundary("seed_effect", 0.141),
        boundary("maximum_likelihood", 0.137, link="probit"),
        window(),
    ]
    return [*extra, models(), *laws, survival(), horizon()]
