"""Finite-size scaling of any order parameter: every link of the chain, and what they come to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import final

import numpy as np

from observatory.analysis.scaling.estimators.binder import crossing_link
from observatory.analysis.scaling.estimators.collapse_link import Search, collapse_link, grid_bias
from observatory.analysis.scaling.estimators.collapse_quality import NUMBERS
from observatory.analysis.scaling.estimators.found import Draws, Found, limits_of
from observatory.analysis.scaling.estimators.remarks import remarks
from observatory.analysis.scaling.estimators.sample import (
    Sample,
    SizedRows,
    in_cells,
    require_signal,
)
from observatory.analysis.scaling.estimators.sharpening import sharpening_link
from observatory.analysis.scaling.estimators.susceptibility import susceptibility_link
from observatory.analysis.scaling.estimators.unimodality import groups_link
from observatory.analysis.scaling.estimators.verdicts import KINDS, Link, judge_chain
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain, about
from observatory.analysis.stats.solvers import f_quantile
from observatory.core.errors import FitRefusedError


def _on_log_axis(rows: SizedRows) -> SizedRows:
    """The rows with log10 of the control; refused where one is not positive."""
    if np.any(rows.control <= 0):
        raise FitRefusedError(
            "On a log axis the control must be positive, and some rows have 0. Leave them out, or "
            "set log_control=false."
        )
    return replace(rows, control=np.log10(rows.control))


def _from_log_axis(found: Found) -> Found:
    """Places back from log10: intervals are transformed, standard errors stay in decades."""

    def back(value: float | None) -> float | None:
        return None if value is None else 10.0**value

    def raised(of: Parameter) -> Parameter:
        return Parameter(10.0**of.value, of.se, back(of.ci_low), back(of.ci_high))

    places = ("critical", *(f"crossing_{kind}" for kind in KINDS))
    params = {name: raised(of) if name in places else of for name, of in found.params.items()}
    curves = {
        name: list(map(back, values)) if _is_place(name) else values
        for name, values in found.curves.items()
    }
    critical = {
        name: 10.0**limit if isinstance(limit, float) else limit
        for name, limit in found.table["critical"].items()
    }
    table = found.table | {"critical": critical}
    return replace(found, params=params, curves=curves, table=table)


def _is_place(name: str) -> bool:
    curve, _, column = name.partition(".")
    return name in ("cell.control", "profile_critical.value") or (
        curve == "pair" and column != "inverse_size"
    )


@final
@dataclass(frozen=True, kw_only=True)
class FiniteSizeChain:
    """Sharpening, crossings, susceptibility, groups of seeds, collapse, and what they come to."""

    fit_name = "scaling"
    estimator = "finite_size_chain"
    log_control: bool  # scale log10 of the control
    zeta: float | None  # exponent of the order parameter held at this; None to fit it
    min_seeds: int  # fewest seeds of a cell
    flat_level: float  # of the test that the control changes anything
    se_floor: float  # least standard error of a mean, as a share of the range of means
    n_centres: int  # centres of sigmoids tried
    n_widths: int  # widths tried
    least_exponent: float  # of the width, below which shrinking counts as none
    min_share: float  # of resamples in which a pair of sizes must cross
    min_overlap: float  # share of cells that must overlap with another size in a collapse
    min_decades: float  # of size, below which exponents are underdetermined
    quality_low: float  # S below this means errors so large that anything collapses
    quality_high: float  # S above this means no collapse
    n_starts: int  # random starts of the search for the collapse
    n_steps: int  # most steps of a search
    n_profile: int  # points of each profile of S
    n_uniform: int  # uniform samples that the dip is compared with
    n_bootstrap: int  # resamples of seeds
    n_null: int  # smooth crossovers simulated
    level: float  # coverage of intervals; tests are at 1 - level

    def __post_init__(self) -> None:
        if self.n_steps < 10:
            raise ValueError(f"`n_steps` must be at least 10, got {self.n_steps}.")
        if not 0.0 <= self.quality_low < self.quality_high:
            got = f"{self.quality_low} and {self.quality_high}"
            raise ValueError(f"`quality_low` must be below `quality_high`, got {got}.")

    def estimate(self, rows: SizedRows, seed: int) -> Estimate:
        """Go through the chain.

        Returns:
            `critical`, `nu`, `inverse_nu`, `zeta`, `zeta_over_nu` of the collapse, where the curves
            collapse; `sharpening`, the exponent of the width; `crossing_*` at infinite size with
            `drift_*` per 1 / size and `u4_lowest_*`, for the raw, centred and shifted order
            parameter; `gamma_over_nu`. The verdict of the chain and its reason are extras, those of
            its links rows of the table.

        Raises:
            FitRefusedError: If there are too few sizes, values or seeds, or nothing changes.
        """
        found = self.whole(rows, seed)
        if found.table["data_collapse"]["verdict"] == "collapses":
            return found
        rest = {
            name: {k: v for k, v in getattr(found, name).items() if not _of_collapse(k)}
            for name in ("params", "table", "curves")
        }
        return replace(found, **rest)

    def whole(self, rows: SizedRows, seed: int) -> Estimate:
        """The chain with the numbers of the best collapse, though it may be none.

        Raises:
            FitRefusedError: If there are too few sizes, values or seeds, or nothing changes.
        """
        rng = np.random.default_rng(seed)
        axis = _on_log_axis(rows) if self.log_control else rows
        sample, warnings = in_cells(axis, self.min_seeds)
        degrees = sample.pivot.size - sample.sizes.size, sample.value.size - sample.pivot.size
        require_signal(sample, f_quantile(1.0 - self.flat_level, *degrees))
        search = Search(
            self.se_floor, self.min_overlap, self.zeta, self.n_starts, self.n_steps, self.n_profile
        )
        links, chain, parts, draws = self._links(sample, search, rng)
        warnings += self._warnings(draws, parts, search)
        whole = _joined(parts)
        whole = _from_log_axis(whole) if self.log_control else whole
        extras: dict[str, Plain] = {
            "verdict": chain.verdict,
            "reason": chain.reason,
            "p_crossover": chain.p,
            **whole.extras,
            "n_sizes": sample.sizes.size,
            "n_cells": sample.pivot.size,
            **{name: getattr(self, name) for name in ("log_control", "n_bootstrap", "n_null")},
        }
        table = {**{name: asdict(link) for name, link in links.items()}, **whole.table}
        return Estimate(
            **about(self, seed),
            event=rows.outcome,
            params=whole.params,
            n=sample.value.size,
            warnings=warnings,
            extras=extras,
            curves=whole.curves,
            table=table,
        )

    def _links(
        self, sample: Sample, search: Search, rng: np.random.Generator
    ) -> tuple[dict[str, Link], Link, list[Found], Draws]:
        """Each link and the whole chain; what they found, the data collapse first; the draws."""
        links, level = dict[str, Link](), self.level
        grid, n_draws = (self.n_centres, self.n_widths), (self.n_bootstrap, self.n_null)
        links["sharpening"], widths, draws = sharpening_link(
            sample, self.se_floor, grid, n_draws, self.least_exponent, level, rng
        )
        links["crossings"], crossed, places = crossing_link(draws, self.min_share, level)
        links["susceptibility"], peaks = susceptibility_link(draws, level)
        links["groups"], dips = groups_link(sample, self.n_uniform, level, rng)
        quality = self.quality_low, self.quality_high
        links["data_collapse"], collapse = collapse_link(
            draws, search, quality, self.min_decades, level, rng
        )
        chain = judge_chain(links, crossed, limits_of(collapse.params["critical"]), level)
        return links, chain, [collapse, widths, places, peaks, dips], draws

    def _warnings(self, draws: Draws, parts: Sequence[Found], search: Search) -> list[str]:
        params, sample = parts[0].params, draws.sample
        numbers = [params[k].value for k in ("critical", "inverse_nu")]
        ratio = params.get("zeta_over_nu")
        numbers.append((self.zeta or 0.0) * numbers[1] if ratio is None else ratio.value)
        bias = grid_bias(draws, search, np.array(numbers))
        misfit = float(parts[1].extras["reduced_chi2"] or 0.0)
        found = remarks(sample, draws.own, misfit, params, bias)
        low, high = float(sample.control.min()), float(sample.control.max())
        if not self.log_control and low > 0 and np.log10(high / low) > 1.5:
            found.append(
                "The control spans more than 1.5 decades on a linear axis: set log_control=true to "
                "scale its logarithm."
            )
        return found


def _of_collapse(name: str) -> bool:
    """Whether a parameter, its row, or its profile is one of the data collapse."""
    bare = name.removeprefix("profile_").partition(".")[0]
    return bare in (*NUMBERS, "nu", "zeta")


def _joined(parts: Sequence[Found]) -> Found:
    whole = Found()
    for part, name in product(parts, ("params", "curves", "extras", "table")):
        getattr(whole, name).update(getattr(part, name))
    return whole
