"""The run of one training of the user's own: its folder, its tables, how it went on and ended."""

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, final

import yaml
from torch import nn

from observatory.core.columns import Column
from observatory.core.errors import StoreError
from observatory.core.names import check_plain_name
from observatory.events.claim import Claim
from observatory.store.cut import cut_after
from observatory.store.files import read_json, write_json
from observatory.store.lock import own
from observatory.store.reader import EVALUATION, LOCK, MANIFEST, Run
from observatory.store.rows import PROGRESS, noted_rows
from observatory.store.schema import EVENT_COLUMNS
from observatory.store.writer import create_run, update_manifest
from observatory.watch.online.batch import PROBE_BATCH, digest, write_batch
from observatory.watch.online.budget import Budget
from observatory.watch.online.described import (
    identity_of,
    manifest_of,
    now,
    plain_settings,
    replica_row,
)
from observatory.watch.online.ended import outcome, outcome_columns
from observatory.watch.online.series import SeriesWriter, Tables
from observatory.watch.snapshot import Snapshot

_OUTCOMES, _EVENTS = "outcomes", "events"
_open: dict[Path, "RunRecord"] = {}
"""Runs that this process owns: a training that is begun again in a notebook takes its run over."""


@final
class RunRecord:
    """One training in a study's folder; owned by this process until `close`.

    Args:
        study: The folder.
        model: The network itself.
        settings: The user's hyperparameters, which tell this training from others.
        batch: The probe batch, as of `host_copy`.
        claims: Events by name, the first of which names the outcome.
        about: Schedule, budget and options of the looks, for the manifest.
        step: Optimizer updates made before: 0, or those of the checkpoint that goes on.
        horizon_steps: Updates that are planned; None where nobody knows.
        steps_per_epoch: Updates per epoch, likewise.
        anew: Whether a training of these settings that has ended is replaced.

    Raises:
        ConfigError: If a setting cannot be kept.
        BusyError: If another live process observes a training of these settings.
        StoreError: If the training goes on with another batch, has ended, or cannot be written.
    """

    def __init__(
        self,
        study: Path,
        model: nn.Module,
        settings: Mapping[str, Any],
        batch: Any,
        claims: Mapping[str, Claim],
        about: Mapping[str, Any],
        step: int,
        horizon_steps: int | None,
        steps_per_epoch: int | None,
        *,
        anew: bool = False,
    ) -> None:
        check_plain_name("folder", study.resolve().name)
        plain = plain_settings(settings)
        identity = identity_of(plain, model)
        self.folder = study / "runs" / identity[:12]
        self._claims, self._planned, self._began = claims, horizon_steps, time.monotonic()
        manifest = manifest_of(study.resolve().name, model, plain, identity, about, claims)
        manifest |= {"probe_batch_sha256": digest(batch), "horizon_steps": horizon_steps or step}
        manifest["steps_per_epoch"] = steps_per_epoch
        manifest["tables"] = _as_json(_tables(claims))
        new = not (self.folder / MANIFEST).exists()
        config = yaml.safe_dump({"settings": plain, **manifest["config"]})
        create_run(self.folder, manifest, replica_row(plain), config)
        self._owned = ExitStack()
        if before := _open.pop(self.folder.resolve(), None):
            before.release()
        self._owned.enter_context(own(self.folder / LOCK))
        self.released = False
        try:
            found = read_json(self.folder / MANIFEST)
            if not anew:
                _require_same(self.folder, found, manifest, step)
            if new or not step:
                write_batch(self.folder, batch)
            going = {"status": "running", "finished": None, "rows": None}
            update_manifest(self.folder, **(going if step else manifest))
            self._earlier_s = 0.0 if new or not step else (found["cost"] or {}).get("wall_s", 0.0)
            self._texts: dict[str, str] = dict(found.get("token_texts", {})) if step else {}
            self._shard = self.folder / "shards" / "0"
            kept = found["tables"] if step else manifest["tables"]
            for name in found["tables"]:
                last = step if step and name != _OUTCOMES else -1
                cut_after(self._shard / name, last)
            tables = {name: tuple(map(Column.from_json, c)) for name, c in kept.items()}
            self._writer = SeriesWriter(self._shard, identity[:12], tables, self._declare)
        except BaseException:
            self._owned.close()
            raise
        _open[self.folder.resolve()] = self
        self.event("resumed" if step else "started", step)

    def release(self) -> None:
        """Give the folder free; the training may go on another time."""
        self.released = True
        _open.pop(self.folder.resolve(), None)
        self._owned.close()

    def look(self, step: int, snapshot: Snapshot, *, names: bool) -> None:
        """Collect the rows of a look; with the first one, `names` of layers and matrices too."""
        if names:
            layers = {table: list(paths) for table, paths in snapshot.layers.items()}
            update_manifest(
                self.folder,
                layers=layers,
                groups=list(snapshot.groups),
                matrices=list(snapshot.matrices),
            )
        for name, table in snapshot.tables.items():
            self._writer.row(f"probes/{name}", table.columns, step, table.values)
        texts = {str(number): text for number, text in snapshot.texts.items()}
        if texts.keys() - self._texts.keys():
            self._texts |= texts
            update_manifest(self.folder, token_texts=self._texts)

    def metrics(self, rows: Mapping[int, Mapping[str, float]]) -> None:
        """Collect metrics by name, by step in rising order."""
        self._writer.numbers(EVALUATION, _metric_column, rows)

    def event(self, kind: str, step: int, **detail: Any) -> None:
        """Collect what happened."""
        values = {"kind": [kind], "detail": [json.dumps(detail)]}
        self._writer.row(_EVENTS, EVENT_COLUMNS, step, values)

    def thinned(self, budget: Budget) -> None:
        """Collect which looks a budget left out since the last one."""
        if found := budget.left_out():
            self.event("thinned", found[0], **found[1])

    def flush(self, step: int, *, spent_s: float, status: str = "running") -> None:
        """Write what was collected, and how far the training is.

        Args:
            step: Updates made.
            spent_s: Seconds that looks have taken.
            status: "running" or "done".
        """
        self._writer.flush()
        wall_s = self._earlier_s + time.monotonic() - self._began
        left = max((self._planned or step) - step, 0) if status == "running" else 0
        going = status == "running"
        content = {
            "shard": 0, "status": status, "tick": step, "updated": time.time(),
            "wall_s": wall_s, "cpu_s": time.process_time(), "replica_steps": step,
            "steps_left": left, "active": int(going), "queued": 0, "finished": int(not going),
            "cells": {}, "cost_s": {"train": wall_s - spent_s, "probe": spent_s},
            "rows": self._writer.rows,
        }  # fmt: skip
        write_json(self._shard / PROGRESS, content)
        if self._planned is None:
            update_manifest(self.folder, horizon_steps=step)

    def close(self, step: int, *, spent_s: float) -> Run:
        """Write the outcome and give the folder free.

        Args:
            step: Updates made.
            spent_s: Seconds that looks have taken.
        """
        self._writer.flush()
        ended = outcome(Run(self.folder).table(EVALUATION), self._claims, step)
        self._writer.row(_OUTCOMES, outcome_columns(self._claims), step, ended)
        self.flush(step, spent_s=spent_s, status="done")
        wall_s = self._earlier_s + time.monotonic() - self._began
        cost = {
            "wall_s": wall_s, "cpu_s": time.process_time(), "replica_steps": step,
            "shares": {"train": 1 - spent_s / wall_s, "probe": spent_s / wall_s},
        }  # fmt: skip
        rows = noted_rows(self.folder)
        update_manifest(self.folder, status="done", finished=now(), cost=cost, rows=rows)
        self.release()
        return Run(self.folder)

    def _declare(self, tables: Tables) -> None:
        update_manifest(self.folder, tables=_as_json(tables))


