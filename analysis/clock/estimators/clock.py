"""Whether a boundary is a threshold of weight decay, or the pace that decay sets, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.clock.estimators.boundary import BoundaryPlane, boundary_plane
from observatory.analysis.clock.estimators.curves import (
    boundary_curves,
    smallest_boundary,
    time_curves,
)
from observatory.analysis.clock.estimators.exponents import exponents
from observatory.analysis.clock.estimators.fitting import (
    ClockSample,
    critical_limits,
    fit_law,
    sample_of,
)
from observatory.analysis.clock.estimators.laws import LAWS, WITH, WITHOUT
from observatory.analysis.clock.estimators.rows import ClockRows, entering, require_lrs
from observatory.analysis.clock.estimators.verdict import (
    LawEvidence,
    claims_of,
    reason_of,
)
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain, estimate_of
from observatory.analysis.stats.solvers import student_tail
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_table import competing_warnings

DISTRIBUTIONS = ("lognormal", "weibull")
"""Of the times about their median: the first leads, the second checks."""


def evidence_of(sample: ClockSample) -> dict[str, LawEvidence]:
    """Every law under every distribution."""
    return {
        name: LawEvidence({law: fit_law(sample, law, ERRORS[name]) for law in LAWS})
        for name in DISTRIBUTIONS
    }


def _tests(plane: BoundaryPlane) -> dict[str, Plain]:
    """Tests of slopes 1 and 0, Student's."""
    found: dict[str, Plain] = {}
    for name in ("lr_slope", "horizon_slope"):
        slope = plane.params[name]
        for value in (1.0, 0.0):
            z = (slope.value - value) / max(slope.se or 0.0, 1e-12)
            found[f"p_{name}_{value:g}"] = student_tail(z, plane.n_units - 1)
    return found


@final
@dataclass(frozen=True)
class Clock:
    """The boundary in learning rate, weight decay and horizon, laws of the times, and a verdict.

    ln critical = a - b ln lr - c ln horizon by a logistic regression with Firth's penalty of the
    events seen by each horizon; limits of seeds left out one at a time. Laws of the times by
    censored likelihood, log-normal and Weibull, the scatter of ln t free to change along the
    product. "clock": b contains 1 and not 0, c is above 0, and under neither distribution a law
    with a critical weight decay is better by more than 2 in AIC, nor is its critical point above a
    quarter of the smallest boundary. "threshold": b contains 0 and not 1, c contains 0, and under
    both a law with a critical weight decay is better than every law without by more than 2. "both":
    the same, b and c above 0. Else "cannot tell".
    """

    fit_name = "clock"
    estimator = "clock"
    window_max: float | None  # largest weight decay that enters; None: all
    max_lost: float  # share of a cell's replicas that may collapse or diverge
    horizon_fractions: Sequence[float]  # of the horizon: where the records are cut
    threshold_moves: bool  # whether a threshold's boundary may move with the horizon (c excludes 1)
    n_grid: int  # points of the profile of the critical point
    level: float  # coverage of the intervals

    def estimate(self, rows: ClockRows, seed: int) -> Estimate:
        """Fit one table; nothing is drawn, `seed` is only recorded.

        Raises:
            FitRefusedError: If there is one learning rate only, every replica is censored, weight
                decays do not overlap, or a boundary cannot be seen.
        """
        entered = entering(rows, self.window_max, self.max_lost)
        require_lrs(entered)
        rows = entered.rows
        data = rows.data
        horizon = float(data.followed.max() if data.horizon_steps is None else data.horizon_steps)
        plane = boundary_plane(rows, horizon * np.array(self.horizon_fractions), self.level)
        smallest = smallest_boundary(rows, plane)
        sample = sample_of(rows)
        evidence = evidence_of(sample)
        b, c = plane.params["lr_slope"], plane.params["horizon_slope"]
        claims = claims_of(b, c, evidence, smallest, threshold_moves=self.threshold_moves)
        verdict = claims.verdict
        lead = min(evidence, key=lambda name: evidence[name].best(tuple(LAWS)).aic)
        params = {**plane.params, **exponents(sample, evidence[lead], lead, self.level)}
        params |= self._critical(sample, evidence[lead], lead)
        best = evidence[lead].best(WITH if claims.gained and not claims.ended else WITHOUT)
        extras: dict[str, Plain] = {
            "method": "Firth's logistic of events by horizon, seeds left out one at a time; "
            "censored laws of ln t",
            "verdict": verdict,
            "reason": reason_of(verdict, claims, b, c, evidence, data.control),
            "distribution": lead,
            "law": best.name,
            "lrs": ", ".join(f"{lr:g}" for lr in rows.lrs),
            "horizons": ", ".join(f"{steps:g}" for steps in plane.horizons),
            "n_units": plane.n_units,
            "n_event": data.count(data.grokked),
            "smallest_boundary": smallest,
            "threshold_moves": self.threshold_moves,
            **_tests(plane),
        }
        for name, found in evidence.items():
            extras |= {
                f"aic_gain_{name}": found.gain,
                f"critical_{name}": found.critical.critical,
                f"best_{name}": found.best(tuple(LAWS)).name,
            }
        table: dict[str, dict[str, Plain]] = {
            name: {
                **{f"aic_{of}": found.fits[name].aic for of, found in evidence.items()},
                **({"critical": evidence[lead].fits[name].critical} if law.critical else {}),
            }
            for name, law in LAWS.items()
        }
        curves = {**boundary_curves(rows, plane, self.level), **time_curves(sample, best)}
        warnings = [*entered.left_out, *competing_warnings(data), *self._cautions(rows, plane)]
        return estimate_of(
            self, data, seed, warnings, params=params, extras=extras, curves=curves, table=table
        )

    def _critical(self, sample: ClockSample, found: LawEvidence, lead: str) -> dict[str, Parameter]:
        """The critical point of the best law that has one, where it is no end of its search."""
        law = found.critical
        if law.at_limit:
            return {}
        low, high = critical_limits(sample, law, ERRORS[lead], self.level, self.n_grid)
        return {"critical": Parameter(law.critical, None, low, high)}

    def _cautions(self, rows: ClockRows, plane: BoundaryPlane) -> list[str]:
        said: list[str] = []
        asked = len(self.horizon_fractions)
        if plane.horizons.size < asked:
            said.append(
                f"{asked - plane.horizons.size} of {asked} horizons are left out: there a learning "
                "rate has no boundary inside its cells."
            )
        if rows.data.seed is None:
            said.append("The table names no seed: replicas of a cell are numbered in its order.")
        if plane.n_units < 8:
            said.append(f"Limits rest on {plane.n_units} seeds.")
        return said
