"""Boundaries of several tables or groups beside each other, and plans from a pilot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from observatory.analysis.boundary.estimators.ratio import boundary_ratio
from observatory.analysis.boundary.seeds_needed import plan_seeds
from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.observed import Opened, left_out, open_runs, run_part
from observatory.analysis.fit.settings import STUDY, draw_seed, shared_setting
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.page.comparison import GroupComparison
from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.stats.first_group import adjust_family, beside_first
from observatory.analysis.stats.numbers import checked_numbers
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.paired_rates import compare_rates
from observatory.analysis.tables.open import Table
from observatory.core.errors import ConfigError, FitRefusedError


def compare_groups(
    groups: Mapping[str, Observations], level: float, n_bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Every group against the first: the ratio of boundaries, and the rates per weight decay.

    The ratios are one registered family: their p-values are adjusted by Holm over all of them,
    before any is looked at.

    Args:
        groups: Observations by label, within the window; the first is the reference.
        level: Coverage of the intervals.
        n_bootstrap: Resamples.
        seed: Of the resampling.

    Returns:
        Records as `fits.json` holds them: `boundary_ratio` with `p_holm` and `family` among the
        extras, and `rate_comparison`; refusals with their reason.
    """
    (reference, base), *others = groups.items()
    made: list[dict[str, Any]] = []
    for label, group in others:
        both, pair = (group, base), (label, reference)
        fits = {
            ("boundary_ratio", "firth"): partial(
                boundary_ratio, n_bootstrap=n_bootstrap, seed=seed
            ),
            ("rate_comparison", "mcnemar"): compare_rates,
        }
        for (kind, estimator), fit in fits.items():
            about = {"fit": kind, "estimator": estimator, "seed": seed}
            made.append(beside_first(fit, both, pair, level, **about))
    adjust_family([record for record in made if record["fit"] == "boundary_ratio"])
    return made


def fit_groups(comparison: GroupComparison, settings: Mapping[str, Any]) -> list[Record]:
    """Every group of a study against the first, at the horizons that they share.

    Rates at the longest alone. Empty where fewer than two groups have a finished replica, their
    events differ, or have no time to cut at.
    """
    level, n, seed = (settings[STUDY][name] for name in ("level", "n_bootstrap", "seed"))
    made: list[Record] = []
    for horizon in comparison.horizons:
        tables = comparison.tables(horizon)
        if len(tables) > 1:
            records = compare_groups(tables, level, n, seed)
            made += [r for r in records if not made or r["fit"] != "rate_comparison"]
    return made


def at_common_horizon(groups: Mapping[str, Observations]) -> dict[str, Observations]:
    """The groups as the shortest of their horizons would have left them, where all have times."""
    known = [g.horizon_steps for g in groups.values() if g.horizon_steps is not None]
    if len(known) < len(groups) or len(set(known)) == 1:
        return dict(groups)
    try:
        return {label: group.at_horizon(min(known)) for label, group in groups.items()}
    except FitRefusedError:
        return dict(groups)


def prepare_ratio(above: Table, below: Table, options: Mapping[str, Any]) -> Task:
    """The ratio of the boundaries of two tables, at the horizon that both have."""
    names = _names(options.get("names"), above, below)
    both = [open_runs(table, options, timed=False) for table in (above, below)]
    return Task("ratio", [_ratio_part(names, both, options)])


def with_ratios(task: Task, options: Mapping[str, Any]) -> Task:
    """The boundaries of several groups, and the ratio of each to that of the first.

    Args:
        task: A part per group, and what was opened of each by its name.
        options: As of `BoundaryOptions`, checked.
    """
    (first, base), *others = task.data.items()
    ratios = [
        replace(
            _ratio_part((name, first), [opened, base], options),
            group={"ratio": f"{name} / {first}"},
        )
        for name, opened in others
    ]
    return replace(task, parts=[*task.parts, *ratios])


def _ratio_part(names: tuple[str, str], both: Sequence[Opened], options: Mapping[str, Any]) -> Part:
    """The ratio of the boundaries of two tables that were opened."""
    level, n_bootstrap = (_shared(name, options) for name in ("level", "n_bootstrap"))
    seed = draw_seed(options.get("seed"))

    def compute() -> Estimate:
        made = [opened.cut() for opened in both]
        notes = [
            f"{name}: {note}"
            for name, opened, (data, found) in zip(names, both, made, strict=True)
            for note in (*found, *left_out(data, opened.window_max))
        ]
        notes += [f"{names[1]}: {warning}" for warning in both[1].warnings]
        inside = {
            str(place): data.within(opened.window_max)
            for place, (opened, (data, _)) in enumerate(zip(both, made, strict=True))
        }
        first, second = at_common_horizon(inside).values()
        found = boundary_ratio(first, second, names, level, n_bootstrap, seed)
        return replace(found, warnings=[*notes, *found.warnings])

    return run_part("boundary_ratio", "firth", level, seed, both[0], np.inf, compute)


def prepare_seeds(
    pilot: Table, width_decades: float, assurance: float, options: Mapping[str, Any]
) -> Task:
    """How many seeds per value of the control an interval of a wanted width needs."""
    checked_numbers({"width_decades": width_decades, "assurance": assurance})
    opened = open_runs(pilot, options, timed=False)
    level, n_simulations = (_shared(name, options) for name in ("level", "n_simulations"))
    seed = draw_seed(options.get("seed"))

    def compute() -> Estimate:
        data, notes = opened.cut()
        notes += left_out(data, opened.window_max)
        inside = data.within(opened.window_max)
        found = plan_seeds(inside, width_decades, assurance, n_simulations, level, seed)
        return replace(found, warnings=[*notes, *found.warnings])

    part = run_part("seeds", "simulation", level, seed, opened, opened.window_max, compute)
    return Task("seeds", [part])


def _shared(name: str, options: Mapping[str, Any]) -> Any:
    """A number as asked for, or as all fits of a study share it."""
    asked = options.get(name)
    return shared_setting(name) if asked is None else asked


def _names(asked: Sequence[str] | None, above: Table, below: Table) -> tuple[str, str]:
    """What the two tables are called: by their paths, where they have some."""
    if asked is None:
        first, second = (str(t) if isinstance(t, str | Path) else None for t in (above, below))
        return first or "a", second or "b"
    if isinstance(asked, str) or len(asked) != 2 or asked[0] == asked[1]:
        raise ConfigError(f"`names` must be two names that differ, got {asked!r}.")
    return asked[0], asked[1]
