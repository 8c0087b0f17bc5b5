"""Activations by name: identity modules in a network, and recording what passes through."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import final

from jaxtyping import Int
from torch import Tensor, nn

from observatory.core.contracts import Inputs, Logits
from observatory.core.layout import Params


@final
class HookPoint(nn.Module):
    """Passes its input on and keeps it while `recording`; its path names the activation."""

    def __init__(self) -> None:
        super().__init__()
        self.recording = False
        self.last: Tensor | None = None

    def forward(self, activation: Tensor) -> Tensor:
        """The identity."""
        if self.recording:
            self.last = activation
        return activation


def block_hooks(n_layers: int, kinds: Mapping[str, str]) -> dict[str, str]:
    """Axes of the activations of every block by path, from the axes by kind.

    Example:
        >>> block_hooks(2, {"mlp_pre": "batch d_mlp"})
        {'blocks.0.mlp_pre': 'batch d_mlp', 'blocks.1.mlp_pre': 'batch d_mlp'}
    """
    return {
        f"blocks.{layer}.{kind}": axes for layer in range(n_layers) for kind, axes in kinds.items()
    }


class RecordedForward(ABC):
    """A stacked forward of one pass, which notes activations on its way where that is asked for."""

    def __call__(self, params: Params, inputs: Inputs) -> Logits:
        """Logits of every replica on its own examples."""
        return self._run(params, inputs, None)

    def record(self, params: Params, inputs: Int[Tensor, "batch pos"]) -> dict[str, Tensor]:
        """Logits and the activations that come cheap, on examples shared by all replicas."""
        recorded: dict[str, Tensor] = {}
        shared = inputs.expand(len(params["W_E"]), -1, -1)
        return {"logits": self._run(params, shared, recorded), **recorded}

    @abstractmethod
    def _run(self, params: Params, inputs: Tensor, recorded: dict[str, Tensor] | None) -> Tensor:
        """The logits; activations by name go into `recorded`, where there is one."""


@contextmanager
def recording(network: nn.Module) -> Iterator[Callable[[], dict[str, Tensor]]]:
    """While open, hook points of `network` keep what passes; call the result to read it, by path.

    Nothing is left behind: afterwards they stop recording and have dropped what they held.
    """
    points = {
        name: module for name, module in network.named_modules() if isinstance(module, HookPoint)
    }
    for point in points.values():
        point.recording = True
    try:
        yield lambda: {name: point.last for name, point in points.items() if point.last is not None}
    finally:
        for point in points.values():
            point.recording, point.last = False, None
