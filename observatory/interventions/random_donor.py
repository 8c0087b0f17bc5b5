"""The control of a transplant: a donor with weights as large, of random directions."""

from typing import final

import torch

from observatory.core.errors import ConfigError
from observatory.interventions.contract import Act, Acted


@final
class RandomDonor(Act):
    """Entries become normal noise, in every weight of the norm that the donor's entries have.

    What differs from a transplant is the content of the donor's weights alone.

    Args:
        like: The transplant.
    """

    def __init__(self, *, like: Act) -> None:
        if like.donor is None or like.since is not None:
            got = type(like).__name__
            raise ConfigError(
                f"`like` must be an act with a donor's weights, as Transplant, got {got}."
            )
        self.like, self.part, self.donor = like, like.part, like.donor

    def act(self, replica: Acted, strength: float) -> None:
        """As the transplant, from a donor of noise."""
        assert replica.donated is not None
        entries = replica.parts.entries(self.part)
        donated = torch.where(entries, replica.donated.to(replica.flat), 0.0)[None]
        noise = torch.empty_like(donated).normal_(generator=replica.rng) * entries
        views = replica.parts.layout.views
        for theirs, drawn in zip(views(donated).values(), views(noise).values(), strict=True):
            long = torch.linalg.vector_norm(drawn).clamp(min=1e-30)
            drawn.mul_(torch.linalg.vector_norm(theirs) / long)
        replica.move(entries, noise[0], strength)
