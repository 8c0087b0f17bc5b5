"""Parameters of a study's replicas as safetensors: those that its checkpoints still hold."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from observatory.core.contracts import Model
from observatory.core.errors import StoreError
from observatory.fleet.fleet import EMPTY
from observatory.fleet.stack import layout_of
from observatory.store.reader import Run, Study
from observatory.training.build import build

KEY = "observatory"
"""The one entry of a file's metadata: JSON. Several entries would be written in a random order."""


@dataclass(frozen=True)
class Kept:
    """The parameters of one replica as its shard's last checkpoint has them.

    Attributes:
        run_id: Its run.
        replica: Identity in the run.
        step: Optimizer steps that the replica had made.
        params: By name, in the shape of one network.
    """

    run_id: str
    replica: int
    step: int
    params: dict[str, Tensor]

    @property
    def file(self) -> str:
        """Its place in a bundle."""
        return f"weights/{self.run_id}/replica-{self.replica:06d}.safetensors"

    def content(self) -> bytes:
        """The file: the tensors, and whose they are."""
        about = {"run_id": self.run_id, "replica": self.replica, "step": self.step}
        return save(self.params, metadata={KEY: json.dumps(about)})


def kept_weights(study: Study) -> Iterator[Kept]:
    """Every replica whose parameters exist: it trained when its shard was last saved.

    A replica that leaves its fleet takes its parameters along: `Fleet.vacate` zeroes its slot.

    Raises:
        StoreError: If a checkpoint cannot be read, or is of another network than the manifest's.
        ConfigError: If the network of a run cannot be built here.
    """
    for run in study.runs:
        saved = {shard: state for shard, state in _checkpoints(run) if _seated(state)}
        if saved:
            yield from _kept(run, saved)


def _kept(run: Run, saved: dict[int, dict[str, Any]]) -> Iterator[Kept]:
    parts = build(run.manifest["config"])
    assert isinstance(parts.network, Model)  # `build` refuses others
    layout = layout_of(parts.network)
    for shard, state in saved.items():
        replicas = parts.table.shard(shard, run.manifest["fleet"]["shards"]).replica
        if state["flat"].shape[1] != sum(layout.sizes):
            raise StoreError(
                f"The checkpoint of shard {shard} of run `{run.run_id}` has "
                f"{state['flat'].shape[1]} parameters per replica, its network has "
                f"{sum(layout.sizes)}: another version of the model wrote it. Use that version, or "
                "export without `--weights`."
            )
        views = layout.views(state["flat"])
        for slot, row in _seated(state):
            params = {name: view[slot].clone() for name, view in views.items()}
            yield Kept(run.run_id, int(replicas[row]), state["ages"][slot], params)


def _seated(state: dict[str, Any]) -> list[tuple[int, int]]:
    """Slots that hold a replica, each with its row in the shard's queue."""
    return [(slot, row) for slot, row in enumerate(state["slots"]) if row != EMPTY]


def _checkpoints(run: Run) -> Iterator[tuple[int, dict[str, Any]]]:
    for shard in range(run.manifest["fleet"]["shards"]):
        path = run.folder / "shards" / str(shard) / "checkpoint.pt"
        if not path.exists():
            continue
        try:
            yield shard, torch.load(path, map_location="cpu", weights_only=True)["fleet"]
        except Exception as error:
            raise StoreError(
                f"`{path}` cannot be read as a checkpoint ({error}). Export without `--weights`."
            ) from error
