"""Arms of a fleet: copies of its replicas that part from them, and what is held of them then."""

from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from observatory.core.contracts import HasModulus, HasParts, Hyper, Model, Optimizer, Rows
from observatory.core.layout import Params
from observatory.core.rng import named_generator
from observatory.fleet.fleet import Fleet
from observatory.fleet.rules import Event
from observatory.fleet.settings import SERIES
from observatory.fleet.stack import drawn_row, layout_of
from observatory.interventions.arm import Arm
from observatory.interventions.contract import Act, Acted, Hold, OnPart, Place, Row, Setting
from observatory.interventions.moments import AtPeak, Seen, plain
from observatory.interventions.parts import PartNames

Donated = Mapping[tuple[str, int], Row]
"""The parameters of a donor by name of an arm and identity of its replica."""


@final
class Arms:
    """Who parts from whom in one fleet, and when.

    Args:
        arms: By name.
        events: All events of the run by name.
        donated: Of all arms that have donors.
        fleet: Its table has a row for every arm of every replica.
    """

    def __init__(
        self,
        arms: Mapping[str, Arm],
        events: Mapping[str, Event],
        donated: Donated,
        fleet: Fleet,
    ) -> None:
        self.arms, self.events, self.donated, self.fleet = arms, events, donated, fleet
        self.signals = signals_of(arms)
        """Recorded signals on which a moment depends, beside those of the evaluation."""
        self.recorded: dict[int, dict[str, tuple[list[int], list[float]]]] = {}
        """Steps and values of these so far in the order of steps, by replica."""
        table = fleet.table
        self._of: dict[int, list[int]] = {}
        """Rows of the arms of each parent."""
        for row in range(table.n_fresh, len(table)):
            self._of.setdefault(int(table.parent[row]), []).append(row)
            arm = arms[table.arm[row]]
            if isinstance(arm.intervention, Setting):
                own = fleet.given.row(row)
                fleet.given.change(row, arm.intervention.changed(own, arm.strength))
        if any(isinstance(arm.intervention, Hold) for arm in arms.values()):
            fleet.optimizer = Holding(fleet.optimizer, arms, fleet)

    def record(
        self, signal: str, replicas: Iterable[int], steps: Iterable[int], values: Iterable[float]
    ) -> None:
        """What a probe recorded of some replicas, one value of a signal each, in any order.

        Looks wait by the probes that look together: a later one may be measured first.
        """
        for replica, step, value in zip(replicas, steps, values, strict=True):
            if replica in self._of:
                series = self.recorded.setdefault(replica, {}).setdefault(signal, ([], []))
                place = bisect(series[0], step)
                series[0].insert(place, step)
                series[1].insert(place, value)

    def pending(self, replica: int) -> list[int]:
        """Rows of the arms that have not parted from a replica yet."""
        return [row for row in self._of.get(replica, []) if row not in self.fleet.queue.parted]

    def part(self, slot: int) -> list[int]:
        """Have the arms of a replica part whose moment has come, at its last look.

        Returns:
            Identities of the arms that did: they wait for a seat, in the state of the replica with
            what is done to it.
        """
        fleet, parted = self.fleet, list[int]()
        for row in self.pending(fleet.replica_of(slot)):
            arm = self.arms[fleet.table.arm[row]]
            if arm.moment.come(self._seen(slot)):
                self._part(slot, row, arm)
                parted.append(int(fleet.table.replica[row]))
        return parted

    def never(self, replica: int) -> list[int]:
        """A replica leaves: identities of its arms whose moment did not come."""
        rows = self.pending(replica)
        self.recorded.pop(replica, None)
        self.fleet.queue.parted.update(rows)
        return [int(self.fleet.table.replica[row]) for row in rows]

    def _seen(self, slot: int) -> Seen:
        looks, recorded = self.fleet.looks[slot], self.recorded.get(self.fleet.replica_of(slot), {})

        def event(name: str) -> int | None:
            found = looks.locate(self.events[name])
            return None if found.t_hi is None else round(found.t_hi)

        def signal(name: str) -> tuple[list[int], list[float]]:
            if name in SERIES:
                return looks.steps, looks.series[name]
            return recorded.get(name, ([], []))

        return Seen(self.fleet.ages[slot], event, signal)

    def _part(self, slot: int, row: int, arm: Arm) -> None:
        fleet, intervention = self.fleet, arm.intervention
        replica = int(fleet.table.replica[row])
        state = fleet.states([slot])
        step = state.step[0]
        state = replace(
            state,
            replica=[replica],
            looks=state.looks if step else [[[], [], []]],  # whoever begins at 0 is looked at then
        )
        if isinstance(intervention, OnPart):
            acted = Acted(
                flat=state.flat[0],
                optimizer={name: value[0] for name, value in state.optimizer.items()},
                parts=part_names(fleet.network),
                rng=named_generator(int(fleet.table.seed[row]), "act"),
                drawn=lambda rng: drawn_row(fleet.network, rng).cpu(),
                first=initial(fleet, row),
                donated=self.donated.get((fleet.table.arm[row], replica)),
                modulus=modulus_of(fleet.dataset.task),
            )
            if isinstance(intervention, Act):
                intervention.act(acted, arm.strength)
            if isinstance(intervention, Hold):
                fleet.queue.targets[row] = intervention.target(acted)
        fleet.queue.parted.add(row)
        fleet.queue.waiting.append(state)


