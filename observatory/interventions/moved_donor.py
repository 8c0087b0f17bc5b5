"""Controls of a transplant: the donor's matrices with their rows exchanged, or rotated."""

from typing import Literal, final

import torch
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.layout import Params
from observatory.core.settings import check_arguments
from observatory.interventions.contract import Act, Acted
from observatory.interventions.parts import PartNames


@final
class MovedDonor(Act):
    """As a transplant, from a donor whose matrices keep their singular values.

    With rows in another order each symbol has the embedding of another one: what the donor knows of
    symbols is gone, all else is there. A rotation of the columns keeps the angles between symbols,
    and does no harm where what reads them has yet to be learned.

    Args:
        like: The transplant; its part is made of whole matrices.
        how: "permuted": rows change places, that of a query token too; "rotated": columns are
            multiplied by a random orthogonal matrix.

    Source:
        arXiv:2504.10188 and arXiv:2504.13292, whose effect needs these controls. Deviation: ours.
    """

    def __init__(self, *, like: Act, how: Literal["permuted", "rotated"]) -> None:
        check_arguments(MovedDonor, how=how)
        if like.donor is None or like.since is not None:
            got = type(like).__name__
            raise ConfigError(
                f"`like` must be an act with a donor's weights, as Transplant, got {got}."
            )
        self.like, self.part, self.donor, self.how = like, like.part, like.donor, how

    def check(self, parts: PartNames, modulus: int | None) -> None:
        """The part must be made of whole matrices of at least two rows."""
        for name, mask in self._masks(parts).items():
            if mask.any() and not (mask.all() and mask[0].dim() == 2 and len(mask[0]) > 1):
                raise ConfigError(
                    f"`part` must be whole matrices, whose rows can be {self.how}, got "
                    f"{self.part!r}, which has other entries of {name}. Name a matrix, such as W_E."
                )

    def act(self, replica: Acted, strength: float) -> None:
        """As the transplant, from the moved donor."""
        assert replica.donated is not None
        entries = replica.parts.entries(self.part)
        donated = replica.donated.to(replica.flat, copy=True)[None]
        matrices = replica.parts.layout.views(donated)
        for name, mask in self._masks(replica.parts).items():
            if mask.any():
                matrices[name][0] = self._moved(matrices[name][0], replica.rng)
        replica.move(entries, donated[0], strength)

    def _masks(self, parts: PartNames) -> Params:
        """Which entries of every weight belong to the part, 1 or 0, `[1, ...]`."""
        return parts.layout.views(parts.entries(self.part).double()[None])

    def _moved(self, matrix: Tensor, rng: torch.Generator) -> Tensor:
        rows, columns = matrix.shape
        if self.how == "permuted":
            return matrix[torch.randperm(rows, generator=rng)]
        normal = torch.randn(columns, columns, dtype=torch.float64, generator=rng)
        return (matrix.double() @ torch.linalg.qr(normal).Q).to(matrix)
