"""The fleet as a LightningModule: one `training_step` is a chunk of optimizer steps."""

from collections.abc import Iterator

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, IterableDataset

from observatory.fleet.fleet import Fleet
from observatory.training.clock import CostClock
from observatory.training.due import DueTracker


class _Chunks(IterableDataset[int]):
    """Counts chunks while the fleet is alive; Lightning fetches ahead, so it holds nothing else."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def __iter__(self) -> Iterator[int]:
        """Chunk 0, 1, 2, ..."""
        chunk = 0
        while not self.fleet.finished:
            yield chunk
            chunk += 1


class FleetModule(pl.LightningModule):
    """Drives a `Fleet` under a Trainer: many optimizer steps per batch, callbacks between.

    Optimization is manual and inside the fleet; a single network is a fleet of one.
    """

    def __init__(self, fleet: Fleet, tracker: DueTracker, clock: CostClock) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.fleet, self.tracker, self.clock = fleet, tracker, clock

    def configure_optimizers(self) -> None:
        """None: the fleet updates its own rows."""

    def train_dataloader(self) -> DataLoader[int]:
        """The chunk counter, passed through unbatched."""
        return DataLoader(_Chunks(self.fleet), batch_size=None)

    def training_step(self, batch: int, batch_idx: int) -> None:
        """Advance every replica until somebody is due to be looked at.

        No step at all where a replica just took its seat and waits for its first look.
        """
        with self.clock.charged("train"):
            self.fleet.advance(self.tracker.steps_to_next(self.fleet))
            if self.fleet.device.type == "cuda":
                torch.cuda.synchronize(self.fleet.device)
