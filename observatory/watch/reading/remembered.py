"""What a module holds beside its parameters, remembered so that it can be put back bit for bit."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

Restore = Callable[[], None]

LARGEST_COPY = 64 * 2**20
"""Bytes of a tensor above which no copy is kept: that it was not written is checked instead."""

HOOKS = frozenset(name for name in vars(nn.Module()) if "hook" in name)
"""Entries of a module's dictionary that hold hooks: these are checked, never put back."""

HELD_APART = frozenset({"_parameters", "_buffers", "_modules", "training"}) | HOOKS
"""Entries of a module's dictionary that are remembered, or checked, by rules of their own."""


def version(tensor: Tensor) -> int | None:
    """How often a tensor was written in place; None for an inference tensor, which counts none."""
    return None if tensor.is_inference() else tensor._version


def random_states() -> Restore:
    """Remember the global random number generators: torch on the CPU and CUDA, numpy, Python."""
    cpu, python, numpy_state = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002  # the user's own generator
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []

    def restore() -> None:
        torch.set_rng_state(cpu)
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002  # the user's own generator
        if cuda:
            torch.cuda.set_rng_state_all(cuda)

    return restore


@final
class Remembered:
    """The state of modules beside their parameters, copied when this is made.

    Remembered are buffers, plain attributes, what lists, dictionaries, sets, deques and tuples
    among them hold, tensors and arrays as attributes, and generators of torch, numpy and Python.
    Attributes of other objects that a module holds are not.

    Args:
        modules: By path.

    Attributes:
        large: By path, tensors above `LARGEST_COPY`, which were not copied.
    """

    def __init__(self, modules: Iterable[tuple[str, nn.Module]]) -> None:
        self.large: dict[str, tuple[Tensor, int | None]] = {}
        self._seen: dict[int, object] = {}
        self._restores: list[Restore] = []
        for path, module in modules:
            if isinstance(module, torch.jit.ScriptModule):
                self._script(path, module)
            else:
                self._module(path, module)

    def restore(self) -> None:
        """Put everything back, in place where it was written in place."""
        for restore in self._restores:
            restore()

    def _module(self, path: str, module: nn.Module) -> None:
        own, buffers = module.__dict__, module._buffers
        self._values(f"buffer `{path}.", buffers.items())
        plain = {n: v for n, v in own.items() if n not in HELD_APART}
        self._values(f"attribute `{path}.", plain.items())
        kept = dict(buffers)

        def restore() -> None:
            own["_buffers"] = buffers
            _refill(buffers, kept)

        self._restores += [lambda: _put_back(own, plain), restore]

    def _script(self, path: str, module: nn.Module) -> None:
        self._values(f"buffer `{path}.", module.named_buffers(recurse=False))

    def _values(self, where: str, values: Iterable[tuple[object, object]]) -> None:
        for name, value in values:
            self._value(f"{where}{name}`", value)

    def _value(self, path: str, value: Any) -> None:
        if isinstance(value, (str, int, float, type(None), nn.Module)) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, nn.Parameter):
            return
        if isinstance(value, Tensor):
            self._tensor(path, value)
        elif (restore := _generator(value) or _container(value)) is not None:
            self._restores.append(restore)
        for inner in _held_by(value):
            self._value(path, inner)

    def _tensor(self, path: str, value: Tensor) -> None:
        before = version(value)
        if value.numel() * value.element_size() > LARGEST_COPY:
            self.large[path] = value, before
            return
        copy = value.detach().clone()

        def restore() -> None:
            if before is None or version(value) != before:
                with torch.inference_mode(value.is_inference()):
                    value.detach().copy_(copy)

        self._restores.append(restore)


def _put_back(own: dict[str, Any], plain: dict[str, Any]) -> None:
    for name in [n for n in own if n not in HELD_APART]:
        if name not in plain:
            del own[name]
    for name, value in plain.items():
        if name not in own or own[name] is not value:
            own[name] = value


def _refill(found: dict[Any, Any], kept: dict[Any, Any]) -> None:
    """Give a dictionary the very objects, in the order, that it had."""
    alike = zip(found.items(), kept.items(), strict=False)
    if len(found) != len(kept) or any(k != key or v is not value for (k, v), (key, value) in alike):
        found.clear()
        found.update(kept)


def _requeue(found: deque[Any], kept: list[Any]) -> None:
    found.clear()
    found.extend(kept)


def _generator(value: object) -> Restore | None:
    match value:
        case torch.Generator():
            state = value.get_state()
            return lambda: value.set_state(state) and None
        case np.random.Generator():
            bits = value.bit_generator
            drawn = bits.state
            return lambda: setattr(bits, "state", drawn)
        case np.random.RandomState():
            legacy = value.get_state()
            return lambda: value.set_state(legacy)
        case random.Random():
            python = value.getstate()
            return lambda: value.setstate(python)
        case _:
            return None


def _container(value: object) -> Restore | None:
    match value:
        case list():
            entries = list(value)
            return lambda: value.__setitem__(slice(None), entries)
        case dict():
            pairs = dict(value)
            return lambda: _refill(value, pairs)
        case set():
            members = set(value)
            return lambda: value.symmetric_difference_update(value ^ members)
        case deque():
            queue = list(value)
            return lambda: _requeue(value, queue)
        case np.ndarray():
            array = value.copy()
            return lambda: np.copyto(value, array) if value.flags.writeable else None
        case _:
            return None


def _held_by(value: object) -> Iterator[object]:
    if isinstance(value, (list, tuple, deque)):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()
