"""Keeps complete states of replicas while they train."""

from collections.abc import Mapping
from typing import final

import lightning.pytorch as pl

from observatory.core.schedule import AnyOf, At, Schedule
from observatory.fleet.rules import Event, Looks
from observatory.store.schema import STATES
from observatory.store.writer import ShardWriter
from observatory.training.callbacks import BetweenChunks
from observatory.training.keep import StateSettings
from observatory.training.module import FleetModule
from observatory.training.state_rows import to_rows

PURPOSE = "states"
"""Name of the schedule."""


def states_schedule(settings: StateSettings, horizon: int) -> Schedule:
    """The steps at which states are kept, whatever is seen."""
    return AnyOf((settings.schedule, At((horizon,) if settings.horizon else ())))


def first_seen(event: Event, looks: Looks) -> bool:
    """Whether an event is in a record, and is not in it without its last look."""
    steps, values = looks.steps[:-1], looks.series[event.series][:-1]
    before = bool(steps) and event.locate(steps, values).observed
    return looks.locate(event).observed and not before


@final
class StatesCallback(BetweenChunks):
    """Keeps complete states at the steps of a schedule, at events and at the horizon.

    Args:
        settings: When.
        events: All events of the run by name.
        writer: Of the shard.
    """

    def __init__(
        self, settings: StateSettings | None, events: Mapping[str, Event], writer: ShardWriter
    ) -> None:
        self.settings, self.writer = settings, writer
        self.events = [events[name] for name in settings.events] if settings else []

    def act(self, trainer: pl.Trainer, module: FleetModule) -> None:
        """Write a row per replica whose state is due; the training does not notice."""
        if self.settings is None:
            return
        fleet, tracker = module.fleet, module.tracker
        slots = tracker.due(PURPOSE, fleet)
        if self.events:
            new = (slot for slot in fleet.active() if self._seen_now(module, slot))
            slots = sorted({*slots, *new})
        if not slots:
            return
        tracker.done(PURPOSE, slots, fleet)
        with module.clock.charged("store"):
            states = fleet.states(slots)
            self.writer.append(STATES, states.replica, states.step, to_rows(states))

    def _seen_now(self, module: FleetModule, slot: int) -> bool:
        looks, age = module.fleet.looks[slot], module.fleet.ages[slot]
        if not looks.end_at(age) or module.tracker.last[PURPOSE][slot] == age:
            return False
        return any(first_seen(event, looks) for event in self.events)
