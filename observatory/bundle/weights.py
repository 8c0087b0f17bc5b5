"""Parameters of a study's replicas as safetensors: of those that left and of those that train."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from observatory.core.contracts import Model
from observatory.core.errors import StoreError
from observatory.fleet.stack import layout_of
from observatory.fleet.state import seated
from observatory.launch.trust import check_trusted
from observatory.store.parameters import FILE_KEY, named, weights_file
from observatory.store.reader import Run, Study
from observatory.store.schema import WEIGHTS
from observatory.training.build import build_to_look
from observatory.training.shard import CHECKPOINT

Shapes = dict[str, list[int]]
"""Shape of each weight by name, in the order of the flat row."""


@dataclass(frozen=True)
class Kept:
    """The parameters of one replica as they were last kept."""

    run_id: str  # its run
    replica: int  # identity in the run
    step: int  # optimizer steps that the replica had made
    params: dict[str, Tensor]  # by name, in the shape of one network

    @property
    def file(self) -> str:
        """Its place in a bundle."""
        return weights_file(self.run_id, self.replica)

    def content(self) -> bytes:
        """The file: the tensors, and whose they are."""
        about = {"run_id": self.run_id, "replica": self.replica, "step": self.step}
        return save(self.params, metadata={FILE_KEY: json.dumps(about)})


def kept_weights(study: Study, trust: bool) -> Iterator[Kept]:
    """Every replica whose parameters exist, by run and replica.

    A replica that left has a row in the table of final weights, where its run writes one; a replica
    that trains is in its shard's checkpoint; those of an imported study lie in its bundle's files.

    Args:
        study: The study.
        trust: Whether the network of a run that trains may be code outside of this package.

    Raises:
        StoreError: If a table, a checkpoint or a file cannot be read, or is of another network than
            the manifest's.
        ConfigError: If the network of a run cannot be built here.
    """
    for run in study.runs:
        sources = (
            _imported(study.folder, run),
            _training(run, trust),
            _left(run),
        )  # the last one counts
        found = {kept.replica: kept for source in sources for kept in source}
        yield from (found[replica] for replica in sorted(found))


def _left(run: Run) -> Iterator[Kept]:
    """Replicas that left, from the table."""
    if WEIGHTS not in run.tables():
        return
    shapes = {weight["name"]: weight["shape"] for weight in run.manifest["model"]["layout"]}
    for row in run.table(WEIGHTS).to_dict("records"):
        flat = torch.from_numpy(row["parameters"])
        params = _cut(flat, shapes, f"The table `{WEIGHTS}` of run `{run.run_id}`")
        yield Kept(run.run_id, row["replica"], row["step"], params)


def _training(run: Run, trust: bool) -> Iterator[Kept]:
    """Replicas that trained when their shard was last saved.

    `Fleet.vacate` zeroes the slot of one that leaves.
    """
    saved = {
        shard: state for shard, state in _checkpoints(run) if any(s >= 0 for s in state["slots"])
    }
    if not saved:
        return
    if not trust:
        check_trusted(run.manifest["config"], f"Run `{run.run_id}`")
    parts = build_to_look(run.manifest["config"])
    assert isinstance(parts.network, Model)  # it refuses others
    layout = layout_of(parts.network)
    shapes = {n: list(shape) for n, shape in zip(layout.names, layout.shapes, strict=True)}
    for shard, state in saved.items():
        states = seated(state, parts.table.shard(shard, run.manifest["fleet"]["shards"]).replica)
        for row, replica in enumerate(states.replica):
            where = f"The checkpoint of shard {shard} of run `{run.run_id}`"
            params = _cut(states.flat[row], shapes, where)
            yield Kept(run.run_id, replica, states.step[row], params)


def _imported(folder: Path, run: Run) -> Iterator[Kept]:
    """Replicas whose files came with the bundle that the study was."""
    for path in sorted(folder.glob(f"weights/{run.run_id}/replica-*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                about = json.loads(file.metadata()[FILE_KEY])
                params = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            kept = Kept(run.run_id, int(about["replica"]), int(about["step"]), params)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"`{path}` cannot be read as weights of a bundle ({error}). Move it away, or "
                "export without `--weights`."
            ) from error
        if folder / kept.file != path:
            raise StoreError(
                f"`{path}` says that it is of replica {kept.replica}: it was renamed. Move it away."
            )
        yield kept


def _cut(flat: Tensor, shapes: Shapes, where: str) -> dict[str, Tensor]:
    """The named tensors of one flat row, each with memory of its own."""
    return {
        name: torch.from_numpy(each) for name, each in named(flat.numpy(), shapes, where).items()
    }


def _checkpoints(run: Run) -> Iterator[tuple[int, dict[str, Any]]]:
    for shard in range(run.manifest["fleet"]["shards"]):
        path = run.folder / "shards" / str(shard) / CHECKPOINT
        if not path.exists():
            continue
        try:
            yield shard, torch.load(path, map_location="cpu", weights_only=True)["fleet"]
        except Exception as error:
            raise StoreError(
                f"`{path}` cannot be read as a checkpoint ({error}). Export without `--weights`."
            ) from error
