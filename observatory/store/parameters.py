"""Parameters of one network of a run at the steps at which they were kept, as named arrays."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from observatory.core.columns import Column
from observatory.core.errors import StoreError
from observatory.store.parts import parts_of, read_part, to_frame
from observatory.store.schema import STATES, WEIGHTS, to_arrow_schema

PARAMETERS = "parameters"
"""Column of a flat row, in the tables of final weights and of kept states."""
FILE_KEY = "observatory"
"""The one entry of a safetensors file's metadata: JSON. Several would be in a random order."""

Arrays = dict[str, np.ndarray]


def parameters_column(dtype: str) -> Column:
    """The column of a flat row.

    Args:
        dtype: In which the fleet trains; the numbers are those of the step, bit for bit.
    """
    return Column(
        name=PARAMETERS,
        unit="1",
        dtype="float64" if dtype == "float64" else "float32",
        dims=("param",),
        meaning="all parameters, flat: the weights in the order of `model.layout` of the "
        "manifest, each row by row",
    )


def weights_file(run_id: str, replica: int) -> str:
    """Where a bundle, or a study that came as one, holds the parameters of a network."""
    return f"weights/{run_id}/replica-{replica:06d}.safetensors"


def kept_steps(run: Path, manifest: Mapping[str, Any], replica: int) -> dict[int, Path]:
    """Steps at which the parameters of a network were kept, each with the file that holds them.

    Args:
        run: Folder of the run.
        manifest: Of it.
        replica: The network.

    Raises:
        StoreError: If a file is damaged.
    """
    found: dict[int, Path] = {}
    brought = run.parent.parent / weights_file(run.name, replica)
    if brought.exists():
        found[_tensors(brought)[0]] = brought
    for table in (STATES, WEIGHTS):
        if table in manifest["tables"]:
            for part in parts_of(run, table):
                keys = read_part(part, to_arrow_schema(()))
                own = keys["step"].to_numpy()[keys["replica"].to_numpy() == replica]
                found |= dict.fromkeys(own.tolist(), part)
    return dict(sorted(found.items()))


def parameters(run: Path, manifest: Mapping[str, Any], replica: int, step: int | None) -> Arrays:
    """The parameters of a network at a step, in the shapes of its model.

    Args:
        run: Folder of the run.
        manifest: Of it.
        replica: The network.
        step: Updates that it had made; None: the last one at which they were kept.

    Raises:
        StoreError: If they were not kept at that step, or a file is damaged.
    """
    kept = kept_steps(run, manifest, replica)
    if not kept or (step is not None and step not in kept):
        raise StoreError(_not_kept(run, replica, step, list(kept)))
    step = max(kept) if step is None else step
    file = kept[step]
    if file.suffix == ".safetensors":
        return _tensors(file)[1]
    declared = manifest["tables"][file.parent.name]
    column = next(Column.from_json(c) for c in declared if c["name"] == PARAMETERS)
    rows = to_frame(read_part(file, to_arrow_schema([column])))
    flat = rows.loc[(rows["replica"] == replica) & (rows["step"] == step), PARAMETERS].iloc[0]
    shapes = {weight["name"]: weight["shape"] for weight in manifest["model"]["layout"]}
    return named(flat, shapes, f"`{file}`")


def named(flat: np.ndarray, shapes: Mapping[str, Sequence[int]], where: str) -> Arrays:
    """The weights in one flat row, each with memory of its own.

    Args:
        flat: `[param]`.
        shapes: Of each weight by name, in the order of the row.
        where: The row lies, for the message.

    Raises:
        StoreError: If the row has another length.
    """
    sizes = [math.prod(shape) for shape in shapes.values()]
    if len(flat) != sum(sizes):
        raise StoreError(
            f"{where} has {len(flat)} parameters per replica, its network has {sum(sizes)}: "
            "another version of the model wrote it. Use that version, or export without "
            "`--weights`."
        )
    pieces = np.split(flat, np.cumsum(sizes)[:-1])
    return {
        name: piece.reshape(tuple(shape)).copy()
        for piece, (name, shape) in zip(pieces, shapes.items(), strict=True)
    }


def _not_kept(run: Path, replica: int, step: int | None, kept: list[int]) -> str:
    have = f"only those of the steps {kept}" if kept else "none of it at any step"
    wanted = "Weights" if step is None else f"Weights at step {step}"
    return (
        f"{wanted} of replica {replica} of run `{run.name}` were not kept, {have}. What a run "
        "keeps is set by `store.states` when it begins; the same seed and settings train it again."
    )


def _tensors(file: Path) -> tuple[int, Arrays]:
    """Step and weights of a file of a bundle."""
    try:
        with safe_open(file, "np") as opened:
            about = json.loads(opened.metadata()[FILE_KEY])
            return int(about["step"]), {n: opened.get_tensor(n) for n in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"`{file}` cannot be read ({error}). Every other file of the study is intact. Import "
            "the bundle again."
        ) from error
