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
from numpy.typing import NDArray
from scipy.optimize import brentq
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec

from observatory.analysis.stats.estimate import Estimate, Parameter
from observatory.analysis.stats.magnitude import magnitude
from observatory.analysis.stats.solvers import chi2_quantile
from observatory.analysis.variance.estimators.likelihood import LARGEST, restricted
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Held = Callable[[int, float, Array], float]
Limits = tuple[float | None, float | None]

NUMERIC = "numeric"
ZERO, FLOOR = 1e-6, 1e-8
"""Share of the scatter below which a variance counts as 0, and below which none is looked for."""
WHOLE = 1.0 - 1e-5
"""Share above which none is looked for."""
ROUNDING = 1e3 * float(np.finfo(np.float64).eps)
"""Scatter, as a share of the largest value, that may be of rounding alone."""
SMALL, LARGE = 1e-150, 1e150
"""Between these a scatter can be squared."""


@dataclass(frozen=True)
class VarianceRows:
    """Outcomes with the levels that they share.

    Attributes:
        value: Outcomes, `[row]`.
        levels: Level of each component in every row, from 0, by the component's name.
        arm: Index of the arm, whose means may differ; zeros: one arm.
        outcome: Name of the value.
    """

    value: Array
    levels: Mapping[str, Codes]
    arm: Codes
    outcome: str


@final
@dataclass(frozen=True)
class VarianceComponents:
    """Variances of crossed or nested random effects by restricted maximum likelihood.

    Attributes:
        min_levels: Of each component.
        log: Whether logarithms (base 10) are taken first, as for times.
        max_levels: Of all components together.
        level: Coverage of the profile intervals.
    """

    min_levels: int
    log: bool
    max_levels: int
    level: float

    fit_name = "variance"
    estimator = "reml"

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise ValueError(f"`level` must be between 0 and 1, got {self.level}.")
        if self.min_levels < 3:
            raise ValueError(f"`min_levels` must be at least 3, got {self.min_levels}.")

    def estimate(self, rows: VarianceRows, seed: int) -> Estimate:
        """Variance, share and intraclass correlation.

        Args:
            rows: The table.
            seed: Of the record only; nothing is drawn.

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
        free = value.size - fixed.shape[1]
        codes = list(levels.values())
        names = [*levels, NUMERIC]
        _told_apart(codes, fixed, names)
        _numeric_scatter(scatter, [*codes, rows.arm])
        model = restricted(scatter, fixed, codes)
        least, best = model.least(_starts(len(names)), np.eye(len(names)), np.zeros(len(names)))
        best = np.where(best < ZERO * best.sum(), 0.0, best)
        if best[-1] == 0.0:
            raise FitRefusedError(
                f"The variance `{NUMERIC}`, of what the components leave, is below {ZERO:g} of the "
                "whole: too little to be fitted beside them. Average rows that are alike, or name "
                "fewer components by `--group`."
            )
        alive = np.flatnonzero(best[:-1])
        variances = best
        if alive.size:  # those at their limit leave statsmodels without a second derivative
            kept = [codes[index] for index in alive]
            start = best[np.append(alive, -1)]
            variances = np.zeros_like(best)
            variances[np.append(alive, -1)] = mixed_model(scatter, fixed, kept, start)
        if model.deviance(variances)[0] > least + 1e-3:
            raise FitRefusedError(
                "The mixed model does not converge: two searches end at different variances. "
                "Add levels, or name fewer components by `--group`."
            )
        allowed = chi2_quantile(self.level, 1)
        params = dict[str, Parameter]()
        shares = variances / variances.sum()
        for index, name in enumerate(names):
            low, high = _limits(model.at_variance, index, variances, least, allowed, LARGEST)
            scaled = (None if end is None else end * unit**2 for end in (low, high))
            params[f"variance[{name}]"] = Parameter(
                float(variances[index]) * unit**2, None, *scaled
            )
        for index, name in enumerate(names):
            limits = _limits(model.at_share, index, shares, least, allowed, WHOLE)
            params[f"share[{name}]"] = Parameter(float(shares[index]), None, *limits)
        last = params[f"share[{NUMERIC}]"]
        ends = (None if end is None else 1.0 - end for end in (last.ci_high, last.ci_low))
        params["icc"] = Parameter(1.0 - last.value, None, *ends)
        for name, share in zip(names, shares, strict=True):
            if share == 0.0:
                notes.append(
                    f"{name}: the estimate lies at its limit 0; its upper limit tells more."
                )
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            event=f"log10 {rows.outcome}" if self.log else rows.outcome,
            horizon_steps=None,
            horizon_epochs=None,
            params=params,
            level=self.level,
            n=value.size,
            seed=seed,
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


def standard_scatter(value: Array, fixed: Array) -> tuple[Array, float]:
    """Values less the mean of their arm, in units of their standard deviation, and this unit.

    Args:
        value: `[row]`.
        fixed: A column per arm, 1 in its rows, `[row, arm]`.

    Raises:
        FitRefusedError: If there is no scatter but of rounding, or its square is no number.
    """
    size = magnitude(value)
    centred = value / size - np.median(value / size)  # first, so that a large mean costs no digits
    scatter = centred - fixed @ np.linalg.lstsq(fixed, centred, rcond=None)[0]
    free = max(value.size - fixed.shape[1], 1)
    unit = math.sqrt(float(scatter @ scatter) / free)
    if all(np.ptp(centred[arm > 0]) == 0.0 for arm in fixed.T):
        raise FitRefusedError("All values of an arm are equal: there is nothing to share out.")
    if unit <= ROUNDING:
        raise FitRefusedError(
            f"Values of an arm scatter by {unit * size:.2g} beside values of "
            f"{float(np.abs(value).max()):.2g}, which may be rounding alone. Subtract what all "
            "values have in common before they are written."
        )
    if not SMALL < unit * size < LARGE:
        raise FitRefusedError(
            f"Values scatter by {unit * size:.2g}, whose square is no number of a computer. Give "
            "them in a unit of that size."
        )
    return scatter / unit, unit * size


def mixed_model(value: Array, fixed: Array, codes: Sequence[Codes], start: Array) -> Array:
    """Variances by the mixed model of statsmodels, that of single rows last.

    Args:
        value: `[row]`.
        fixed: Columns of the means, `[row, column]`.
        codes: Level of each component in every row.
        start: Variances to start from.

    Raises:
        FitRefusedError: If it is singular or does not converge.
    """
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


def _starts(n: int) -> list[Array]:
    """Every variance alike, and most of it in the last one or in none but the last."""
    return [
        np.full(n, 1.0 / n),
        np.append(np.full(n - 1, 0.02), 0.9),
        np.append(np.full(n - 1, 0.5), 0.02),
    ]


def _told_apart(codes: Sequence[Codes], fixed: Array, names: Sequence[str]) -> None:
    """Refuse components whose covariances are no more than sums of others'."""
    hat = fixed @ np.linalg.pinv(fixed)
    random = [np.eye(int(code.max()) + 1)[code] for code in codes]
    left = [*(z - hat @ z for z in random), None]
    size = len(names)
    gram = np.empty((size, size))
    rest = fixed.shape[0] - float(np.trace(hat))
    for i in range(size):
        for j in range(i + 1):
            a, b = left[i], left[j]
            if a is None:
                gram[i, j] = rest if b is None else float((b**2).sum())
            elif b is not None:
                gram[i, j] = float(((a.T @ b) ** 2).sum())
            gram[j, i] = gram[i, j]
    scale = np.sqrt(np.diag(gram))
    values, vectors = np.linalg.eigh(gram / scale[:, None] / scale)
    if values[0] < 1e-9:
        alike = [name for name, part in zip(names, vectors[:, 0], strict=True) if abs(part) > 1e-4]
        raise FitRefusedError(
            f"The model is singular: the variances of {' and '.join(alike)} cannot be told apart, "
            "since their levels coincide. Repeat levels of one across the other, or name fewer "
            "by `--group`."
        )


