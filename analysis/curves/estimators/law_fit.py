"""One law with named parameters against others, fitted to a curve, as an estimate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.law_choice import (
    Choice,
    Search,
    choose,
    require_law,
    resample,
    unidentified_warning,
)
from observatory.analysis.curves.estimators.separable import Law, Solution, evaluate
from observatory.analysis.curves.estimators.series import (
    Series,
    at_limits,
    columns_to_draw,
    identified,
    r_squared,
    residual_warnings,
    stuck,
)
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Named:
    """A law and what its numbers are called.

    Attributes:
        main: Name of the law.
        params: Its parameters from a solution in the unit of the data, one entry per draw.
        limits: Per inner number, which parameters are not known where it is at its lower and at its
            upper limit: the interval of a number that cannot move is narrow, and no knowledge.
        widths: Widest interval of an identified parameter, for those of any sign.
        ratio: Largest ratio of the limits of any other.
        meaning: What follows where another law is better.
        known: What is known where parameters are not.
    """

    main: str
    params: Callable[[Solution], Mapping[str, Array]]
    limits: Sequence[tuple[Sequence[str], Sequence[str]]]
    widths: Mapping[str, float]
    ratio: float
    meaning: str
    known: str


@dataclass(frozen=True)
class Fit:
    """A fitted law, before it is an estimate.

    Attributes:
        named: Which law.
        choice: All laws.
        solution: Of the law.
        draws: Its parameters in each resample, by name.
        params: What is identified.
        again: The law on resampled values.
        laws: All laws by name.
        scale: What of a step is subtracted, and what that is divided by, to get the laws' x.
    """

    named: Named
    choice: Choice
    solution: Solution
    draws: Mapping[str, Array]
    params: Mapping[str, Parameter]
    again: Solution
    laws: Mapping[str, Law]
    scale: tuple[float, float]


def fit_named(
    series: Series,
    scale: tuple[float, float],
    laws: Mapping[str, Law],
    named: Named,
    search: Search,
    level: float,
    seed: int,
) -> Fit:
    """Fit all laws to the values as they are, and resample the main one.

    Args:
        series: The curve.
        scale: What of a step is subtracted, and what that is divided by, to get the laws' x.
        laws: By name, a constant among them.
        named: The main one.
        search: See `Search`.
        level: Coverage of the intervals.
        seed: Of the resampling.

    Raises:
        FitRefusedError: If the main law cannot be fitted, or a constant cannot be excluded.
    """
    x = (series.step - scale[0]) / scale[1]
    choice = choose(laws, x, series.value, search)
    found = require_law(choice, named.main, series, level)
    again = resample(laws[named.main], x, series.value, found, search, seed)
    with np.errstate(all="ignore"):  # what is not finite is not identified
        values, draws = named.params(found), named.params(again)
    kept = identified(values, draws, level, named.widths, named.ratio)
    tail = (1.0 - level) / 2.0
    lost = {
        name
        for ends, shares in zip(named.limits, at_limits(laws[named.main], again), strict=True)
        for names, share in zip(ends, shares, strict=True)
        if share > tail
        for name in names
    }
    kept = {name: made for name, made in kept.items() if name not in lost}
    return Fit(named, choice, found, draws, kept, again, laws, scale)


def estimate_of(
    fit: Fit,
    series: Series,
    *,
    names: tuple[str, str],
    search: Search,
    level: float,
    seed: int,
    params: Mapping[str, Parameter] | None = None,
    extras: Mapping[str, Plain] | None = None,
    warnings: Sequence[str] = (),
    horizon: tuple[int | None, float | None] = (None, None),
) -> Estimate:
    """The estimate of a fitted law.

    Args:
        fit: See `fit_named`.
        series: What was fitted.
        names: Of the fit, and of how.
        search: See `Search`.
        level: Coverage of the intervals.
        seed: Of the resampling.
        params: Parameters beside those of the law.
        extras: What else is known.
        warnings: What else a reader could take wrongly.
        horizon: In steps and in epochs.
    """
    curve = fit.solution.fitted[0]
    law, best = fit.laws[fit.named.main], fit.choice.best
    drawn = columns_to_draw(series, law, fit.solution, fit.again, fit.scale, level)
    if best != fit.named.main:
        drawn["other.step"] = drawn["fit.step"]
        x = (drawn["fit.step"] - fit.scale[0]) / fit.scale[1]
        drawn["other.value"] = evaluate(fit.laws[best], x, fit.choice.fits[best])[0]
    with np.errstate(all="ignore"):
        values = fit.named.params(fit.solution)
    return Estimate(
        fit=names[0],
        estimator=names[1],
        event=series.value_name,
        horizon_steps=horizon[0],
        horizon_epochs=horizon[1],
        params={**(params or {}), **fit.params},
        level=level,
        n=series.n,
        seed=seed,
        warnings=[*warnings, *_warnings(fit, series, search, list(values))],
        extras={
            "r2": r_squared(series.value, curve),
            **fit.choice.extras(),
            **{f"{name}_identified": name in fit.params for name in values},
            **{f"optimum_{name}": float(value[0]) for name, value in values.items()},
            **(extras or {}),
            "n_bootstrap": search.n_bootstrap,
            "method": "least squares, variable projection, wild bootstrap of the residuals",
        },
        curves={name: column.tolist() for name, column in drawn.items()},
    )


def _warnings(fit: Fit, series: Series, search: Search, names: Sequence[str]) -> list[str]:
    """What a reader of any fitted law could take wrongly."""
    law = fit.laws[fit.named.main]
    return [
        *residual_warnings(series.value - fit.solution.fitted[0], search.longest_block),
        *fit.choice.warnings(fit.named.main, fit.named.meaning),
        *unidentified_warning([n for n in names if n not in fit.params], fit.named.known),
        *(["The search ended at a limit of its numbers."] if stuck(law, fit.solution) else []),
    ]


def constant_law() -> Law:
    """The same value everywhere."""
    return Law("constant", lambda x, theta: np.ones((len(theta), x.size, 1)), 1)


def line_law() -> Law:
    """C + a x."""

    def columns(x: Array, theta: Array) -> Array:
        ones = np.ones((len(theta), x.size))
        return np.stack([ones, x * ones], axis=-1)

    return Law("linear", columns, 2)


def exponential_law(low: float, high: float) -> Law:
    """C + a (1 - exp(-b x)), theta = ln b between the logarithms of these limits."""

    def columns(x: Array, theta: Array) -> Array:
        return np.stack(
            [np.ones((len(theta), x.size)), -np.expm1(-np.exp(theta[:, :1]) * x)], axis=-1
        )

    return Law("exponential", columns, 2, (float(np.log(low)),), (float(np.log(high)),))
