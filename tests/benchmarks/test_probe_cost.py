"""What the classes of probes cost on the laptop map: `make bench ARGS="-k probe_classes"`.

The classes look at one and the same fleet while it trains, at the same stops, so that what else
the machine does falls on all of them and on the steps alike. Process time, one thread. The rounds
together are the whole life of a stack, from step 0 to the horizon; nobody retires.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import lightning.pytorch as pl
import pytest
import torch

from observatory.fleet.fleet import Fleet
from observatory.store.writer import ShardWriter
from observatory.training.build import Parts
from observatory.training.clock import CostClock
from observatory.training.due import DueTracker
from observatory.training.module import FleetModule
from observatory.training.probe_callback import ProbeCallback
from observatory.training.shard import keep_memory, schedules
from tests.benchmarks.timing import cpu_ms, laptop, spread

ROUNDS, STEPS = 5, 500
FEW = 4
"""Replicas that a forensic probe looks at: what it costs grows with their number."""
pytestmark = pytest.mark.benchmark


class Sink:
    """Takes what the probes measured and drops it."""

    def append(self, *_: object) -> None:
        pass


class CpuClock(CostClock):
    """As its parent, of CPU seconds."""

    @contextmanager
    def charged(self, purpose: str) -> Iterator[None]:
        before = time.process_time()
        yield
        self.wall[purpose] = self.wall.get(purpose, 0.0) + time.process_time() - before


class Watched:
    """The probes of one class at a fleet, and the CPU time that they have taken."""

    def __init__(self, parts: Parts, fleet: Fleet) -> None:
        self.fleet, self.clock, self.ms = fleet, CpuClock(), 0.0
        self.tracker = DueTracker(schedules(parts), fleet.settings.size, STEPS)
        self.module = FleetModule(fleet, self.tracker, self.clock)
        self.callback = ProbeCallback(parts.probes, cast(ShardWriter, Sink()), fleet)

    def look(self) -> int:
        """Look at whoever is due; the steps until the next one is."""
        self.ms += cpu_ms(lambda: self.callback.act(cast(pl.Trainer, None), self.module))
        self.tracker.done("evaluate", self.fleet.active(), self.fleet)
        return self.tracker.steps_to_next(self.fleet)

    def flush(self) -> float:
        """Measure the looks that wait; all the time since the last flush, in ms."""
        self.ms += cpu_ms(lambda: self.callback.flush(self.module))
        taken, self.ms = self.ms, 0.0
        return taken


def one_round(fleet: Fleet, classes: dict[str, Watched]) -> tuple[float, dict[str, float]]:
    """CPU ms of `STEPS` steps, and of what each class did meanwhile."""
    trained, end = 0.0, fleet.tick + STEPS
    while fleet.tick < end:
        steps = min(watched.look() for watched in classes.values())
        trained += cpu_ms(lambda steps=steps: fleet.advance(steps))
    return trained, {name: watched.flush() for name, watched in classes.items()}


def test_cost_of_the_probe_classes() -> None:
    torch.set_num_threads(1)
    keep_memory()
    default = laptop("probe=default")
    fleet = default.shard(0, 1)
    fleet.fill()
    classes = {
        "default": Watched(default, fleet),
        "mechanism": Watched(laptop("probe=mechanism"), fleet),
    }
    rounds = [one_round(fleet, classes) for _ in range(ROUNDS)]
    whole = sum(trained for trained, _ in rounds)
    print("\n| % of training | median | range of 5 rounds | whole life |\n|---|---|---|---|")
    for name in classes:
        shares = [100 * taken[name] / trained for trained, taken in rounds]
        total = 100 * sum(taken[name] for _, taken in rounds) / whole
        print(f"{spread(f'`probe={name}`', shares)} {total:.2f} |")
    print("\n| % of training, whole life | default | mechanism |\n|---|---|---|")
    spent = {name: watched.clock.wall for name, watched in classes.items()}
    for purpose in spent["mechanism"]:
        shares = [100e3 * spent[name].get(purpose, 0.0) / whole for name in classes]
        print(f"| {purpose.removeprefix('probe:')} | {shares[0]:.2f} | {shares[1]:.2f} |")


def test_cost_of_the_forensic_probe_classes() -> None:
    torch.set_num_threads(1)
    keep_memory()
    parts = laptop("probe=forensic", f"fleet.size={FEW}", "fleet.compile=off")
    fleet = parts.shard(0, 1)
    fleet.fill()
    fleet.advance(STEPS)
    step = cpu_ms(lambda: fleet.advance(STEPS // 10)) / (STEPS // 10)
    print(f"\na step of {FEW} replicas: {step:.1f} CPU-ms\n\n| a look | steps |\n|---|---|")
    with torch.no_grad():
        for name, scheduled in parts.probes.items():
            view = fleet.view(fleet.look(fleet.active()))
            taken = cpu_ms(lambda view=view, probe=scheduled.probe: probe.measure(view))
            print(f"| {name} | {taken / step:.0f} |")
