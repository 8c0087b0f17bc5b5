"""A group of replicas as shorter horizons would have left it, at a whole grid of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.settings import STUDY, build
from observatory.analysis.horizon.estimators.by_horizon import ByHorizon
from observatory.analysis.page.facts import Facts
from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.cells import observations
from observatory.analysis.tables.outcomes import event_names
from observatory.core.errors import FitRefusedError

BY_HORIZON = "by_horizon"
"""The fit, its settings and its records."""


def fit_by_horizon(facts: Facts, settings: Mapping[str, Any]) -> list[Record]:
    """Rates, boundary and verdict at every horizon of a grid, for each event that can be cut.

    One record per event and horizon, refused or not; none where the study does not ask for it. The
    verdict is that of the study's own event.
    """
    if BY_HORIZON not in settings:
        return []
    fit: ByHorizon = build(BY_HORIZON, settings[BY_HORIZON])
    group, seed = facts.group, int(settings[STUDY]["seed"])
    known = event_names(group.replicas)
    tables = _tables(facts, [facts.event, *(event for event in fit.events if event in known)])
    times = [table.time[table.grokked] for table in tables.values()]
    first = min((float(time.min()) for time in times if time.size), default=None)
    if first is None:
        return []
    steps, found = fit.horizons(first, group.horizon), list[Record]()
    for event, data in tables.items():
        own = event == facts.event
        found += fit.records(data, steps, seed, verdicts=own, last=_known(facts) if own else None)
    return found


def _tables(facts: Facts, events: Sequence[str]) -> dict[str, Observations]:
    """The records of each event whose times are known, of more than one weight decay."""
    group, found = facts.group, dict[str, Observations]()
    for event in dict.fromkeys(events):
        try:
            data = observations(group.replicas, event, group.horizon, group.steps_per_epoch)
            data.at_horizon(group.horizon)
        except FitRefusedError:  # an event without a time, as of the last look alone
            continue
        if np.unique(data.weight_decay).size > 1:
            found[event] = data
    return found


def _known(facts: Facts) -> Mapping[str, Any] | None:
    """The verdict that the study has at its full horizon; None where it has none."""
    record = facts.single("horizon")
    return record and {name: record["extras"].get(name) for name in ("verdict", "reason")}
