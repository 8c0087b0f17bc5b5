"""One shard of a run, from its checkpoint or from nothing to its end: a worker's work."""

import ctypes
import io
import logging
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from observatory.core.columns import Column
from observatory.core.errors import StoreError
from observatory.core.schedule import Every, Schedule
from observatory.fleet.arms import Arms
from observatory.fleet.evaluate import evaluation_columns
from observatory.fleet.fleet import Fleet
from observatory.fleet.rules import outcome_columns
from observatory.store.files import read_json, write_atomically
from observatory.store.lock import own
from observatory.store.parameters import parameters_column
from observatory.store.rows import lost_of_shard
from observatory.store.schema import EVENT_COLUMNS, STATES, WEIGHTS
from observatory.store.writer import ShardWriter
from observatory.training.arms_callback import ArmsCallback
from observatory.training.build import Parts, build
from observatory.training.callbacks import (
    MEMBERSHIP_COLUMNS,
    CheckpointCallback,
    EvaluationCallback,
    RetirementCallback,
    StopCallback,
)
from observatory.training.clock import CostClock
from observatory.training.device import check_matmul
from observatory.training.due import DueTracker
from observatory.training.kept_states import PURPOSE, StatesCallback, states_schedule
from observatory.training.module import FleetModule
from observatory.training.probe_callback import ProbeCallback
from observatory.training.progress import Tally, write_progress
from observatory.training.replicas import Config
from observatory.training.signals import on_stop

CHECKPOINT = "checkpoint.pt"
"""File of a shard with the state from which its worker goes on."""
log = logging.getLogger(__name__)


def tables(parts: Parts) -> dict[str, tuple[Column, ...]]:
    """Every table that a shard writes, by its path below the shard."""
    evaluation = evaluation_columns(parts.loss)
    return {
        "evaluation": evaluation,
        **({"evaluation_full": evaluation} if parts.evaluation.full else {}),
        "outcomes": outcome_columns(parts.events),
        "events": EVENT_COLUMNS,
        "membership": MEMBERSHIP_COLUMNS,
        **({WEIGHTS: (parameters_column(parts.fleet.dtype),)} if parts.final_weights else {}),
        **({STATES: parts.state_columns} if parts.states else {}),
        **{f"probes/{name}": scheduled.probe.columns for name, scheduled in parts.probes.items()},
    }


def schedules(parts: Parts) -> dict[str, Schedule]:
    """Who looks when."""
    full, kept = parts.evaluation.full, parts.states
    return {
        "evaluate": Every(parts.evaluation.every),
        **({"evaluate_full": full} if full is not None else {}),
        **({PURPOSE: states_schedule(kept, parts.rules.horizon_steps)} if kept else {}),
        **{f"probe:{name}": scheduled.schedule for name, scheduled in parts.probes.items()},
    }


def train_shard(run_folder: Path, shard: int, device: str | None = None) -> bool:
    """Train one shard of a run that exists, continuing from its last checkpoint.

    Args:
        run_folder: `runs/<run_id>`, with its manifest.
        shard: Index of the shard.
        device: Torch device in place of the configured kind, such as "cuda:1".

    Returns:
        Whether the shard is done; False where it was asked to stop before.
    """
    manifest = read_json(run_folder / "manifest.json")
    config: Config = manifest["config"]
    torch.set_num_threads(config["fleet"]["threads"])
    keep_memory()
    folder = run_folder / "shards" / str(shard)
    with own(folder / "owner.lock"):
        # The manifest decides: a run that was begun without a table goes on without it.
        parts = build(config)
        parts = replace(
            parts,
            final_weights=WEIGHTS in manifest["tables"],
            states=parts.states if STATES in manifest["tables"] else None,
        )
        if device is not None:
            parts = replace(parts, fleet=replace(parts.fleet, device=device))
        check_matmul(parts.fleet.matmul, parts.fleet.device)
        return _Shard(run_folder, shard, config, parts).train()