def signals_of(arms: Mapping[str, Arm]) -> set[str]:
    """Signals of probes on which the moment of an arm depends."""
    moments = [moment for arm in arms.values() for moment in plain(arm.moment)]
    return {each.signal for each in moments if isinstance(each, AtPeak)} - set(SERIES)


def modulus_of(task: object) -> int | None:
    """As of `HasModulus`; None of tasks that have none."""
    return task.modulus if isinstance(task, HasModulus) else None


def part_names(network: nn.Module) -> PartNames:
    """What the entries of a network's parameters are called."""
    assert isinstance(network, Model)
    return PartNames(layout_of(network), network.parts() if isinstance(network, HasParts) else {})


def initial(fleet: Fleet, row: int) -> Row:
    """The parameters from which a replica started, on the host."""
    return drawn_row(fleet.network, named_generator(int(fleet.table.seed[row]), "init")).cpu()


class _Held(NamedTuple):
    """The replicas of one hold that have a seat now, and what it takes beside their parameters."""

    hold: Hold
    slots: list[int]
    strength: Tensor
    target: Tensor
    place: Place


@final
class Holding:
    """An optimizer after whose steps holds are kept up, on the rows of their arms alone.

    Args:
        inner: The optimizer.
        arms: By name.
        fleet: Whose rows they are.
    """

    def __init__(self, inner: Optimizer, arms: Mapping[str, Arm], fleet: Fleet) -> None:
        self.inner, self.fleet, parts = inner, fleet, part_names(fleet.network)
        self._holds = {
            name: (arm.intervention, arm.strength, parts.entries(arm.intervention.part))
            for name, arm in arms.items()
            if isinstance(arm.intervention, Hold)
        }
        self._seats: list[int] = []
        self._held: list[_Held] = []

    def init(self, flat: Rows) -> Params:
        """The state of the optimizer."""
        return self.inner.init(flat)

    def update(self, flat: Rows, grads: Rows, state: Params, hyper: Hyper) -> None:
        """One step, then the holds."""
        if self._seats != self.fleet.slots:
            self._seats, self._held = list(self.fleet.slots), self._who_is_held()
        before = [flat[held.slots].clone() for held in self._held]
        self.inner.update(flat, grads, state, hyper)
        for was, held in zip(before, self._held, strict=True):
            flat[held.slots] = held.hold.hold(
                was, flat[held.slots], held.strength, held.target, held.place
            )

    def _who_is_held(self) -> "list[_Held]":
        fleet, held = self.fleet, list[_Held]()
        for name, (hold, strength, entries) in self._holds.items():
            slots = [slot for slot in fleet.active() if fleet.table.arm[fleet.slots[slot]] == name]
            if not slots:
                continue
            target = torch.stack([fleet.queue.targets[fleet.slots[slot]] for slot in slots])
            of_each = torch.full((len(slots), 1), strength, dtype=fleet.dtype)
            place = Place(entries.to(fleet.device), fleet.layout)
            held.append(
                _Held(hold, slots, of_each.to(fleet.device), target.to(fleet.device), place)
            )
        return held
