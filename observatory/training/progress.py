"""What a shard reports while it runs: counts per weight decay, speed and cost, in one file."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from observatory.events.outcome import OUTCOMES
from observatory.fleet.fleet import Fleet
from observatory.store.files import write_json
from observatory.training.clock import CostClock


class Tally:
    """The present label of every replica of a shard.

    Args:
        weight_decay: Of every replica of the shard.
    """

    def __init__(self, weight_decay: np.ndarray) -> None:
        self.planned = {float(w): int((weight_decay == w).sum()) for w in np.unique(weight_decay)}
        self.labels: dict[int, tuple[float, str, bool]] = {}

    def note(self, replica: int, weight_decay: float, outcome: str, left: bool) -> None:
        """The replica's label as of its last look, and whether it has left."""
        self.labels[replica] = (weight_decay, outcome, left)

    def cells(self) -> dict[str, dict[str, int]]:
        """Per weight decay: alive, queued, and how many carry each outcome (so far)."""
        cells = {
            f"{w:g}": {"alive": 0, "queued": n, **dict.fromkeys(OUTCOMES, 0)}
            for w, n in self.planned.items()
        }
        for weight_decay, outcome, left in self.labels.values():
            cell = cells[f"{weight_decay:g}"]
            cell["queued"] -= 1
            cell["alive"] += not left
            cell[outcome] += 1
        return cells

    def state(self) -> list[list[object]]:
        """Plain values from which `restore` continues."""
        return [[replica, *label] for replica, label in self.labels.items()]

    def restore(self, state: list[list[object]]) -> None:
        """Inverse of `state`."""
        for replica, weight_decay, outcome, left in state:
            self.note(int(str(replica)), float(str(weight_decay)), str(outcome), bool(left))


def write_progress(
    path: Path,
    shard: int,
    status: str,
    started: float,
    fleet: Fleet,
    tally: Tally,
    clock: CostClock,
    horizon: int,
    rows: Mapping[str, int],
    kept: int,
) -> None:
    """Replace the shard's `progress.json`; see the store's documentation for its fields."""
    active = fleet.active()
    waiting = [state.step[0] for state in fleet.queue.waiting]
    made = sum(waiting) + sum(fleet.ages[slot] for slot in active)
    left = (len(active) + fleet.queued) * horizon - made
    content: Mapping[str, object] = {
        "shard": shard,
        "status": status,
        "tick": fleet.tick,
        "kept": kept,
        "started": started,
        "updated": time.time(),
        "wall_s": clock.wall_s,
        "cpu_s": clock.cpu_s,
        "replica_steps": fleet.replica_steps,
        "slot_steps": fleet.slot_steps,
        "steps_left": left,
        "size": fleet.settings.size,
        "active": len(active),
        "queued": fleet.queued,
        "finished": len(fleet.table) - fleet.queued - len(active),
        "cells": tally.cells(),
        "cost_s": clock.wall,
        "rows": dict(rows),
    }
    write_json(path, content)
