r"""Relaxation of the weight norm under AdamW, its rate kappa, and the bound on lambda_c it implies.

$\Omega(t) = \Omega_\infty + (\Omega_0 - \Omega_\infty) e^{-\mathrm{lr}\,\kappa\,\lambda\,t}$ with t
in EPOCHS, lr the learning rate and lambda the weight decay.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from observatory.analysis.curves.estimators.law_fit import CurveLaw, Found, Judged, Named
from observatory.analysis.curves.estimators.laws import constant_law, exponential_law, line_law
from observatory.analysis.curves.estimators.separable import Array, Law, Solution
from observatory.analysis.curves.estimators.series import Series, r_squared
from observatory.analysis.stats.estimate import Parameter
from observatory.core.errors import FitRefusedError


def relaxation_bound(share: float, lr: float, kappa: float, horizon_epochs: float) -> float:
    r"""Weight decay at which a share of the relaxation is done by the horizon.

    $\lambda_c = -\ln(1 - p) / (\mathrm{lr}\,\kappa\,T)$: below it the norm has not come down in
    time, so that a boundary seen at T lies above it if grokking waits for the norm.

    Kappa is per epoch, not per step, and so is the horizon T.

    Raises:
        ValueError: If a number is outside its range.

    Source:
        arXiv:2605.20441, relaxation bound. Deviation: none.

    Example:
        >>> round(relaxation_bound(0.9, lr=1e-3, kappa=18.6, horizon_epochs=20_000), 4)
        0.0062
    """
    if not (0 < share < 1 and lr > 0 and kappa > 0 and horizon_epochs > 0):
        raise ValueError(
            f"`share` must be in (0, 1) and `lr`, `kappa`, `horizon_epochs` positive, got {share}, "
            f"{lr}, {kappa}, {horizon_epochs}."
        )
    return -math.log(1.0 - share) / (lr * kappa * horizon_epochs)


def _refusal(reason: str) -> FitRefusedError:
    return FitRefusedError(f"Relaxation does not apply: {reason}")


_SETTINGS: Mapping[str, float] = {"lr": 1e-3, "weight_decay": 0.1}
"""What the law needs to know of a training, as a message gives them."""


@final
@dataclass(frozen=True, kw_only=True)
class Relaxation(CurveLaw):
    """Fits the relaxation of a weight norm, for kappa per epoch and the bound on lambda_c.

    Source:
        arXiv:2605.20441 for law and bound; the gate follows arXiv:2605.18845's public analysis.
        Deviation: intervals by block-wise wild bootstrap.
    """

    # first and last step of the fit; None: from the largest norm to the end
    window: Sequence[float] | None
    least_r2: float  # share of the variance below which the law does not apply
    shares: Sequence[float]  # of the relaxation, at which the bound is given
    rate: Sequence[float]  # limits of the rate per length of the window

    fit_name = "relaxation"
    main = "exponential"
    fewest = 8
    what = "A relaxation"
    better = "how the norm slows down is not shown."
    known = "the curve in the window is what is known."
    usual_value = "l2"
    usual_table = "probes/weight_norm"
    settings = _SETTINGS

    @property
    def laws(self) -> Mapping[str, Law]:
        """The exponential and what it is compared with."""
        return {
            "exponential": exponential_law(*self.rate),
            "linear": line_law(),
            "constant": constant_law(),
        }

    def checked(self, series: Series) -> Series:
        """The part of a record in which the norm comes down, of runs that decay their weights."""
        for name, value in (("lr", series.lr), ("weight_decay", series.weight_decay)):
            if value is None or not value > 0:
                got = "none is known" if value is None else f"got {value:g}"
                raise _refusal(
                    f"`{name}` must be positive, {got}. Give it, or choose runs that decay their "
                    "weights."
                )
        start = float(series.step[int(np.argmax(series.value))])
        start, end = self.window or (start, float(series.step[-1]))
        inside = (series.step >= start) & (series.step <= end)
        least, n_steps = max(self.min_points, self.fewest), np.unique(series.step[inside]).size
        if n_steps < least:
            where = "in the window" if self.window else "after its largest value"
            raise _refusal(
                f"`{series.value_name}` has {n_steps} of the {least} steps that it needs {where}, "
                f"from {start:g} to {end:g}. Add steps, or choose a `window` in which the norm "
                "comes down."
            )
        part = replace(series, step=series.step[inside], value=series.value[inside])
        return super().checked(part)

    def named(self, series: Series, scale: tuple[float, float], main: str) -> Named:
        """The final norm, and the rate per step."""

        def values(found: Solution) -> Mapping[str, Array]:
            start, change = found.coefficients.T
            return {"omega_inf": start + change, "rate": np.exp(found.theta[:, 0]) / scale[1]}

        width = self.identified_width * float(np.ptp(series.value))
        return Named(values, [(("rate", "omega_inf"), ("rate",))], {"omega_inf": width})

    def judge(self, found: Found) -> Judged:
        """Kappa and the bound, where the norm falls, the curve follows it and its rate is known."""
        series = found.series
        r2 = r_squared(series.value, found.solution.fitted[0])
        reason = ""
        if found.solution.coefficients[0, 1] >= 0:
            reason = "the norm does not fall in the fitted window"
        elif r2 < self.least_r2:
            reason = (
                f"the exponential accounts for {r2:.4f} of the variance, less than "
                f"{self.least_r2:g}"
            )
        elif "rate" not in found.params:
            reason = "only the slope is known, not how it slows down: the window is too short"
        if reason:
            raise _refusal(
                f"{reason}. Add steps, or choose a `window` in which the norm comes down to its "
                "level."
            )
        horizon, epoch = series.horizon_steps, series.steps_per_epoch
        epochs = None if horizon is None or not epoch else horizon / epoch
        beside, warnings = self._kappa(found.params["rate"], series, epochs)
        extras = {
            "lr": series.lr, "weight_decay": series.weight_decay,
            "window_first": float(series.step[0]), "window_last": float(series.step[-1]),
            "steps_per_epoch": epoch,
        }  # fmt: skip
        return Judged(found.params, beside, extras, warnings, epochs)

    def _kappa(
        self, rate: Parameter, series: Series, epochs: float | None
    ) -> tuple[dict[str, Parameter], list[str]]:
        """Kappa and the bound with their intervals, and why where there are none."""
        lr, decay = series.lr or 0.0, series.weight_decay or 0.0
        params = {"kappa_per_step": _scaled(rate, 1.0 / (lr * decay))}
        if not series.steps_per_epoch:
            return params, [
                "`steps_per_epoch` is not known: kappa is per step, and published values are "
                "per epoch."
            ]
        kappa = params["kappa"] = _scaled(params["kappa_per_step"], series.steps_per_epoch)
        if epochs is None:
            return params, ["The horizon is not known: no bound on lambda_c follows."]
        for share in self.shares:
            value, low, high = (
                None if k is None else relaxation_bound(share, lr, k, epochs)
                for k in (kappa.value, kappa.ci_high, kappa.ci_low)
            )
            params[f"bound_{share:g}"] = Parameter(value or 0.0, None, low, high)
        return params, []


def _scaled(parameter: Parameter, factor: float) -> Parameter:
    parts = (parameter.value, parameter.se, parameter.ci_low, parameter.ci_high)
    value, *others = (None if part is None else part * factor for part in parts)
    return Parameter(value or 0.0, *others)