def begun_twice() -> StoreError:
    """The error where a training of these settings was begun again while it went on."""
    return StoreError(
        "`settings` must differ between trainings of one process, got the same twice. Give each "
        "its own, such as a seed."
    )


def _tables(claims: Mapping[str, Claim]) -> Tables:
    """The tables that every run has, with or without rows."""
    series = dict.fromkeys(claim.series for claim in claims.values())
    return {
        EVALUATION: tuple(map(_metric_column, series)),
        _OUTCOMES: outcome_columns(claims),
        _EVENTS: EVENT_COLUMNS,
    }


def _as_json(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    return {name: [column.to_json() for column in columns] for name, columns in tables.items()}


def _metric_column(name: str) -> Column:
    return Column(name=name, unit="-", meaning=f"metric {name}, as the owner of the loop gives it")


def _require_same(
    folder: Path, found: Mapping[str, Any], asked: Mapping[str, Any], step: int
) -> None:
    """Refuse to go on with what is not the same, and to begin what has ended."""
    if not step:
        if found["status"] == "done":
            raise StoreError(
                f"`{folder}` holds a training of these `settings` that has ended. Nothing was "
                "changed. Give settings that tell this one apart, such as a seed, or another "
                "folder; to go on with it, begin at the step of its checkpoint."
            )
        return
    if found["probe_batch_sha256"] != asked["probe_batch_sha256"]:
        raise StoreError(
            f"`{folder}` looks at another `batch`: numbers before and after the resume could not "
            f"be compared. Load the one that it keeps, `{folder / PROBE_BATCH}`."
        )
    if found["config"]["event"] != asked["config"]["event"]:
        raise StoreError(
            f"`{folder}` was begun with the events {found['config']['event']}, got "
            f"{asked['config']['event']}. Give the same `event` on a resume."
        )