class _Shard:
    """The live pieces of a shard, and how they are kept and continued."""

    def __init__(self, run_folder: Path, shard: int, config: Config, parts: Parts) -> None:
        self.folder, self.shard, self.parts = run_folder / "shards" / str(shard), shard, parts
        self.started = time.time()
        self.fleet: Fleet = parts.shard(shard, config["fleet"]["shards"])
        self.tracker = DueTracker(
            schedules(parts), parts.fleet.size, config["store"]["checkpoint_every"]
        )
        self.tally = Tally(self.fleet.table.weight_decay)
        self.progress_every = config["store"]["progress_every"]
        donated = {key: found.row for key, found in parts.donated.items()}
        self.arms = Arms(parts.arms, parts.events, donated, self.fleet)
        saved = self._saved()
        self.clock = CostClock(saved["cost_s"], saved["cpu_s"]) if saved else CostClock()
        if saved:
            self.fleet.restore(saved["fleet"])
            self.tracker.restore(saved["agenda"])
            self.tally.restore(saved["tally"])
            self.arms.recorded = saved.get("recorded", {})
        elif parts.forked is not None:
            parts.forked.seat(self.fleet, parts.optimizer)
        self.kept = self.fleet.tick
        self.writer = ShardWriter(self.folder, run_folder.name, tables(parts), self.fleet.tick)
        self.probes = ProbeCallback(parts.probes, self.writer, self.fleet)
        self.probes.restore(saved.get("looks", ()) if saved else ())

    def train(self) -> bool:
        """Run the Trainer to the end or to a stop signal."""
        received: list[int] = []
        module = FleetModule(self.fleet, self.tracker, self.clock)
        arms = ArmsCallback(
            self.arms,
            self.probes,
            self.parts.events,
            self.writer,
            self.tally,
            self.parts.rules.horizon_steps,
        )
        with on_stop(received.append) as claim:
            callbacks: list[pl.Callback] = [
                EvaluationCallback(self.writer),
                self.probes,
                StatesCallback(self.parts.states, self.parts.events, self.writer),
                arms,
                RetirementCallback(self.parts, self.writer, self.tally, arms.left),
                StopCallback(received, claim),
                CheckpointCallback(
                    self.probes.flush, self._keep, self._progress, self.progress_every
                ),
            ]
            if not self.fleet.finished:
                try:
                    trainer(callbacks, self.parts.fleet.device).fit(module)
                except SystemExit:  # the Trainer's answer to SIGTERM before its first step
                    if not received:
                        raise
            self._progress()
        return self.fleet.finished

    def _keep(self) -> None:
        """Flush every table, then save the state that belongs to it."""
        if self.fleet.tick == self.kept:
            return
        self.writer.flush(self.fleet.tick)
        state: dict[str, Any] = {
            "fleet": self.fleet.state(),
            "agenda": self.tracker.state(),
            "tally": self.tally.state(),
            "looks": self.probes.state(),
            "recorded": self.arms.recorded,
            "rows": self.writer.rows,
            "cost_s": self.clock.wall,
            "cpu_s": self.clock.cpu_s,
        }
        # Through memory: torch.save to a path turns a full disk into an error without its reason.
        buffer = io.BytesIO()
        torch.save(state, buffer)
        path = self.folder / CHECKPOINT
        write_atomically(path, lambda temporary: _write_bytes(temporary, buffer))
        self.kept = self.fleet.tick

    def _saved(self) -> dict[str, Any] | None:
        """The last checkpoint, if the tables hold all that was written before it."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return None
        try:
            saved = torch.load(path, weights_only=True)
        except Exception as error:
            raise StoreError(
                f"{path} cannot be read as a checkpoint ({error}). The tables are intact; remove "
                "the shard's folder to train it again from the start."
            ) from error
        lost = lost_of_shard(self.folder, saved.get("rows", {}), saved["fleet"]["tick"])
        if lost:
            log.warning("%s: the shard is trained again from its start.", lost)
        return None if lost else saved

    def _progress(self) -> None:
        status = "done" if self.fleet.finished else "running"
        write_progress(
            self.folder / "progress.json",
            self.shard,
            status,
            self.started,
            self.fleet,
            self.tally,
            self.clock,
            self.parts.rules.horizon_steps,
            self.writer.rows,
            self.kept,
        )


def _write_bytes(path: Path, buffer: io.BytesIO) -> None:
    path.write_bytes(buffer.getbuffer())


def trainer(callbacks: list[pl.Callback], device: str) -> pl.Trainer:
    """A silent Trainer that only drives the loop: no logger, no checkpoints, no bars of its own."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # The fleet has no torch optimizer by design, and its loader yields chunk lengths, not data.
    warnings.filterwarnings("ignore", message=".*will run with no optimizer.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own use of torch
    warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")  # one process
    index = torch.device(device).index
    return pl.Trainer(
        accelerator="gpu" if device.startswith("cuda") else "cpu",
        devices=1 if index is None else [index] if device.startswith("cuda") else 1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=callbacks,
        plugins=_no_cluster(),
    )


def _no_cluster() -> list[Any]:
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment

    return [LightningEnvironment()]


def keep_memory() -> None:
    """Have glibc keep freed memory: returning it at every step costs a fifth of the time."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: never trim
            libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD: as much as it accepts
