"""How much of a scatter is due to the seed, to the split, and to numerics alone: mixed model."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import brentq
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec

from observatory.analysis.stats.estimate import Estimate, Parameter, about
from observatory.analysis.stats.solvers import chi2_quantile
from observatory.analysis.variance.estimators.checks import (
    NUMERIC,
    require_numeric_scatter,
    require_told_apart,
    standard_scatter,
)
from observatory.analysis.variance.estimators.likelihood import (
    LARGEST,
    Array,
    Codes,
    Restricted,
    restricted,
)
from observatory.core.errors import FitRefusedError

Held = Callable[[int, float, Array], float]
Limits = tuple[float | None, float | None]

_ZERO, _FLOOR = 1e-6, 1e-8
"""Share of the scatter below which a variance counts as 0, and below which none is looked for."""
_WHOLE = 1.0 - 1e-5
"""Share above which none is looked for."""


@dataclass(frozen=True)
class VarianceRows:
    """Outcomes with the levels that they share."""

    value: Array  # outcomes, `[row]`
    # level of each component in every row, from 0, by the component's name
    levels: Mapping[str, Codes]
    arm: Codes  # index of the arm, whose means may differ; zeros: one arm
    outcome: str  # name of the value


@final
@dataclass(frozen=True)
class VarianceComponents:
    """Variances of crossed or nested random effects by restricted maximum likelihood."""

    min_levels: int  # of each component
    log: bool  # whether logarithms (base 10) are taken first, as for times
    max_levels: int  # of all components together
    level: float  # coverage of the profile intervals

    fit_name = "variance"
    estimator = "reml"

    def estimate(self, rows: VarianceRows, seed: int) -> Estimate:
        """Variance, share and intraclass correlation; `seed` is recorded, nothing is drawn.

        Returns:
            `variance[<component>]` in the squared unit of the value, `share[<component>]` of
            their sum, and `icc`, the correlation of rows alike in every component but the
            numeric one; with profile intervals.

        Raises:
            FitRefusedError: If a component has too few levels, two cannot be separated, rows
                that are alike in all are equal, or the fit does not converge.
        """
        value = self._values(rows)
        levels, notes = self._components(rows)
        fixed = np.eye(int(rows.arm.max()) + 1)[rows.arm]
        scatter, unit = standard_scatter(value, fixed)
        codes, names = list(levels.values()), [*levels, NUMERIC]
        require_told_apart(codes, fixed, names)
        require_numeric_scatter(scatter, [*codes, rows.arm])
        model = restricted(scatter, fixed, codes)
        least, variances = _fitted(model, scatter, fixed, codes)
        for name, variance in zip(names, variances, strict=True):
            if variance == 0.0:
                notes.append(
                    f"{name}: the estimate lies at its limit 0; its upper limit tells more."
                )
        free = value.size - fixed.shape[1]
        return Estimate(
            **about(self, seed),
            event=f"log10 {rows.outcome}" if self.log else rows.outcome,
            params=self._params(model, names, variances, least, unit),
            n=value.size,
            warnings=notes,
            extras={
                "method": "restricted maximum likelihood (statsmodels MixedLM), profile intervals",
                "n_arms": fixed.shape[1],
                "log_likelihood": -0.5 * least - free * math.log(math.sqrt(2.0 * math.pi) * unit),
            },
            table={
                f"{quantity}[{name}]": {
                    "quantity": quantity,
                    "component": name,
                    "levels": int(levels[name].max()) + 1 if name in levels else None,
                }
                for quantity in ("variance", "share")
                for name in names
            },
        )

    def _params(
        self, model: Restricted, names: Sequence[str], variances: Array, least: float, unit: float
    ) -> dict[str, Parameter]:
        """Variances, shares and the correlation, with their limits."""
        allowed, shares = chi2_quantile(self.level, 1), variances / variances.sum()
        params: dict[str, Parameter] = {}
        for index, name in enumerate(names):
            limits = _limits(model.at_variance, index, variances, least, allowed, LARGEST)
            low, high = (None if end is None else end * unit**2 for end in limits)
            value = float(variances[index]) * unit**2
            params[f"variance[{name}]"] = Parameter(value, None, low, high)
        for index, name in enumerate(names):
            limits = _limits(model.at_share, index, shares, least, allowed, _WHOLE)
            params[f"share[{name}]"] = Parameter(float(shares[index]), None, *limits)
        last = params[f"share[{NUMERIC}]"]
        ends = (None if end is None else 1.0 - end for end in (last.ci_high, last.ci_low))
        return {**params, "icc": Parameter(1.0 - last.value, None, *ends)}

    def _values(self, rows: VarianceRows) -> Array:
        if not self.log:
            return rows.value
        if float(rows.value.min()) <= 0.0:
            raise FitRefusedError(
                f"`log` needs positive values, got {rows.value.min():.4g}. Leave it out."
            )
        return np.log10(rows.value)

    def _components(self, rows: VarianceRows) -> tuple[dict[str, Codes], list[str]]:
        """All random effects, that of whole cells too, and warnings of those that are mixed."""
        levels = dict(rows.levels)
        for name, code in levels.items():
            if (found := int(code.max()) + 1) < self.min_levels:
                raise FitRefusedError(
                    f"`{name}` has {found} levels, at least {self.min_levels} are needed. "
                    "Add runs at further ones, or leave it out of `--group`."
                )
        parts = [*levels.values(), rows.arm]
        cell = np.unique(np.column_stack(parts), axis=0, return_inverse=True)[1].reshape(-1)
        n_cells, notes = int(cell.max()) + 1, list[str]()
        several = sum(int(code.max()) > 0 for code in parts) > 1
        if n_cells == rows.value.size:
            notes.append(
                f"No row is alike in {' and '.join(levels)}"
                + (" and arm" if rows.arm.any() else "")
                + f": `{NUMERIC}` holds whatever is not of one of them alone. Repeat some runs."
            )
        elif several and not any(int(code.max()) + 1 == n_cells for code in levels.values()):
            levels[" x ".join([*levels, *(["arm"] if rows.arm.any() else [])])] = cell
        total = sum(int(code.max()) + 1 for code in levels.values())
        if total > self.max_levels:
            raise FitRefusedError(
                f"The components have {total} levels together, at most {self.max_levels} can be "
                "fitted. Name fewer by `--group`, or raise `max_levels`."
            )
        return levels, notes


def _fitted(
    model: Restricted, scatter: Array, fixed: Array, codes: Sequence[Codes]
) -> tuple[float, Array]:
    """The least deviance, and the variances there, by two searches that must agree."""
    n = len(codes) + 1
    starts = [  # every variance alike, and most of it in the last one or in none but the last
        np.full(n, 1.0 / n),
        np.append(np.full(n - 1, 0.02), 0.9),
        np.append(np.full(n - 1, 0.5), 0.02),
    ]
    least, best = model.least(starts, np.eye(n), np.zeros(n))
    best = np.where(best < _ZERO * best.sum(), 0.0, best)
    if best[-1] == 0.0:
        raise FitRefusedError(
            f"The variance `{NUMERIC}`, of what the components leave, is below {_ZERO:g} of the "
            "whole: too little to be fitted beside them. Average rows that are alike, or name "
            "fewer components by `--group`."
        )
    alive, variances = np.flatnonzero(best[:-1]), best
    if alive.size:  # those at their limit leave statsmodels without a second derivative
        there = np.append(alive, -1)
        variances = np.zeros_like(best)
        kept = [codes[index] for index in alive.tolist()]
        variances[there] = _mixed_model(scatter, fixed, kept, best[there])
    if model.deviance(variances)[0] > least + 1e-3:
        raise FitRefusedError(
            "The mixed model does not converge: two searches end at different variances. "
            "Add levels, or name fewer components by `--group`."
        )
    return least, variances


def _mixed_model(value: Array, fixed: Array, codes: Sequence[Codes], start: Array) -> Array:
    """Variances by the mixed model of statsmodels, that of single rows last."""
    names = [f"c{index}" for index in range(len(codes))]
    columns = [[str(level) for level in range(int(code.max()) + 1)] for code in codes]
    random = [[np.eye(len(n))[code]] for code, n in zip(codes, columns, strict=True)]
    model = MixedLM(
        value,
        fixed,
        groups=np.zeros(value.size),
        exog_vc=VCSpec(names, [[n] for n in columns], random),
    )
    begin = MixedLMParams.from_components(
        fe_params=np.zeros(fixed.shape[1]), cov_re=np.zeros((0, 0)), vcomp=start[:-1] / start[-1]
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of limits at 0, which are marked, and of the search
            found = model.fit(start_params=begin, reml=True, method="lbfgs", pgtol=1e-9)
    except np.linalg.LinAlgError as error:
        raise FitRefusedError(
            f"The mixed model is singular ({error}). Name fewer components."
        ) from error
    return np.append(found.vcomp, found.scale)


def _limits(
    held: Held, index: int, best: Array, least: float, allowed: float, top: float
) -> Limits:
    """Where a profile lies `allowed` above its least; 0 or None where it never does."""
    inside = min(max(float(best[index]), _FLOOR), top)

    def above(log: float) -> float:
        rise = held(index, math.exp(log), best) - least
        return math.sqrt(max(rise, 0.0)) - math.sqrt(allowed)  # nearly a line, so few steps

    def crossing(outside: float) -> float:
        return math.exp(float(brentq(above, math.log(inside), math.log(outside), xtol=1e-4)))

    low = crossing(_FLOOR) if inside > _FLOOR and above(math.log(_FLOOR)) > 0 else 0.0
    far = inside
    while far < top and above(math.log(far := min(max(4.0 * far, 1e-4), top))) < 0:
        pass
    if far > inside and above(math.log(far)) > 0:
        return low, crossing(far)
    return low, None if top > 1.0 else 1.0