def _numeric_scatter(scatter: Array, parts: Sequence[Codes]) -> None:
    """Refuse where rows that are alike in everything are equal: the likelihood has no maximum."""
    cell, n = np.unique(np.column_stack(parts), axis=0, return_inverse=True, return_counts=True)[1:]
    cell = cell.reshape(-1)
    within = scatter - np.bincount(cell, weights=scatter)[cell] / n[cell]
    if n.max() > 1 and float(np.abs(within).max()) <= 1e-12 * float(np.abs(scatter).max()):
        raise FitRefusedError(
            f"Rows that are alike in every component are equal: the variance `{NUMERIC}` is 0 "
            "exactly. Keep one of each to see the others."
        )


def _limits(
    held: Held, index: int, best: Array, least: float, allowed: float, top: float
) -> Limits:
    """Where a profile lies `allowed` above its least; 0 or None where it never does."""
    inside = min(max(float(best[index]), FLOOR), top)

    def above(log: float) -> float:
        rise = held(index, math.exp(log), best) - least
        return math.sqrt(max(rise, 0.0)) - math.sqrt(allowed)  # nearly a line, so few steps

    def crossing(outside: float) -> float:
        return math.exp(float(brentq(above, math.log(inside), math.log(outside), xtol=1e-4)))

    low = crossing(FLOOR) if inside > FLOOR and above(math.log(FLOOR)) > 0 else 0.0
    far = inside
    while far < top and above(math.log(far := min(max(4.0 * far, 1e-4), top))) < 0:
        pass
    if far > inside and above(math.log(far)) > 0:
        return low, crossing(far)
    return low, None if top > 1.0 else 1.0
