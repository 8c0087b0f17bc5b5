"""The fleet as a LightningModule: one `training_step` is a chunk of optimizer steps."""

from collections.abc import Iterator

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, IterableDataset

from observatory.fleet.fleet import Fleet
from observatory.training.agenda import Agenda
from observatory.training.clock import CostClock


class Chunks(IterableDataset[int]):
    """Yields the number of steps until somebody is due to be looked at, while the fleet is alive."""

    def __init__(self, fleet: Fleet, agenda: Agenda) -> None:
        self.fleet, self.agenda = fleet, agenda

    def __iter__(self) -> Iterator[int]:
        """Zero means that a replica just took its seat and waits for its first look."""
        while not self.fleet.finished:
            yield self.agenda.steps_to_next(self.fleet)


class FleetModule(pl.LightningModule):
    """Drives a `Fleet` under a Trainer: many optimizer steps per batch, callbacks between.

    Optimization is manual and inside the fleet; a single network is a fleet of one.
    """

    def __init__(self, fleet: Fleet, agenda: Agenda, clock: CostClock) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.fleet, self.agenda, self.clock = fleet, agenda, clock

    def configure_optimizers(self) -> None:
        """None: the fleet updates its own rows."""

    def train_dataloader(self) -> DataLoader[int]:
        """The chunks, passed through unbatched."""
        return DataLoader(Chunks(self.fleet, self.agenda), batch_size=None)

    def training_step(self, batch: int, batch_idx: int) -> None:
        """Advance every replica by the chunk's number of steps."""
        with self.clock.charged("train"):
            self.fleet.advance(int(batch))
            if self.fleet.device.type == "cuda":
                torch.cuda.synchronize(self.fleet.device)
