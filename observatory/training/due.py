"""Who is due to be looked at, by whom: every replica by its own clock, nobody twice at one step."""

from collections.abc import Mapping
from functools import lru_cache

from observatory.core.schedule import Schedule
from observatory.fleet.fleet import Fleet

NEVER = -1
_remembered = lru_cache(maxsize=256)


class DueTracker:
    """Schedules by purpose, and the step at which each slot was last looked at.

    Args:
        schedules: Purpose ("evaluate", "probe:attention", ...) to schedule, on the replica's clock.
        size: Number of slots.
        checkpoint_every: Stacked steps between checkpoints.
    """

    def __init__(self, schedules: Mapping[str, Schedule], size: int, checkpoint_every: int) -> None:
        self.schedules, self.checkpoint_every = dict(schedules), checkpoint_every
        # Asked for every slot at every stop: the search of a schedule costs as much as a probe.
        self._due = {purpose: _remembered(schedule.due) for purpose, schedule in schedules.items()}
        self._following = [_remembered(schedule.following) for schedule in schedules.values()]
        self.last = {purpose: [NEVER] * size for purpose in schedules}

    def due(self, purpose: str, fleet: Fleet) -> list[int]:
        """Slots due now for `purpose` and not yet looked at."""
        due, last, ages = self._due[purpose], self.last[purpose], fleet.ages
        if not any(due(age) for age in set(ages)):  # mostly, and all slots are often of one age
            return []
        return [slot for slot in fleet.active() if last[slot] != ages[slot] and due(ages[slot])]

    def done(self, purpose: str, slots: list[int], fleet: Fleet) -> None:
        """Note that `slots` were looked at now."""
        for slot in slots:
            self.last[purpose][slot] = fleet.ages[slot]

    def seated(self, slots: list[int], fleet: Fleet) -> None:
        """Replicas took `slots`: nobody has looked at those that have made no step."""
        for last in self.last.values():
            for slot in slots:
                last[slot] = fleet.ages[slot] or NEVER

    def moved(self, slots: list[int]) -> None:
        """The stack is smaller: which slot each slot was before."""
        self.last = {purpose: [last[slot] for slot in slots] for purpose, last in self.last.items()}

    def steps_to_next(self, fleet: Fleet) -> int:
        """Steps until the next look or checkpoint; 0 where somebody is due already."""
        if any(self.due(purpose, fleet) for purpose in self.schedules):
            return 0
        waits = [self.checkpoint_every - fleet.tick % self.checkpoint_every]
        for age in {fleet.ages[slot] for slot in fleet.active()}:
            waits += [step - age for of in self._following if (step := of(age)) is not None]
        return min(waits)

    def state(self) -> dict[str, list[int]]:
        """Plain values from which `restore` continues."""
        return {purpose: list(last) for purpose, last in self.last.items()}

    def restore(self, state: Mapping[str, list[int]]) -> None:
        """Inverse of `state`."""
        self.last = {purpose: list(last) for purpose, last in state.items()}
