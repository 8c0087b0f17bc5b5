"""The norm of a part is held, or kept from growing (Omnigrok, arXiv:2210.01117)."""

from typing import Literal, final

import torch
from torch import Tensor

from observatory.core.contracts import Rows
from observatory.core.settings import Positive, check_arguments
from observatory.interventions.contract import Entries, Hold, Row


@final
class HoldNorm(Hold):
    """After every step a part is multiplied so that its norm is a multiple of the initial one.

    At strength s it goes the share s of the way, on a log scale.

    Args:
        part: Weight, part or pattern; "*" holds the norm of all parameters together.
        ratio: Norm over that before the replica's first step.
        only: "both": always; "above": only what is larger is made smaller, a clip.
    """

    def __init__(self, *, part: str, ratio: Positive, only: Literal["both", "above"] = "both"):
        check_arguments(HoldNorm, ratio=ratio, only=only)
        self.part, self.ratio, self.only = part, ratio, only

    def target(self, first: Row, entries: Entries) -> Tensor:
        """The norm, `[1]`."""
        norm = torch.linalg.vector_norm(first[entries].double())
        return (self.ratio * norm)[None].to(first)

    def hold(
        self, before: Rows, after: Rows, strength: Tensor, target: Tensor, entries: Entries
    ) -> Rows:
        """The part on its sphere, all else as it is."""
        norm = torch.linalg.vector_norm(torch.where(entries, after, 0.0), dim=1, keepdim=True)
        factor = target / norm.clamp(min=1e-30)
        factor = factor.clamp(max=1.0) if self.only == "above" else factor
        return torch.where(entries, after * factor**strength, after)
