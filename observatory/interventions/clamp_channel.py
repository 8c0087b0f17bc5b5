"""A channel of the residual stream is held to the size of others, by the weights that write it."""

from fnmatch import fnmatchcase
from typing import final

import torch
from torch import Tensor

from observatory.core.contracts import Rows
from observatory.core.settings import Positive, check_arguments
from observatory.interventions.contract import Acted, Hold, Place


@final
class ClampChannel(Hold):
    """What writes one channel is made smaller after every step where its norm is above a limit.

    The channel is, of each replica, the one whose writing weights have the largest norm when the
    arm parts; the limit, a multiple of the median norm of all channels then. It is the weights that
    are clamped: massive activations (arXiv:2402.17762) in that channel become smaller with them,
    and may grow in another one.

    Args:
        part: Pattern of the channels, such as "channel.*".
        times: Of the median norm.
    """

    def __init__(self, *, part: str, times: Positive) -> None:
        check_arguments(ClampChannel, times=times)
        self.part, self.times = part, times

    def target(self, replica: Acted) -> Tensor:
        """The limit, then 1 at every entry that writes the channel: `[1 + param]`."""
        names = [name for name in replica.parts.of if fnmatchcase(name, self.part)]
        names = names or [n for n in replica.parts.layout.names if fnmatchcase(n, self.part)]
        masks = [replica.parts.entries(name) for name in names]
        norms = torch.stack([torch.linalg.vector_norm(replica.flat[m].double()) for m in masks])
        limit = (self.times * norms.median())[None].to(replica.flat)
        return torch.cat([limit, masks[int(norms.argmax())].to(replica.flat)])

    def hold(
        self, before: Rows, after: Rows, strength: Tensor, target: Tensor, place: Place
    ) -> Rows:
        """That channel's writing weights, not larger than the limit; all else as it is."""
        limit, written = target[:, :1], target[:, 1:] > 0
        norm = torch.linalg.vector_norm(torch.where(written, after, 0.0), dim=1, keepdim=True)
        factor = (limit / norm.clamp(min=1e-30)).clamp(max=1.0)
        return torch.where(written, after * factor**strength, after)
