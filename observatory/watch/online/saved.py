"""Weights of a checkpoint, whatever framework wrote it, as the names of one model."""

import json
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from observatory.core.errors import ConfigError, StoreError
from observatory.watch.online.hugging_face_folder import as_loaded

_STEP = re.compile(r"(?:step|checkpoint|iter|ckpt)[=_-]?(\d+)")
_HOLDERS = ("state_dict", "model_state_dict", "model")
"""Entries of a saved dictionary that may hold the weights."""
_SHOWN = 5


def step_of(path: Path) -> int:
    """Optimizer updates that the name of a checkpoint says: `step=000512`, `checkpoint-500`.

    Raises:
        ConfigError: If it says none.

    Example:
        >>> step_of(Path("ckpts/epoch=1-step=000512.ckpt")), step_of(Path("out/checkpoint-500"))
        (512, 500)
    """
    found = _STEP.findall(path.name)
    if not found:
        raise ConfigError(
            f"`{path}` must say its step, as step=512 or checkpoint-512. Give `--steps`, one for "
            "each checkpoint in the order of their names."
        )
    return int(found[-1])


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights that a checkpoint holds, on the CPU; nothing of it is run.

    Args:
        path: A file of safetensors or of `torch.save`, as of Lightning; or a folder of Hugging
            Face, whose weights may lie in shards.

    Raises:
        StoreError: If it cannot be read, or holds pickled objects.
    """
    if path.is_dir():
        return _of_folder(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise StoreError(
            f"`{path}` holds pickled objects, which would run code when they are read. Save the "
            "weights alone: torch.save(model.state_dict(), PATH), or with safetensors."
        ) from error
    except (OSError, RuntimeError, SafetensorError) as error:
        raise StoreError(f"`{path}` cannot be read as weights: {error}") from error
    for holder in _HOLDERS:
        if isinstance(saved, Mapping) and isinstance(saved.get(holder), Mapping):
            saved = saved[holder]
            break
    if not isinstance(saved, Mapping) or not any(isinstance(v, Tensor) for v in saved.values()):
        raise StoreError(f"`{path}` holds no weights by name. Save `model.state_dict()`.")
    return {str(name): value for name, value in saved.items() if isinstance(value, Tensor)}


def load_checkpoint(model: nn.Module, path: Path) -> None:
    """Write the weights of a checkpoint into a model, in place; all or none.

    Args:
        model: The network.
        path: As of `read_weights`.

    Raises:
        StoreError: If it cannot be read, or does not hold the weights of this model.
    """
    weights: Mapping[str, Tensor] = read_weights(path)
    if path.is_dir() and any(_fitted(model, weights)[1].values()):
        weights = as_loaded(model, path, weights)
    load_weights(model, weights, str(path))


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Write weights into a model, in place; all or none.

    What wrapped the model when it was saved (`module.`, `_orig_mod.`, the name of an attribute) is
    found by the best match. Weights that the model ties to others may be missing.

    Args:
        model: The network.
        weights: As of `read_weights`.
        source: What is named where they do not fit.

    Raises:
        StoreError: If a name is missing or unknown, a shape differs, or weights that the model ties
            differ from each other.
    """
    named, wrong = _fitted(model, weights)
    said = [f"{why}: {', '.join(names[:_SHOWN])}" for why, names in wrong.items() if names]
    if said:
        raise StoreError(
            f"`{source}` must hold the weights of this model, got {'; '.join(said)}. Give the "
            "factory of the model that was saved."
        )
    own = model.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, value in named.items():
            own[name].copy_(value)


def _fitted(
    model: nn.Module, weights: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """Weights by the names of a model, and the names that do not fit, by what is wrong."""
    own = model.state_dict(keep_vars=True)
    prefix = _prefix(list(weights), own)
    named = {name.removeprefix(prefix): v for name, v in weights.items() if name.startswith(prefix)}
    first: dict[tuple[int, torch.Size], str] = {}  # of names that are one tensor of the model
    for name in named:
        if name in own:
            first.setdefault((own[name].data_ptr(), own[name].shape), name)
    there = {pointer for pointer, _ in first}
    wrong = {
        "unknown": [name for name in weights if name.removeprefix(prefix) not in own],
        "missing": [n for n, v in own.items() if n not in named and v.data_ptr() not in there],
        "of another shape": [n for n in named if n in own and own[n].shape != named[n].shape],
        "of another value than what the model ties it to": [
            n
            for n in named
            if n in own and not _equal(named[n], named[first[own[n].data_ptr(), own[n].shape]])
        ],
    }
    return named, wrong


def _equal(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors hold the same values, NaN where NaN."""
    if left is right:
        return True
    same = (left == right) | (left.isnan() & right.isnan()) if left.shape == right.shape else None
    return same is not None and bool(same.all())


def _prefix(names: Sequence[str], own: Mapping[str, Any]) -> str:
    """What stands before the names of a model in those of a checkpoint."""
    candidates = {""} | {
        ".".join(parts[:depth]) + "."
        for parts in (name.split(".") for name in names)
        for depth in range(1, min(len(parts), 4))
    }

    def matches(prefix: str) -> int:
        return sum(n.startswith(prefix) and n.removeprefix(prefix) in own for n in names)

    return max(sorted(candidates, key=len), key=matches)


def _of_folder(path: Path) -> dict[str, Tensor]:
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (path / name).is_file():
            return read_weights(path / name)
        index = path / f"{name}.index.json"
        if index.is_file():
            return _of_shards(index)
    raise StoreError(
        f"`{path}` must hold model.safetensors or pytorch_model.bin, or an index of their shards. "
        "Give the folder that `save_pretrained` or the Trainer wrote."
    )


def _of_shards(index: Path) -> dict[str, Tensor]:
    """The weights that an index names, from the files that it names beside itself."""
    try:
        shards: Mapping[str, str] = json.loads(index.read_text())["weight_map"]
        parts = {shard: read_weights(index.parent / shard) for shard in sorted({*shards.values()})}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"`{index}` must have the file of each weight: {error!r}.") from error
    if lost := [name for name, shard in shards.items() if name not in parts[shard]]:
        raise StoreError(
            f"`{index}` names weights that their shards lack: {', '.join(lost[:_SHOWN])}. Copy the "
            "whole folder again."
        )
    return {name: parts[shard][name] for name, shard in shards.items()}
