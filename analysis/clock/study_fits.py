"""The clock of a study: groups that differ in their learning rate alone, fitted as one table."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from observatory.analysis.clock.estimators.clock import Clock
from observatory.analysis.clock.estimators.rows import joined
from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.settings import STUDY, build
from observatory.analysis.fit.task import Part
from observatory.analysis.page.comparison import GroupComparison, StudyGroup
from observatory.analysis.page.frames import column
from observatory.analysis.stats.estimate import Estimate, about
from observatory.analysis.tables.cells import observations

_LR = "lr = "


def fit_clock(comparison: GroupComparison, settings: Mapping[str, Any]) -> list[Record]:
    """Threshold or clock, for every set of groups that differ in their learning rate alone.

    A record each, refused or not, for the main event; none where the study does not ask for it, or
    no group has a companion at another learning rate.
    """
    if "clock" not in settings:
        return []
    fit: Clock = build("clock", settings["clock"])
    seed = int(settings[STUDY]["seed"])
    families = {name: own for name, own in _families(comparison).items() if len(own) > 1}
    return [
        _part(fit, own, seed, {"setting": name} if name and len(families) > 1 else {}).record()
        for name, own in families.items()
    ]


def _families(comparison: GroupComparison) -> dict[str, dict[float, StudyGroup]]:
    """Groups by learning rate, rising, by what else sets them apart."""
    found: dict[str, dict[float, StudyGroup]] = {}
    for group in comparison.groups:
        rates = np.unique(column(group.facts.group.replicas, "lr"))
        parts = [part for part in group.label.split(", ") if not part.startswith(_LR)]
        if rates.size == 1:
            found.setdefault(", ".join(parts), {})[float(rates[0])] = group
    return {name: dict(sorted(own.items())) for name, own in found.items()}


def _part(
    fit: Clock, groups: Mapping[float, StudyGroup], seed: int, apart: Mapping[str, str]
) -> Part:
    each: Sequence[StudyGroup] = list(groups.values())
    facts = each[0].facts
    horizon = min(group.facts.horizon for group in each)
    return Part(
        **about(fit, seed),
        event=facts.event,
        n=sum(len(group.facts.group.replicas) for group in each),
        compute=partial(_estimate, fit, groups, facts.event, horizon, seed),
        horizon_steps=horizon,
        group=apart,
        extras={"control": "weight decay"},
    )


def _estimate(
    fit: Clock, groups: Mapping[float, StudyGroup], event: str, horizon: int, seed: int
) -> Estimate:
    """The estimate of groups by learning rate, their records cut at one horizon in steps."""
    parts = {
        lr: observations(
            group.facts.group.replicas, event, horizon, group.facts.group.steps_per_epoch
        )
        for lr, group in groups.items()
    }
    return fit.estimate(joined(parts), seed)
