"""Models whose weights lie in shards on several processes, known without an import that is slow."""

import sys
from typing import Any

from torch import Tensor, nn

_SHARDED = ("torch.distributed.tensor", "DTensor")
_WRAPPED = ("torch.distributed.fsdp", "FSDPModule")


def is_sharded(model: nn.Module) -> bool:
    """Whether a parameter is a tensor of several processes.

    Example:
        >>> is_sharded(nn.Linear(1, 1))
        False
    """
    kinds = _loaded(*_SHARDED)
    return any(isinstance(parameter, kinds) for parameter in model.parameters())


def whole(parameter: Tensor) -> Tensor:
    """The whole of a parameter that lies in shards; every process has to ask for it."""
    owner: Any = parameter
    return owner.full_tensor() if isinstance(owner, _loaded(*_SHARDED)) else parameter


def reshard(module: nn.Module) -> None:
    """Let a module of FSDP2 have its shards alone; of others, nothing.

    The root keeps whole weights after a forward, which the optimizer's step would leave behind.
    """
    wrapped: Any = module
    if isinstance(wrapped, _loaded(*_WRAPPED)):
        wrapped.reshard()


def _loaded(module: str, name: str) -> tuple[Any, ...]:
    """A class where its module was imported: else nothing can be of it."""
    found = getattr(sys.modules.get(module), name, None)
    return () if found is None else (found,)
