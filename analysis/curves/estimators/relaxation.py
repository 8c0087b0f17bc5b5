r"""Relaxation of the weight norm under AdamW, its rate kappa, and the bound on lambda_c it implies.

$\Omega(t) = \Omega_\infty + (\Omega_0 - \Omega_\infty) e^{-\mathrm{lr}\,\kappa\,\lambda\,t}$ with t
in EPOCHS, lr the learning rate and lambda the weight decay.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.law_choice import Search
from observatory.analysis.curves.estimators.law_fit import (
    Fit,
    Named,
    constant_law,
    estimate_of,
    exponential_law,
    fit_named,
    line_law,
)
from observatory.analysis.curves.estimators.separable import Solution
from observatory.analysis.curves.estimators.series import Series, r_squared, require_points
from observatory.analysis.stats.estimate import Estimate, Parameter
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]


def relaxation_bound(share: float, lr: float, kappa: float, horizon_epochs: float) -> float:
    r"""Weight decay at which a share of the relaxation is done by the horizon.

    $\lambda_c = -\ln(1 - p) / (\mathrm{lr}\,\kappa\,T)$: below it the norm has not come down in
    time, so that a boundary seen at T lies above it if grokking waits for the norm.

    Args:
        share: p, in (0, 1).
        lr: Learning rate.
        kappa: Per epoch, not per step.
        horizon_epochs: T, in epochs.

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


def window_of(series: Series, window: tuple[float, float] | None, least: int) -> Series:
    """The part of a record in which the norm comes down.

    Args:
        series: Norms against steps.
        window: First and last step; None: from the largest norm to the end of the record.
        least: Fewest distinct steps.

    Raises:
        FitRefusedError: If the window holds fewer.
    """
    start = float(series.step[int(np.argmax(series.value))])
    start, end = (start, float(series.step[-1])) if window is None else window
    inside = (series.step >= start) & (series.step <= end)
    n_steps = np.unique(series.step[inside]).size
    if n_steps < least:
        where = "after its largest value" if window is None else "in the window"
        raise FitRefusedError(
            f"Relaxation does not apply: `{series.value_name}` has {n_steps} of the {least} steps "
            f"that it needs {where}, from {start:g} to {end:g}. Add steps, or choose a `window` "
            "in which the norm comes down."
        )
    return replace(series, step=series.step[inside], value=series.value[inside])


def require_relaxation(fit: Fit, series: Series, least_r2: float) -> None:
    """Refuse a curve that is no relaxation: the gate "does not apply".

    Raises:
        FitRefusedError: If the norm does not fall, the curve misses it, or its rate is not known.
    """
    _, fall = fit.solution.coefficients[0]
    r2 = r_squared(series.value, fit.solution.fitted[0])
    if fall >= 0:
        reason = "the norm does not fall in the fitted window"
    elif r2 < least_r2:
        reason = f"the exponential accounts for {r2:.2f} of the variance, less than {least_r2:g}"
    elif "rate" not in fit.params:
        reason = "only the slope is known, not how it slows down: the window is too short"
    else:
        return
    raise FitRefusedError(
        f"Relaxation does not apply: {reason}. Add steps, or choose a `window` in which the norm "
        "comes down to its level."
    )


