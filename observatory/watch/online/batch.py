"""The probe batch: kept with the run, and known again by what is in it."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.store.files import write_bytes

PROBE_BATCH = "probe_batch.pt"
"""The file in the folder of a run."""


def host_copy(batch: Any) -> Any:
    """A copy of a batch on the CPU: mappings as dictionaries, the rest as it is.

    Raises:
        ConfigError: If it holds something that is neither a tensor, a number, a text nor a
            container of these.

    Example:
        >>> host_copy({"x": torch.ones(1), "use": (True, None)})
        {'x': tensor([1.]), 'use': (True, None)}
    """
    if isinstance(batch, Tensor):
        return batch.detach().to("cpu", copy=True)
    if isinstance(batch, Mapping):
        return {str(name): host_copy(value) for name, value in batch.items()}
    if isinstance(batch, list | tuple):
        entries = [host_copy(value) for value in batch]
        return tuple(entries) if isinstance(batch, tuple) else entries
    if batch is None or isinstance(batch, bool | int | float | str):
        return batch
    raise ConfigError(
        "`batch` must hold tensors, numbers and texts in dictionaries, tuples or lists, got "
        f"{type(batch).__name__} in it. Give what the model is called with, as tensors."
    )


def moved(batch: Any, device: torch.device) -> Any:
    """A batch as of `host_copy`, its tensors on a device."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {name: moved(value, device) for name, value in batch.items()}
    if isinstance(batch, list | tuple):
        entries = [moved(value, device) for value in batch]
        return tuple(entries) if isinstance(batch, tuple) else entries
    return batch


def digest(batch: Any) -> str:
    """SHA-256 of a batch as of `host_copy`: names, types, shapes and every byte.

    Example:
        >>> digest((torch.zeros(2),)) == digest((torch.zeros(2),))
        True
        >>> digest(torch.zeros(2)) == digest(torch.zeros(2, 1))
        False
    """
    made = hashlib.sha256()
    for name, leaf in _leaves(batch, ""):
        if isinstance(leaf, Tensor):
            made.update(f"{name}:{leaf.dtype}:{tuple(leaf.shape)}:".encode())
            made.update(leaf.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        else:
            made.update(f"{name}:{leaf!r}:".encode())
    return made.hexdigest()


def write_batch(folder: Path, batch: Any) -> None:
    """Keep a batch as of `host_copy` in the folder of a run; raises as `write_bytes` does."""
    buffer = io.BytesIO()
    torch.save(batch, buffer)
    write_bytes(folder / PROBE_BATCH, buffer.getvalue())


def _leaves(batch: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(batch, dict):
        for key in batch:
            yield from _leaves(batch[key], f"{name}.{key}")
    elif isinstance(batch, list | tuple):
        for place, value in enumerate(batch):
            yield from _leaves(value, f"{name}[{place}]")
    else:
        yield name, batch
