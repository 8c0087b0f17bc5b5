"""One law with named parameters beside others, fitted to a curve, as an estimate."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from observatory.analysis.curves.estimators.law_choice import (
    Choice,
    LawSearch,
    choose,
    require_law,
    resample,
)
from observatory.analysis.curves.estimators.separable import Array, Law, Solution, evaluate
from observatory.analysis.curves.estimators.series import (
    Series,
    at_limits,
    columns_to_draw,
    identified,
    r_squared,
    require_points,
    residual_warnings,
)
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain, about
from observatory.core.errors import FitRefusedError


@dataclass(frozen=True)
class Named:
    """What the numbers of a law are called.

    Attributes:
        values: The parameters of a solution in the unit of the data, one entry per draw.
        limits: Per inner number, which parameters are not known where it is at its lower and at its
            upper limit: the interval of a number that cannot move is narrow, and no knowledge.
        widths: Widest interval of an identified parameter, for those of any sign.
    """

    values: Callable[[Solution], Mapping[str, Array]]
    limits: Sequence[tuple[Sequence[str], Sequence[str]]]
    widths: Mapping[str, float]


@dataclass(frozen=True)
class Found:
    """A fitted law, before it is an estimate.

    `scale` is what of a step was subtracted, and what that was divided by, to get the laws' x;
    `again` the main law on resampled values, `draws` its parameters there, `params` what is
    identified of them.
    """

    series: Series
    scale: tuple[float, float]
    main: str
    choice: Choice
    solution: Solution
    again: Solution
    draws: Mapping[str, Array]
    params: Mapping[str, Parameter]


@dataclass(frozen=True)
class Judged:
    """Known parameters of a fit, what follows from them, warnings; how, where the fit chose it."""

    kept: Mapping[str, Parameter]
    beside: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])
    extras: Mapping[str, Plain] = field(default_factory=dict[str, Plain])
    warnings: Sequence[str] = ()
    horizon_epochs: float | None = None
    estimator: str | None = None


@dataclass(frozen=True, kw_only=True)
class CurveLaw(LawSearch, ABC):
    """A law of curves, fitted beside plainer ones; its intervals are of a wild bootstrap.

    Attributes:
        min_points: Fewest distinct steps.
        identified_width: Widest interval of an identified parameter of any sign, in ranges of the
            values or of the steps.
        identified_ratio: Largest ratio of the limits of any other identified parameter.
        level: Coverage of the intervals.
        fit_name: What is fitted.
        main: Name of the law among `laws`.
        fewest: Distinct steps without which there is no fit, whatever `min_points` says.
        what: The law in messages.
        better: What follows where another law is better.
        known: What is known where parameters are not.
        at_limit: Said of a search that ended at a limit.
        of_sizes: Why x must be positive, of laws of x over its largest value; empty for laws of
            the part of the record from first to last step.
        usual_value: Column of values where none is named.
        usual_table: Table of a study that holds it; None: whichever has the column.
        pooled: Whether rows of one step are points of the curve, not readings to average.
        settings: Settings of the training that the law is of, and a value of each as an example.
    """

    min_points: int
    identified_width: float
    identified_ratio: float
    level: float

    fit_name: ClassVar[str]
    main: ClassVar[str]
    fewest: ClassVar[int]
    what: ClassVar[str]
    better: ClassVar[str]
    known: ClassVar[str]
    at_limit: ClassVar[str] = "The search ended at a limit of its numbers."
    of_sizes: ClassVar[str] = ""
    usual_value: ClassVar[str] = "value"
    usual_table: ClassVar[str | None] = None
    settings: ClassVar[Mapping[str, float]] = {}
    pooled: ClassVar[bool] = False

    @property
    def estimator(self) -> str:
        """How, as one word."""
        return self.main

    @property
    @abstractmethod
    def laws(self) -> Mapping[str, Law]:
        """All laws by name, a constant among them."""

    @abstractmethod
    def named(self, series: Series, scale: tuple[float, float], main: str) -> Named:
        """What the numbers of the main law are called."""

    def checked(self, series: Series) -> Series:
        """What is fitted of a curve; `FitRefusedError` where it is too short or does not move."""
        require_points(series, max(self.min_points, self.fewest), self.what)
        n_points = self.laws[self.main].n_params + 2
        if series.n < n_points:
            raise FitRefusedError(
                f"{self.what} needs {n_points} points, got {series.n}. Add seeds."
            )
        if self.of_sizes and series.step.min() <= 0:
            raise FitRefusedError(
                f"`{series.step_name}` must be positive, got {series.step.min():g}: {self.of_sizes}"
            )
        return series

    def chosen(self, choice: Choice) -> str:
        """Name of the main law."""
        return self.main

    def judge(self, found: Found) -> Judged:
        """What the law makes of its fit; `FitRefusedError` where it does not apply."""
        return Judged(found.params)

    def estimate(self, series: Series, seed: int) -> Estimate:
        """The law, what the values of a curve determine of it, and which law is best.

        Raises:
            FitRefusedError: If there are too few points, one is where the law is not defined, or a
                constant cannot be excluded.
        """
        found, named = self._found(self.checked(series), seed)
        series, main, choice = found.series, found.main, found.choice
        judged = self.judge(found)
        law, curve = self.laws[main], found.solution.fitted[0]
        drawn = columns_to_draw(series, law, found.solution, found.again, found.scale, self.level)
        if choice.best != main:
            drawn["other.step"] = drawn["fit.step"]
            x = (drawn["fit.step"] - found.scale[0]) / found.scale[1]
            drawn["other.value"] = evaluate(self.laws[choice.best], x, choice.fits[choice.best])[0]
        with np.errstate(all="ignore"):
            values = named.values(found.solution)
        return Estimate(
            **about(self, seed, estimator=judged.estimator or self.estimator),
            event=series.value_name,
            horizon_steps=None if self.pooled else series.horizon_steps,  # sizes have none
            horizon_epochs=judged.horizon_epochs,
            params={**judged.beside, **judged.kept},
            n=series.n,
            warnings=[*judged.warnings, *self._warnings(found, [*values], judged.kept)],
            extras={
                "r2": r_squared(series.value, curve),
                **choice.extras(),
                **{f"{name}_identified": name in judged.kept for name in values},
                **{f"optimum_{name}": float(value[0]) for name, value in values.items()},
                "n_bootstrap": self.n_bootstrap,
                "method": "least squares, variable projection, wild bootstrap of the residuals",
                **judged.extras,
            },
            curves={name: column.tolist() for name, column in drawn.items()},
        )

    def _found(self, series: Series, seed: int) -> tuple[Found, Named]:
        """All laws fitted to the values as they are, the main one to resampled values too."""
        first, last = float(series.step.min()), float(series.step.max())
        scale = (0.0, last) if self.of_sizes else (first, last - first)
        x = (series.step - scale[0]) / scale[1]
        choice = choose(self.laws, x, series.value, self)
        main = self.chosen(choice)
        solution, law = require_law(choice, main, series, self.level), self.laws[main]
        again = resample(law, x, series.value, solution, self, seed)
        named = self.named(series, scale, main)
        with np.errstate(all="ignore"):  # what is not finite is not identified
            values, draws = named.values(solution), named.values(again)
        kept = identified(values, draws, self.level, named.widths, self.identified_ratio)
        tail = (1.0 - self.level) / 2.0
        lost = {
            name
            for ends, shares in zip(named.limits, at_limits(law, again), strict=True)
            for names, share in zip(ends, shares, strict=True)
            if share > tail
            for name in names
        }
        kept = {name: made for name, made in kept.items() if name not in lost}
        return Found(series, scale, main, choice, solution, again, draws, kept), named

    def _warnings(
        self, found: Found, names: Sequence[str], kept: Mapping[str, Parameter]
    ) -> list[str]:
        """What a reader of any fitted law could take wrongly."""
        choice, main, solution = found.choice, found.main, found.solution
        residual = found.series.value - solution.fitted[0]
        warnings = residual_warnings(residual, self.longest_block)
        if choice.best != main:
            gain = choice.aicc[main] - choice.aicc[choice.best]
            warnings.append(
                f"The {choice.best.replace('_', ' ')} law describes the values better (AICc lower "
                f"by {gain:.1f}): {self.better}"
            )
        if unknown := [name for name in names if name not in kept]:
            warnings.append(
                f"Not identified: {', '.join(unknown)}. Very different values give the same curve, "
                f"so they are left out; {self.known}"
            )
        if any(max(shares) > 0 for shares in at_limits(self.laws[main], solution)):
            warnings.append(self.at_limit)
        return warnings
