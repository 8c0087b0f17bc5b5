"""A CUDA graph as a CPU can have one: a function's operations, run again on the same memory."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

READS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}


def tensors(values: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def aliased(values: Any) -> Any:
    """The same memory by tensors of their own: whoever turns one in place turns no other."""
    return tree_map_only(Tensor, lambda tensor: tensor.detach(), values)


class _Tape(TorchDispatchMode):
    """Notes every operation with the tensors that it got and gave, and what it overwrote."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self._made: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in READS:
            raise RuntimeError(f"the host reads a tensor by {func}")
        named = dict(zip([a.name for a in func._schema.arguments], args, strict=False)) | kwargs
        for argument in func._schema.arguments:
            if argument.alias_info is not None and argument.alias_info.is_write:
                for tensor in tensors(named[argument.name]):
                    self._keep(tensor)
        given = aliased((args, kwargs))
        out = func(*args, **kwargs)
        known = {t.untyped_storage().data_ptr() for t in tensors((args, kwargs))}
        self._made |= {t.untyped_storage().data_ptr() for t in tensors(out)} - known
        self.calls.append((func, given, aliased(out)))
        return out

    def _keep(self, tensor: Tensor) -> None:
        """The memory that a tensor lies in, as it was before the function."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in {*self._made, *self.before}:
            whole = torch.empty(0, dtype=torch.uint8).set_(storage)
            self.before[storage.data_ptr()] = (whole, whole.clone())


def replayed(step: Callable[[], None]) -> Callable[[], None]:
    """Record a function, undo what it did, and give what runs its operations again.

    As a CUDA graph does, it runs the same operations on the same memory with the same numbers of
    the host: a buffer that is made anew, or a number that the host changes, is not seen.
    """
    tape = _Tape()
    with tape:
        step()
    with torch.no_grad():
        for now, before in tape.before.values():
            now.copy_(before)

    @torch.no_grad()
    def replay() -> None:
        for func, given, out in tape.calls:
            args, kwargs = aliased(given)
            again = func(*args, **kwargs)
            for old, new in zip(tensors(out), tensors(again), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)

    return replay
