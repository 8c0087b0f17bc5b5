"""A spline of its own for every hidden unit."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from observatory.maths.splines import b_splines
from observatory.nonlinearities.contract import TrainedNonlinearity

ORDER, REACH, NOISE = 3, 3.0, 0.1


@final
class UnitSpline(TrainedNonlinearity):
    """silu(x) and a trained cubic B-spline on [-3, 3] of every unit.

    What a KAN has on its edges, on units: an arm that shows whether its gain is the spline's.

    Args:
        width: Number of units.
        grid: Number of intervals of the spline, which then has `grid` + 3 coefficients per unit.

    Source:
        The arm is that of arXiv:2407.16674. Deviation: range and start are ours.
    """

    def __init__(self, width: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.coefficients = nn.Parameter(torch.empty(width, grid + ORDER))

    def initialise(self, rng: torch.Generator) -> None:
        """Normal coefficients of standard deviation 0.1 / sqrt(grid)."""
        with torch.no_grad():
            self.coefficients.normal_(0.0, NOISE / self.grid**0.5, generator=rng)

    def forward(self, x: Tensor) -> Tensor:
        """silu(x) + sum over j of c_j B_j(x), c the unit's own."""
        bases = b_splines(x, self.grid, ORDER, -REACH, REACH)
        return F.silu(x) + (bases * self.coefficients).sum(dim=-1)