@final
class Relaxation:
    """Fits the relaxation of a weight norm, for kappa per epoch and the bound on lambda_c.

    Args:
        min_points: Fewest distinct steps in the window.
        window: First and last step of the fit; None: from the largest norm to the end.
        least_r2: Share of the variance below which the law does not apply.
        shares: Of the relaxation, at which the bound is given.
        rate: Limits of the rate per length of the window.
        n_grid: Points of the grid.
        n_starts: Minima of the grid that are refined.
        n_steps: Most steps of a refit.
        longest_block: Most points whose residuals turn together.
        n_bootstrap: Resamples.
        identified_width: Widest interval of the final norm, in ranges of the values.
        identified_ratio: Largest ratio of the limits of the rate.
        level: Coverage of the intervals.

    Source:
        arXiv:2605.20441 for law and bound; the gate follows arXiv:2605.18845's public analysis.
        Deviation: intervals by block-wise wild bootstrap.
    """

    usual_value = "l2"
    usual_table = "probes/weight_norm"
    pooled = False

    def __init__(
        self,
        *,
        min_points: int,
        window: Sequence[float] | None,
        least_r2: float,
        shares: Sequence[float],
        rate: Sequence[float],
        n_grid: int,
        n_starts: int,
        n_steps: int,
        longest_block: int,
        n_bootstrap: int,
        identified_width: float,
        identified_ratio: float,
        level: float,
    ) -> None:
        self.fit_name = "relaxation"
        self.estimator = "exponential"
        self.level = level
        self.min_points = max(min_points, 8)
        self.window = None if window is None else (float(window[0]), float(window[1]))
        self.least_r2, self.shares = least_r2, tuple(shares)
        self.laws = {
            "exponential": exponential_law(*rate),
            "linear": line_law(),
            "constant": constant_law(),
        }
        self.search = Search(n_grid, n_starts, n_steps, longest_block, n_bootstrap)
        self.width, self.ratio = identified_width, identified_ratio

    def estimate(self, series: Series, seed: int) -> Estimate:
        """Kappa per epoch, the final norm, and the bound at every share.

        Args:
            series: The norm of all weights against optimizer steps, with its lr and weight decay;
                steps per epoch and horizon for the bound.
            seed: Of the resampling.

        Raises:
            FitRefusedError: If lr or weight decay are not known and positive, there are too few
                steps, or the law does not apply.
        """
        lr, decay = _rates(series)
        whole, series = series, window_of(series, self.window, self.min_points)
        require_points(series, self.min_points, "A relaxation")
        first, spread = float(series.step[0]), float(np.ptp(series.value))
        span = float(series.step[-1]) - first

        def params(found: Solution) -> Mapping[str, Array]:
            start, change = found.coefficients.T
            return {"omega_inf": start + change, "rate": np.exp(found.theta[:, 0]) / span}

        named = Named(
            "exponential",
            params,
            [(("rate", "omega_inf"), ("rate",))],
            {"omega_inf": self.width * spread},
            self.ratio,
            "how the norm slows down is not shown.",
            "the curve in the window is what is known.",
        )
        fit = fit_named(series, (first, span), self.laws, named, self.search, self.level, seed)
        require_relaxation(fit, series, self.least_r2)
        params_told, warnings = self._kappa(fit, whole, lr, decay)
        horizon = whole.horizon_steps
        epochs = None if horizon is None or not whole.steps_per_epoch else (
            horizon / whole.steps_per_epoch
        )  # fmt: skip
        return estimate_of(
            fit, series, names=(self.fit_name, self.estimator),
            search=self.search, level=self.level, seed=seed, params=params_told,
            extras={
                "lr": lr, "weight_decay": decay, "window_first": first,
                "window_last": float(series.step[-1]), "steps_per_epoch": whole.steps_per_epoch,
            },
            warnings=warnings, horizon=(horizon, epochs),
        )  # fmt: skip

    def _kappa(
        self, fit: Fit, whole: Series, lr: float, decay: float
    ) -> tuple[dict[str, Parameter], list[str]]:
        """Kappa and the bound with their intervals, and why where there are none."""
        rate = fit.params["rate"]
        per_step = _scaled(rate, 1.0 / (lr * decay))
        params = {"kappa_per_step": per_step}
        if not whole.steps_per_epoch:
            return params, [
                "`steps_per_epoch` is not known: kappa is per step, and published values are "
                "per epoch."
            ]
        kappa = params["kappa"] = _scaled(per_step, whole.steps_per_epoch)
        if whole.horizon_steps is None:
            return params, ["The horizon is not known: no bound on lambda_c follows."]
        epochs = whole.horizon_steps / whole.steps_per_epoch
        for share in self.shares:
            ends = [kappa.value, kappa.ci_high, kappa.ci_low]
            value, low, high = (
                None if k is None else relaxation_bound(share, lr, k, epochs) for k in ends
            )
            params[f"bound_{share:g}"] = Parameter(value or 0.0, None, low, high)
        return params, []


def _rates(series: Series) -> tuple[float, float]:
    """Learning rate and weight decay.

    Raises:
        FitRefusedError: If one is not known, or 0.
    """
    for name, value in (("lr", series.lr), ("weight_decay", series.weight_decay)):
        if value is None or not value > 0:
            got = "none is known" if value is None else f"got {value:g}"
            raise FitRefusedError(
                f"Relaxation does not apply: `{name}` must be positive, {got}. Give it, or choose "
                "runs that decay their weights."
            )
    return float(series.lr or 0.0), float(series.weight_decay or 0.0)


def _scaled(parameter: Parameter, factor: float) -> Parameter:
    parts = (parameter.value, parameter.se, parameter.ci_low, parameter.ci_high)
    value, *others = (None if part is None else part * factor for part in parts)
    return Parameter(value or 0.0, *others)
