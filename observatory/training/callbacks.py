"""What happens between two chunks: look, measure, retire and refill, keep."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import numpy as np

from observatory.core.columns import Column
from observatory.fleet.fleet import Fleet
from observatory.fleet.rules import as_columns, outcome_columns, outcome_row, retire_reason
from observatory.store.writer import ShardWriter
from observatory.training.build import Parts
from observatory.training.module import FleetModule
from observatory.training.progress import Tally

MEMBERSHIP_COLUMNS = (
    Column(
        name="in_train",
        unit="-",
        dtype="bool",
        dims=("batch",),
        meaning="whether each probe example is a train example of the replica",
    ),
)


class BetweenChunks(pl.Callback, ABC):
    """A callback that acts once before the first chunk and after every one."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Act before the first step."""
        assert isinstance(pl_module, FleetModule)
        self.act(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Act after a chunk."""
        assert isinstance(pl_module, FleetModule)
        self.act(trainer, pl_module)

    @abstractmethod
    def act(self, trainer: pl.Trainer, module: FleetModule) -> None:
        """What the callback does between two chunks."""


class EvaluationCallback(BetweenChunks):
    """Evaluates the replicas that are due, on the fixed subset or on all examples."""

    def __init__(self, writer: ShardWriter) -> None:
        self.writer = writer

    def act(self, trainer: pl.Trainer, module: FleetModule) -> None:
        """Write a row per due replica; regular looks also feed the retirement rules."""
        fleet = module.fleet
        for purpose, table, full in (
            ("evaluate", "evaluation", False),
            ("evaluate_full", "evaluation_full", True),
        ):
            if purpose not in module.tracker.schedules:
                continue
            slots = module.tracker.due(purpose, fleet)
            if not slots:
                continue
            with module.clock.charged("evaluate"):
                measured = {k: v.cpu().numpy() for k, v in fleet.evaluate(slots, full=full).items()}
                replicas, steps = identities(fleet, slots)
                self.writer.append(table, replicas, steps, measured)
                if not full:
                    for i, slot in enumerate(slots):
                        fleet.looks[slot].add(
                            fleet.ages[slot],
                            float(measured["train_acc"][i]),
                            float(measured["val_acc"][i]),
                        )
            module.tracker.done(purpose, slots, fleet)


class RetirementCallback(BetweenChunks):
    """Lets finished replicas leave and seats the next ones.

    Args:
        parts: Of the run.
        writer: Of the shard.
        tally: Of the shard.
        left: Called with the identity of each that has left, and its step.
    """

    def __init__(
        self, parts: Parts, writer: ShardWriter, tally: Tally, left: Callable[[int, int], None]
    ) -> None:
        self.parts, self.writer, self.tally, self.left = parts, writer, tally, left
        self.columns = outcome_columns(parts.events)

    def act(self, trainer: pl.Trainer, module: FleetModule) -> None:
        """Apply the rules to every replica whose last look is now."""
        fleet, parts = module.fleet, self.parts
        with module.clock.charged("evaluate"):
            diverged = fleet.diverged_steps() if fleet.active() else []
            for slot in fleet.active():
                looks = fleet.looks[slot]
                if not looks.end_at(fleet.ages[slot]):
                    continue
                reason = retire_reason(parts.rules, parts.events, looks, diverged[slot])
                row = outcome_row(parts.rules, parts.events, looks, diverged[slot], reason)
                weight_decay = float(fleet.table.weight_decay[fleet.slots[slot]])
                self.tally.note(
                    fleet.replica_of(slot), weight_decay, str(row["outcome"]), reason is not None
                )
                if reason is None:
                    continue
                replicas, steps = identities(fleet, [slot])
                self.writer.append("outcomes", replicas, steps, as_columns([row], self.columns))
                self._event(
                    replicas, steps, "retired", reason=reason, outcome=row["outcome"], slot=slot
                )
                if parts.final_weights:
                    parameters = {"parameters": fleet.flat[slot : slot + 1]}
                    self.writer.append("weights", replicas, steps, parameters)
                fleet.vacate(slot)
                self.left(int(replicas[0]), int(steps[0]))
            filled = fleet.fill()
            module.tracker.seated(filled, fleet)
            for slot in filled:
                kind = "resumed" if fleet.ages[slot] else "started"
                self._event(*identities(fleet, [slot]), kind, slot=slot, tick=fleet.tick)
            if fresh := [slot for slot in filled if not fleet.ages[slot]]:
                membership = {"in_train": fleet.look(fresh).in_train}
                self.writer.append("membership", *identities(fleet, fresh), membership)
            if (kept := fleet.shrink()) is not None:
                module.tracker.moved(kept)

    def _event(self, replicas: np.ndarray, steps: np.ndarray, kind: str, **detail: object) -> None:
        self.writer.append(
            "events", replicas, steps, {"kind": [kind], "detail": [json.dumps(detail)]}
        )


class StopCallback(BetweenChunks):
    """Ends the fit when nobody is left, or when the shard was asked to stop.

    Args:
        received: Signals that arrived.
        claim: Has signals arrive there: the Trainer's own handler of SIGTERM drops what was made
            since the last checkpoint.
    """

    def __init__(self, received: list[int], claim: Callable[[], None]) -> None:
        self.received, self.claim = received, claim

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals back from the Trainer."""
        self.claim()
        super().on_train_start(trainer, pl_module)

    def act(self, trainer: pl.Trainer, module: FleetModule) -> None:
        """Look for the end, or for a signal that arrived during the chunk."""
        fleet = module.fleet
        nobody_waits = module.tracker.steps_to_next(fleet) > 0  # so that a stop can be kept
        if fleet.finished or (self.received and nobody_waits):
            trainer.should_stop = True


class CheckpointCallback(BetweenChunks):
    """Flushes the tables and then saves the state, so that the two always agree."""

    def __init__(
        self,
        flush: Callable[[FleetModule], None],
        keep: Callable[[], None],
        progress: Callable[[], None],
        progress_every: float,
    ) -> None:
        self.flush, self.keep = flush, keep
        self.progress, self.progress_every = progress, progress_every
        self._last_progress = 0.0

    def act(self, trainer: pl.Trainer, module: FleetModule) -> None:
        """Keep at checkpoint ticks when nobody waits for a look; write progress every second."""
        fleet, tracker = module.fleet, module.tracker
        settled = tracker.steps_to_next(fleet) > 0 or fleet.finished
        if settled and (
            fleet.tick % tracker.checkpoint_every == 0 or trainer.should_stop or fleet.finished
        ):
            self.flush(module)
            with module.clock.charged("store"):
                self.keep()
        now = time.monotonic()
        if (
            now - self._last_progress >= self.progress_every
            or fleet.finished
            or trainer.should_stop
        ):
            self._last_progress = now
            with module.clock.charged("store"):
                self.progress()


def identities(fleet: Fleet, slots: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Replica and step of each slot, int64."""
    replicas = np.array([fleet.replica_of(slot) for slot in slots], dtype=np.int64)
    return replicas, np.array([fleet.ages[slot] for slot in slots], dtype=np.int64)
