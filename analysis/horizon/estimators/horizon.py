"""Whether a boundary is a threshold or the place where the times cross the horizon."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import final

import numpy as np

from observatory.analysis.boundary.estimators.at_horizon import firth_limits
from observatory.analysis.horizon.estimators.boundary import (
    boundaries,
    shorter_horizons,
)
from observatory.analysis.horizon.estimators.judged import lower_window, rising_bins, samples
from observatory.analysis.horizon.estimators.verdict import (
    Evidence,
    evidence_of,
    foresee,
    longest,
    verdict_of,
)
from observatory.analysis.stats.bins import non_monotone
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain, estimate_of
from observatory.analysis.stats.observations import Array, Observations
from observatory.analysis.stats.resample import n_units
from observatory.analysis.stats.solvers import alpha_of, student_quantile
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_table import (
    Sample,
    competing_warnings,
    drawn_replicas,
    sample_of,
)
from observatory.analysis.times.estimators.power_law import N_PARAMS

_Columns = dict[str, list[float | None]]


def _column(values: Array) -> list[float | None]:
    """Numbers as the record holds them, null where infinite."""
    return [float(x) if np.isfinite(x) else None for x in values]


def boundary_curve(horizons: Array, values: Array, limits: Array) -> _Columns:
    """The boundary at each horizon with its limits."""
    columns = {"horizon": horizons, "critical": values, "low": limits[:, 0], "high": limits[:, 1]}
    return {f"boundary.{name}": _column(of) for name, of in columns.items()}


def _law_curves(evidence: Mapping[str, Evidence], first: float, last: float) -> _Columns:
    """The boundary that each law has at each horizon, those not yet run included."""
    steps = np.geomspace(first, last, 60)
    curves: _Columns = {}
    for name, found in evidence.items():
        for kind, table in (("zero", found.zero), ("free", found.free)):
            critical = np.array([table.law.boundary(at)[0] for at in steps])
            curves[f"law_{kind}_{name}.horizon"] = _column(steps)
            curves[f"law_{kind}_{name}.critical"] = _column(critical)
    return curves


def _of_distribution(
    name: str, found: Evidence, observed: Array, n_seeds: int, level: float
) -> dict[str, Plain]:
    """What the record says of one error distribution.

    `observed` is the boundary at the longest horizon, then in resamples, `[1 + draw]`. The interval
    of its ratio to what was foretold is Student's on the log axis: percentiles of so few seeds are
    too close.
    """
    values: dict[str, Plain] = {
        "lr": found.ratio,
        "p": found.p,
        "critical_free": float(found.free.law.critical[0]),
        "critical_upper": found.upper,
        "aic_rival_gain": found.gains["constant"],
        **{f"aic_gain_{kind}": found.gains[kind] for kind in ("large", "small", "curved")},
        "critical_lower_window": found.lower,
        "nu_zero": float(found.zero.law.nu[0]),
        "nu_free": float(found.free.law.nu[0]),
        "aic_zero": found.zero.law.aic(N_PARAMS["zero"]),
        "aic_free": found.free.law.aic(N_PARAMS["free"]),
    }
    if found.foretold_zero is not None:
        ratio = float(observed[0]) / found.foretold_zero
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(observed[1:] / found.foretold_draws)
        spread = float(np.std(logs[np.isfinite(logs)], ddof=1))
        half = student_quantile(0.5 + 0.5 * level, n_seeds - 1) * spread
        values |= {
            "foretold_zero": found.foretold_zero,
            "foretold_free": found.foretold_free,
            "held_out_ratio": ratio,
            "held_out_ratio_low": ratio * math.exp(-half),
            "held_out_ratio_high": ratio * math.exp(half),
            "flattens": found.flattens(float(observed[0])),
        }
    return {f"{key}_{name}": value for key, value in values.items()}


def _outlook(
    evidence: Mapping[str, Evidence], whole: Sample, observed: float, level: float, reason: str
) -> dict[str, Plain]:
    """The reason of a table that cannot tell, with the runs that would decide."""
    if all(each.p < alpha_of(level) for each in evidence.values()):
        nearer = "Values nearer to the boundary, or a longer horizon, would"
        return {"reason": f"{reason} {nearer} tell what bends them."}
    foresight, steps = foresee(evidence, whole, observed, level), longest(whole)
    found: dict[str, Plain] = {f"deciding_{k}": value for k, value in asdict(foresight).items()}
    advice = f"No horizon up to {64 * steps:g} steps would decide with this many seeds: add seeds."
    if foresight.horizon is not None:
        lowest, seeds = foresight.lowest or 0.0, foresight.seeds_factor
        more = "" if seeds is None else f", and {seeds:.1f} times as many seeds to rule one out"
        advice = (
            f"What would decide: {foresight.horizon} steps with {whole.data.control} down to "
            f"{lowest:.2g}, to find a threshold of half of the boundary with a power of 0.8{more}."
        )
    return found | {"reason": f"{reason} {advice}"}


@final
@dataclass(frozen=True)
class Horizon:
    """The boundary at many horizons of one data set, the laws of the times, and a verdict.

    "threshold": the likelihood-ratio test rejects a critical weight decay of 0 under Weibull,
    log-normal and log-logistic times, and under all three the boundary at the longest horizon is
    nearer to what the law with a threshold foretells from the held-out shorter horizon than to what
    the law without does, no law of `rivals` is within 2 of its AIC, and without the largest third
    of the weight decays above the boundary at least half of the critical weight decay is left
    (where those fix the laws). "horizon artefact": under all three the one-sided upper limit of the
    critical weight decay is below a quarter of the boundary. Else "cannot tell", with the horizon
    that would decide. A threshold much below half of the boundary cannot be seen.
    """

    fit_name = "horizon"
    estimator = "horizon_verdict"
    window_max: float  # largest weight decay that enters
    held_out: float  # the shorter horizon, as a share of the longest
    n_horizons: int  # at which the boundary is shown
    n_grid: int  # points of the search for a critical point
    n_bootstrap: int  # resamples
    level: float  # coverage of the intervals; tests are at 1 - level

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Judge one table.

        Raises:
            FitRefusedError: If an event has no time, if all or no replicas had it, if too few did
                to fix the laws, if their rate does not rise, or if the boundary lies outside the
                weight decays tried.
        """
        data = observations.within(self.window_max)
        bins = rising_bins(data, self.level)
        whole = sample_of(data)
        steps = longest(whole)
        drawn = drawn_replicas(data, self.n_bootstrap, seed)
        horizons = shorter_horizons(data, steps, self.n_horizons)
        found = boundaries(data, horizons, np.concatenate([data.weights[None], drawn]))
        observed = float(found[0, -1])
        lower = lower_window(data, observed)
        of = samples(data, whole, self.held_out * steps, lower)
        evidence = {name: evidence_of(name, of, drawn, self.n_grid, self.level) for name in ERRORS}
        verdict, reason = verdict_of(evidence, observed, self.level, data.control)
        extras: dict[str, Plain] = {
            "method": "Firth's logistic, re-censored, profile limits; censored laws of times, "
            "seeds drawn jointly",
            "window_max": self.window_max,
            "verdict": verdict,
            "reason": reason,
            "held_out_steps": round(self.held_out * steps),
            "lower_window_max": lower,
            "smallest_visible": 0.5 * observed,
        }
        if verdict == "cannot tell":
            extras |= _outlook(evidence, whole, observed, self.level, reason)
        n_seeds = n_units(data)
        for name, each in evidence.items():
            extras |= _of_distribution(name, each, found[:, -1], n_seeds, self.level)
        best = min(evidence, key=lambda name: evidence[name].free.law.aic(N_PARAMS["free"]))
        extras["best_distribution"] = best
        firths = [firth_limits(data, at, self.level) for at in horizons]
        limits = np.array([[at.ci_low, at.ci_high] for at in firths], dtype=np.float64)
        curves = boundary_curve(horizons, found[0], limits)
        curves |= _law_curves(evidence, float(horizons[0]), 4.0 * steps)
        params = {"critical": replace(firths[-1], value=observed)}
        free = evidence[best].free
        if not free.at_limit:
            own = float(free.law.critical[0]), None, *free.critical_limits(self.level)
            params["critical_free"] = Parameter(*own)
        warnings = [
            *data.horizon_warnings,
            *competing_warnings(data),
            *non_monotone(bins),
            f"A threshold much below {0.5 * observed:.3g}, half of the boundary at the longest "
            "horizon, cannot be seen.",
        ]
        if verdict == "threshold" and of.lower is None:
            warnings.append(
                f"Values of {data.control} up to {lower:.3g} alone cannot fix the laws: whether "
                "the largest ones alone bend the times is not checked. Add values near the "
                "boundary."
            )
        return estimate_of(self, data, seed, warnings, params=params, extras=extras, curves=curves)
