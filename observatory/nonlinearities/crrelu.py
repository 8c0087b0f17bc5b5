"""CRReLU with a trained bump."""

from typing import final

import torch
from torch import Tensor, nn

from observatory.nonlinearities.contract import TrainedNonlinearity
from observatory.nonlinearities.elementwise import crrelu


@final
class CrRelu(TrainedNonlinearity):
    """`crrelu` with one trained height per layer, which starts at 0.01 and may turn negative."""

    def __init__(self) -> None:
        super().__init__()
        self.eps = nn.Parameter(torch.empty(1))

    def initialise(self, rng: torch.Generator) -> None:
        """0.01, as published; nothing is drawn."""
        with torch.no_grad():
            self.eps.fill_(0.01)

    def forward(self, x: Tensor) -> Tensor:
        """See `crrelu`."""
        return crrelu(x, self.eps)
