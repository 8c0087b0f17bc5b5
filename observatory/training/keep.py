"""When the complete state of a replica is kept. Imports no torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from observatory.core.errors import ConfigError
from observatory.core.schedule import At, Schedule
from observatory.core.settings import Positive, checked, known_name
from observatory.training.components import make

_TYPES = {"schedule": Any, "events": list[str], "horizon": bool, "most_mb": Positive}


@dataclass(frozen=True)
class StateSettings:
    """When states are kept, as `store.states` says."""

    schedule: Schedule  # at which steps of a replica
    events: tuple[str, ...]  # at the look at which each of these events is first seen
    horizon: bool  # when a replica reaches the horizon
    most_mb: float  # what the states of schedule and horizon may take, of a run

    def steps(self, horizon: int) -> list[int]:
        """Every step up to the horizon at which the schedule keeps a state."""
        return list(due_steps(self.schedule, horizon))

    def thinned(self, horizon: int, n_replicas: int, state_bytes: int) -> "StateSettings":
        """What `most_mb` has room for: the horizon, then every 1st, 2nd, 4th, ... scheduled step.

        The states of the horizon are kept of all or of none; those of events come on top. Nobody is
        taken to leave before the horizon, so that what is kept is known before the start.

        Args:
            horizon: Steps of a replica.
            n_replicas: Of the run.
            state_bytes: Of one state.
        """
        steps, each = self.steps(horizon), n_replicas * state_bytes
        most = int(1e6 * self.most_mb / each)  # states of every replica
        at_horizon = self.horizon and most >= 1
        stride, most = 1, most - at_horizon
        while len(steps[::stride]) > most and stride < len(steps):
            stride *= 2
        kept = steps[::stride] if most >= 1 else []
        schedule = self.schedule if kept == steps else At(kept)
        return replace(self, schedule=schedule, horizon=at_horizon)


def state_settings(config: Mapping[str, Any]) -> StateSettings | None:
    """When states are kept; None where never, as in all runs of before they could be.

    Raises:
        ConfigError: If a setting is unknown or breaks its rule.
    """
    given = config.get("store", {}).get("states")
    if given is None:
        return None
    checked(given, _TYPES, "store.states", complete=True)
    for event in given["events"]:
        known_name("store.states.events", event, config.get("event", {}))
    schedule = make(given["schedule"])
    if not isinstance(schedule, Schedule):
        raise ConfigError(f"`store.states.schedule` must be a schedule, got {schedule!r}.")
    events = tuple(given["events"])
    return StateSettings(schedule, events, given["horizon"], float(given["most_mb"]))


def left_out(config: Mapping[str, Any], kept: StateSettings | None) -> str:
    """Which states a run asks for and has no room for, as a sentence; empty where it keeps all.

    Args:
        config: Of the run.
        kept: What it keeps.
    """
    asked, horizon = state_settings(config), config["horizon_steps"]
    if asked is None or kept is None or asked == kept:
        return ""
    n, of = len(kept.steps(horizon)), len(asked.steps(horizon))
    lost = [f"of {n} of {of} scheduled steps"] if n < of else []
    lost += ["none of the horizon"] if asked.horizon > kept.horizon else []
    return (
        f"`store.states.most_mb={asked.most_mb:g}` has room for states {', '.join(lost)} only. "
        "Raise it to keep all."
    )


def due_steps(schedule: Schedule, horizon: int) -> Iterator[int]:
    """The due steps from 0 to the horizon."""
    step = 0 if schedule.due(0) else schedule.following(0)
    while step is not None and step <= horizon:
        yield step
        step = schedule.following(step)
