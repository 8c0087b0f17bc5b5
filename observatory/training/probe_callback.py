"""Looks at the replicas whose probes are due, several measured as one."""

from collections.abc import Callable, Iterable, Sequence

import lightning.pytorch as pl
import torch

from observatory.core.contracts import Masked, Measurement
from observatory.core.schedule import Schedule
from observatory.fleet.fleet import Fleet
from observatory.fleet.look import LookStack, in_one_piece, looks_together
from observatory.store.writer import ShardWriter
from observatory.training.callbacks import BetweenChunks
from observatory.training.module import FleetModule
from observatory.training.suitability import Scheduled, measured_by

TOGETHER_WITHIN, SELDOM = 250, 10_000
"""Steps within which looks are measured together; between looks that come no more."""


class ProbeCallback(BetweenChunks):
    """Looks at the replicas that are due, and measures several looks as one."""

    def __init__(self, probes: dict[str, Scheduled], writer: ShardWriter, fleet: Fleet) -> None:
        self.probes, self.writer = probes, writer
        self._shape = (fleet.settings.size, fleet.flat.shape[1])
        self._buffer = fleet.settings.probe_buffer
        self.stacks: dict[tuple[str, ...], LookStack] = {}
        """By names of the probes that look together."""
        self.listeners: list[Callable[[torch.Tensor, torch.Tensor, Measurement], None]] = []
        """Called with replicas, steps and columns of what was measured."""

    def act(self, trainer: pl.Trainer, module: FleetModule) -> None:
        """Look at whoever is due; measure when enough has come together."""
        fleet, due = module.fleet, dict[int, tuple[str, ...]]()
        for name in self.probes:
            slots = module.tracker.due(f"probe:{name}", fleet)
            module.tracker.done(f"probe:{name}", slots, fleet)
            due |= {slot: (*due.get(slot, ()), name) for slot in slots}
        for names in dict.fromkeys(due.values()):
            slots = [slot for slot in due if due[slot] == names]
            with module.clock.charged("probe:forward"):
                look = fleet.look(slots)
                stack = self._stack(names)
            homes = [fleet.homes[slot] for slot in slots]
            if not stack.place(look, homes):
                self._measure(names, module)
                stack.place(look, homes)

    def flush(self, module: FleetModule) -> None:
        """Measure every look that still waits, so that all tables are complete to this tick."""
        for names in self.stacks:
            self._measure(names, module)

    def state(self) -> list[tuple[tuple[str, ...], dict[int, int]]]:
        """How many looks were taken, from which `restore` continues; none may wait."""
        return [(names, dict(stack.counts)) for names, stack in self.stacks.items()]

    def restore(self, state: Iterable[tuple[tuple[str, ...], dict[int, int]]]) -> None:
        """Inverse of `state`."""
        for names, counts in state:
            self._stack(tuple(names)).counts = dict(counts)

    def parted(self, replica: int, parent: int) -> None:
        """A replica goes on from another: as many looks were taken at it."""
        for stack in self.stacks.values():
            if parent in stack.counts:
                stack.counts[replica] = stack.counts[parent]

    def _stack(self, names: tuple[str, ...]) -> LookStack:
        """Of these probes; those that look seldom do not wait: empty layers cost as full ones."""
        if names not in self.stacks:
            gap = max(_gap(self.probes[name].schedule) for name in names)
            depth = min(looks_together(self._buffer, *self._shape), max(1, TOGETHER_WITHIN // gap))
            self.stacks[names] = LookStack(self._shape[0], depth)
        return self.stacks[names]

    def _measure(self, names: tuple[str, ...], module: FleetModule) -> None:
        """One recorded forward for all probes of a group, then each probe on its own account."""
        with torch.no_grad():
            with module.clock.charged("probe:forward"):
                if (taken := self.stacks[names].take()) is None:
                    return
                stack, places = taken
                needs = [need for name in names for need in self.probes[name].probe.needs]
                view = module.fleet.view(stack, needs)
                rows_of = in_one_piece(places)
                replica, step = stack.replica[rows_of], stack.step[rows_of]
                if needs:
                    view.activations["logits"]
            for name in names:
                with module.clock.charged(f"probe:{name}"):
                    measured = measured_by(name, self.probes[name].probe, view)
                    rows = {column: _at(values, rows_of) for column, values in measured.items()}
                    self.writer.append(f"probes/{name}", replica, step, rows)
                    for listener in self.listeners:
                        listener(replica, step, rows)


def _gap(schedule: Schedule) -> int:
    """Steps between two looks, once those at the start are over."""
    first = schedule.following(SELDOM)
    second = None if first is None else schedule.following(first)
    return SELDOM if first is None or second is None else second - first


def _at(
    values: torch.Tensor | Masked | Sequence[str | None] | None, places: slice | list[int]
) -> torch.Tensor | Masked | list[str | None] | None:
    """The rows of a measurement at some places of the stack."""
    if values is None:
        return None
    if isinstance(values, Masked):
        return Masked(values.values[places], values.defined[places])
    if isinstance(values, torch.Tensor):
        return values[places]
    chosen = values[places] if isinstance(places, slice) else [values[i] for i in places]
    return list(chosen)
