"""Has the arms of a run part while it trains."""

import json
from collections.abc import Mapping
from typing import final

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from observatory.core.contracts import Masked, Measurement
from observatory.fleet.arms import Arms
from observatory.fleet.rules import Event, as_columns, outcome_columns
from observatory.store.schema import NEVER_PARTED
from observatory.store.writer import ShardWriter
from observatory.training.callbacks import BetweenChunks
from observatory.training.module import FleetModule
from observatory.training.probe_callback import ProbeCallback
from observatory.training.progress import Tally


@final
class ArmsCallback(BetweenChunks):
    """Has arms part at the look at which their moment has come.

    Args:
        arms: Of the fleet.
        probes: Of the shard: an arm's looks go on where its replica's were.
        events: All events of the run by name.
        writer: Of the shard.
        tally: Of the shard.
        horizon_steps: At which replicas leave: nothing parts there, where nothing would come after.
    """

    def __init__(
        self,
        arms: Arms,
        probes: ProbeCallback,
        events: Mapping[str, Event],
        writer: ShardWriter,
        tally: Tally,
        horizon_steps: int,
    ) -> None:
        self.arms, self.probes, self.writer, self.tally = arms, probes, writer, tally
        self.horizon_steps = horizon_steps
        self.columns = outcome_columns(dict(events))
        if arms.signals:
            probes.listeners.append(self.record)

    def act(self, trainer: pl.Trainer, module: FleetModule) -> None:
        """Copy, act, and queue; the replica itself does not notice."""
        fleet = module.fleet
        on = [slot for slot in fleet.active() if fleet.ages[slot] < self.horizon_steps]
        looked = [slot for slot in on if fleet.looks[slot].end_at(fleet.ages[slot])]
        if self.arms.signals and any(self.arms.pending(fleet.replica_of(s)) for s in looked):
            self.probes.flush(module)  # what was looked at so far is measured, and changes nothing
        for slot in looked:
            parent = fleet.replica_of(slot)
            for replica in self.arms.part(slot):
                self.probes.parted(replica, parent)
                detail = json.dumps({"parent": parent})
                self.writer.append(
                    "events",
                    np.array([replica]),
                    np.array([fleet.ages[slot]]),
                    {"kind": ["parted"], "detail": [detail]},
                )

    def record(self, replica: Tensor, step: Tensor, rows: Measurement) -> None:
        """Note the signals on which a moment depends; NaN where one is not defined."""
        for signal in self.arms.signals & rows.keys():
            values = rows[signal]
            if isinstance(values, Masked):
                values = torch.where(values.defined, values.values.double(), torch.nan)
            if isinstance(values, Tensor):
                self.arms.record(signal, replica.tolist(), step.tolist(), values.tolist())

    def left(self, replica: int, step: int) -> None:
        """A replica has left: its arms whose moment did not come are no networks."""
        for arm in self.arms.never(replica):
            row: dict[str, object] = {column.name: None for column in self.columns}
            row["retire_reason"] = NEVER_PARTED
            at = np.array([arm]), np.array([step])
            self.writer.append("outcomes", *at, as_columns([row], self.columns))
            table = self.arms.fleet.table
            decay = table.weight_decay[table.replica == arm][0]
            self.tally.note(arm, float(decay), "none", left=True)
