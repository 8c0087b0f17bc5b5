"""What of a study is fitted: its events, its horizons and the fits, from the settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pandas as pd

from observatory.analysis.fit.contract import Fit
from observatory.analysis.fit.lead import lead_names
from observatory.analysis.fit.settings import STUDY, build, fit_nodes
from observatory.analysis.stats.numbers import checked_numbers
from observatory.analysis.tables.recorded import common_step
from observatory.analysis.tables.watched import DRAWN, are_watched, why_not_fitted
from observatory.core.errors import ConfigError
from observatory.store.reader import Run


@dataclass(frozen=True)
class _StudyPlan:
    """Which events and horizons are fitted."""

    events: Sequence[str]
    horizon_fractions: Sequence[float]
    horizon_steps: Sequence[int] | None
    lead: Sequence[str]  # candidates; empty where none of them is fitted
    longest_only: Sequence[str]
    seed: int


def read_settings(settings: Mapping[str, Any]) -> tuple[_StudyPlan, dict[str, Fit]]:
    """The plan and the fits of a configuration's `fit` node, given as plain values.

    Raises:
        ConfigError: If a fit is none of this package's, lacks a number, or has one that breaks its
            rule.
    """
    plan = _StudyPlan(**{f.name: settings[STUDY][f.name] for f in fields(_StudyPlan)})
    checked_numbers({k: v for k, v in settings[STUDY].items() if k != "horizon_steps"})
    made = {name: build(name, node) for name, node in settings.items() if name != STUDY}
    fits = {name: fit for name, fit in made.items() if isinstance(fit, Fit)}
    named = lead_names(plan.lead, [*fit_nodes(), *made], plan.longest_only)
    return replace(plan, lead=[name for name in named if name in fits]), fits


def completed(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that a study recorded, with what there was not yet when it was made.

    A study that records every shared number of today has the fits that were asked for. An older one
    gets the numbers it lacks, and the questions that were fitted while a page was drawn: these are
    all that are no fits of runs.
    """
    lacking = {name: value for name, value in now[STUDY].items() if name not in recorded[STUDY]}
    if not lacking:
        return dict(recorded)
    of_runs = read_settings(now)[1]
    newer = {name: node for name, node in now.items() if name not in {STUDY, *of_runs}}
    return {**newer, **recorded, STUDY: {**recorded[STUDY], **lacking}}


def with_observed_events(runs: Sequence[Run], settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `fit` node for runs of the user's own, which have the events that their owner named.

    Args:
        runs: Of a study; of our own runs, the settings stay as they are.
        settings: The node. Where it names events of the study, these are fitted, else all.

    Raises:
        ConfigError: If the owner named no event, or gave no weight decay.
    """
    if why := why_not_fitted(runs):
        raise ConfigError(f"{why} {DRAWN}")
    if not are_watched(runs):
        return settings
    own = list(dict.fromkeys(name for run in runs for name in run.manifest["config"]["event"]))
    events = [name for name in settings[STUDY]["events"] if name in own] or own
    return {**settings, STUDY: {**settings[STUDY], "events": events}}


def horizons(plan: _StudyPlan, longest: int, outcomes: pd.DataFrame) -> list[int]:
    """The horizons of a plan in steps, longest first; where replicas still train, up to `longest`.

    Raises:
        ConfigError: If one is not in (0, longest]: a record cannot show what was not run.
    """
    asked = plan.horizon_steps
    steps = asked if asked is not None else [round(f * longest) for f in plan.horizon_fractions]
    if common_step(outcomes) is not None:
        steps = [min(s, longest) for s in steps]
    if wrong := [s for s in steps if not 0 < s <= longest]:
        must = "`horizon_fractions` must give steps" if asked is None else "`horizon_steps` must be"
        raise ConfigError(f"{must} in (0, {longest}], the horizon that was run, got {wrong}.")
    return sorted(set(steps), reverse=True)
