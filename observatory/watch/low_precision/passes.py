"""Passes of a network, also with parameters that are not its own, with its products visited."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from observatory.watch.low_precision.products import Visitor, visiting
from observatory.watch.reading.calls import first_float
from observatory.watch.reading.forward import Batch, logits_of


@dataclass(frozen=True)
class Passes:
    """A network whose products are visited in every pass.

    Attributes:
        network: It.
        forward: Calls it.
        params: Parameters that stand in for its own; None: its own.
    """

    network: nn.Module
    forward: Callable[[nn.Module, Any], Any]
    params: Mapping[str, Tensor] | None

    @property
    def read(self) -> dict[str, Tensor]:
        """The parameters that products read."""
        return dict(self.network.named_parameters()) if self.params is None else dict(self.params)

    def run(self, batch: Batch, visit: Visitor) -> Tensor | None:
        """One pass; its logits, or the first floating tensor that it returns."""
        with visiting(self.read, visit):
            output = self._output(batch)
        found = logits_of(output)
        return first_float(output) if found is None else found

    def _output(self, batch: Batch) -> Any:
        if self.params is None:
            return self.forward(self.network, batch)
        called = _Called(self.network, self.forward)
        given = {f"network.{name}": value for name, value in self.params.items()}
        return torch.func.functional_call(called, given, (batch,))


class _Called(nn.Module):
    """A network and how it is called, as a module."""

    def __init__(self, network: nn.Module, forward: Callable[[nn.Module, Any], Any]) -> None:
        super().__init__()
        self.network, self._call = network, forward

    def forward(self, batch: Batch) -> Any:
        """Call it."""
        return self._call(self.network, batch)
