"""R networks as one: the flat parameter matrix, its named views, and stacked forwards."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, vmap

from observatory.core.contracts import FastPath, HasFastPath, Model, Recorder, StackedForward
from observatory.core.errors import ConfigError
from observatory.core.view import Params
from observatory.maths.hooks import recording


@dataclass(frozen=True)
class Layout:
    """Where each named weight lies in a replica's flat row."""

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    @staticmethod
    def of(network: nn.Module) -> "Layout":
        """The layout of a network's parameters, in their declared order."""
        named = list(network.named_parameters())
        return Layout(tuple(name for name, _ in named), tuple(p.shape for _, p in named))

    @property
    def sizes(self) -> list[int]:
        """Number of entries of each weight."""
        return [shape.numel() for shape in self.shapes]

    def views(self, flat: Float[Tensor, "replica param"]) -> Params:
        """Named views into `flat`, each `[replica, *shape]`; one split: its backward is one cat."""
        parts = flat.split(self.sizes, dim=1)
        return {
            name: part if len(shape) == 1 else part.unflatten(1, shape)
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }

    def mask(self, chosen: frozenset[str]) -> Float[Tensor, " param"]:
        """1.0 where a flat entry belongs to one of the `chosen` weights, else 0.0 (float64)."""
        pieces = [
            torch.full((size,), float(name in chosen), dtype=torch.float64)
            for name, size in zip(self.names, self.sizes, strict=True)
        ]
        return torch.cat(pieces)


def flat_row(network: nn.Module) -> Float[Tensor, " param"]:
    """A copy of one network's parameters in layout order."""
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()]).clone()


def decaying(network: Model, layout: Layout, decay: str) -> Float[Tensor, " param"]:
    """Which flat entries decay: of "all" weights or of the declared "matrices"."""
    if decay == "all":
        return layout.mask(frozenset(layout.names))
    declared = network.decayed()
    if unknown := declared - set(layout.names):
        raise ConfigError(f"`decayed()` names weights that do not exist: {sorted(unknown)}.")
    return layout.mask(declared)


def vmapped(network: nn.Module) -> StackedForward:
    """The stacked forward of any network, by `torch.func.vmap`."""

    def single(params: Params, inputs: Int[Tensor, "batch pos"]) -> Tensor:
        return functional_call(network, params, (inputs,))

    return vmap(single, randomness="error")


def fast_path(network: nn.Module, path: str) -> FastPath | None:
    """The network's fast path where the setting `path` allows it and there is one.

    Args:
        network: The prototype network.
        path: "fast" takes the fast path where there is one, "generic" never does.
    """
    return network.fast_path() if path == "fast" and isinstance(network, HasFastPath) else None


def vmapped_record(network: nn.Module) -> Recorder:
    """The recording forward of any network, by `torch.func.vmap`."""

    def single(params: Params, inputs: Tensor) -> dict[str, Tensor]:
        with recording(network) as recorded:
            logits = functional_call(network, params, (inputs,))
            return {"logits": logits, **recorded()}

    return vmap(single, in_dims=(0, None), randomness="error")
