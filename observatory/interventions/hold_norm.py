"""The norm of a part is held, or kept from growing (Omnigrok, arXiv:2210.01117)."""

from typing import Literal, final

import torch
from torch import Tensor

from observatory.core.contracts import Rows
from observatory.core.settings import Positive, check_arguments
from observatory.interventions.contract import Acted, Hold, Place


@final
class HoldNorm(Hold):
    """After every step a part is multiplied so that its norm is a multiple of an earlier one.

    At strength s it goes the share s of the way, on a log scale.

    Args:
        part: Weight, part or pattern; "*" holds the norm of all parameters together.
        ratio: Norm over the earlier one.
        of: Which that is: "first", before the replica's first step; "moment", when the arm parts.
        only: "both": always; "above": only what is larger is made smaller, a clip.
    """

    def __init__(
        self,
        *,
        part: str,
        ratio: Positive,
        of: Literal["first", "moment"] = "first",
        only: Literal["both", "above"] = "both",
    ) -> None:
        check_arguments(HoldNorm, ratio=ratio, of=of, only=only)
        self.part, self.ratio, self.of, self.only = part, ratio, of, only

    def target(self, replica: Acted) -> Tensor:
        """The norm, `[1]`."""
        earlier = replica.first if self.of == "first" else replica.flat
        norm = torch.linalg.vector_norm(earlier[replica.parts.entries(self.part)].double())
        return (self.ratio * norm)[None].to(replica.flat)

    def hold(
        self, before: Rows, after: Rows, strength: Tensor, target: Tensor, place: Place
    ) -> Rows:
        """The part on its sphere, all else as it is."""
        entries = place.entries
        norm = torch.linalg.vector_norm(torch.where(entries, after, 0.0), dim=1, keepdim=True)
        factor = target / norm.clamp(min=1e-30)
        factor = factor.clamp(max=1.0) if self.only == "above" else factor
        return torch.where(entries, after * factor**strength, after)
