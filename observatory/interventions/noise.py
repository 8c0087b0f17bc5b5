"""The control that an act needs: a change as large, in the same entries, in a random direction."""

from typing import final

import torch

from observatory.core.errors import ConfigError
from observatory.interventions.contract import Act, Acted, Intervention


@final
class Noise(Act):
    """Normal noise where another act changes something, as long as its change of each weight.

    What the other does to the optimizer's state is done too: only the direction differs.

    Args:
        like: The other act.
    """

    def __init__(self, *, like: Intervention) -> None:
        if not isinstance(like, Act):
            raise ConfigError(
                f"`like` must be an act, done once, as Reinitialise, got {type(like).__name__}."
            )
        self.like, self.part, self.strongest = like, like.part, like.strongest
        self.donor, self.since = like.donor, like.since

    def act(self, replica: Acted, strength: float) -> None:
        """Act as the other, then turn the change of every weight to a random direction."""
        before = replica.flat.clone()
        self.like.act(replica, strength)
        change = (replica.flat - before)[None]
        noise = torch.empty_like(change).normal_(generator=replica.rng) * (change != 0)
        views = replica.parts.layout.views
        for moved, turned in zip(views(change).values(), views(noise).values(), strict=True):
            long = torch.linalg.vector_norm(turned).clamp(min=1e-30)
            turned.mul_(torch.linalg.vector_norm(moved) / long)
        replica.flat.copy_(before + noise[0])
