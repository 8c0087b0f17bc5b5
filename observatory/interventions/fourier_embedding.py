r"""The embedding becomes waves of the symbol, at frequencies of a chosen size (FreSh).

Letters: p symbols 0..p-1, f the frequency of a pair of columns.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.settings import Positive, check_arguments
from observatory.interventions.contract import Act, Acted
from observatory.interventions.parts import PartNames, check_symbols


def waves(p: int, width: int, sigma: float, rng: torch.Generator) -> Float[Tensor, "p width"]:
    """Columns cos(2 pi f a / p), sin(2 pi f a / p) for the symbol a, float64.

    Args:
        p: Number of symbols.
        width: Number of columns; of an odd one the last pair lacks its sine.
        sigma: Standard deviation of the frequencies before they are rounded, from 1 to p/2.
        rng: Draws them.

    Source:
        arXiv:2410.05050. Deviation: frequencies beyond p/2, which are those below it once more, are
        p/2.
    """
    pairs = torch.randn((width + 1) // 2, dtype=torch.float64, generator=rng)
    f = (sigma * pairs).abs().round().clamp(1, max(1, p // 2))
    angles = 2 * torch.pi / p * torch.arange(p, dtype=torch.float64)[:, None] * f
    return torch.stack([angles.cos(), angles.sin()], dim=2).flatten(start_dim=1)[:, :width]


@final
class FourierEmbedding(Act):
    """Rows of symbols become `waves`, of the norm that they have; at step 0 a start of its own.

    A drawn table has all frequencies alike; small ones alone are a smooth function of the symbol.
    The row of a query token stays. For tasks that add or subtract residues.

    Args:
        part: The embedding, such as "W_E".
        sigma: As of `waves`.
    """

    def __init__(self, *, part: str, sigma: Positive) -> None:
        check_arguments(FourierEmbedding, sigma=sigma)
        self.part, self.sigma = part, sigma

    def check(self, parts: PartNames, modulus: int | None) -> None:
        """The task must add residues, and the part embed them."""
        super().check(parts, modulus)
        check_symbols(self.part, parts, modulus)

    def act(self, replica: Acted, strength: float) -> None:
        """Move the rows towards the waves, and forget their moments."""
        p = replica.modulus
        assert p is not None  # as `check` says
        aim = replica.flat[None].clone()
        table = replica.parts.layout.views(aim)[self.part][0, :p]
        drawn = waves(p, table.shape[1], self.sigma, replica.rng)
        norm = torch.linalg.vector_norm(table.double())
        table.copy_(drawn * norm / torch.linalg.vector_norm(drawn))
        replica.move(replica.parts.entries(self.part), aim[0], strength)
