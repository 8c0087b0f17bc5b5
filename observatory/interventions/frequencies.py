r"""Some Fourier frequencies of the embedding are taken away, or kept alone, after every step.

Letters: p symbols 0..p-1, k a frequency of 1..floor(p/2), as of `maths.fourier.token_power`.
"""

from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.contracts import Rows
from observatory.core.errors import ConfigError
from observatory.core.settings import Size, check_arguments
from observatory.interventions.contract import Acted, Hold, Place
from observatory.interventions.parts import PartNames, check_symbols
from observatory.maths.fourier import token_power


def projector(k: Int[Tensor, " freq"], p: int) -> Float[Tensor, "p p"]:
    """The projector on functions of these frequencies, orthogonal, float64.

    Args:
        k: Frequencies, each once.
        p: Number of symbols.

    Example:
        >>> q = projector(torch.tensor([1, 2]), 5)
        >>> float(q.trace().round()), bool(torch.allclose(q @ q, q))
        (4.0, True)
    """
    symbols = torch.arange(p, dtype=torch.float64)
    turns = 2 * torch.pi * (symbols[:, None] - symbols) / p
    shares = torch.where(2 * k == p, 1.0, 2.0).double() / p  # of p/2 the sine is zero
    return (shares[:, None, None] * (k[:, None, None] * turns).cos()).sum(dim=0)


@final
class Frequencies(Hold):
    """The embedding loses or keeps some frequencies; a replica's own strongest at the moment.

    A frequency's strength is its share of the power of all columns (arXiv:2301.05217 names them key
    frequencies). The rows of symbols are projected after every step, so that they do not return;
    the constant and the row of a query token stay. For tasks that add or subtract residues.

    Args:
        part: The embedding, such as "W_E".
        most: How many frequencies.
        which: "strongest"; or "others": drawn among those that are not, the control.
        keep: Whether all frequencies but these are taken away, in place of these.
    """

    def __init__(
        self, *, part: str, most: Size, which: Literal["strongest", "others"], keep: bool
    ) -> None:
        check_arguments(Frequencies, part=part, most=most, which=which, keep=keep)
        self.part, self.most, self.which, self.keep = part, most, which, keep

    def check(self, parts: PartNames, modulus: int | None) -> None:
        """The task must add residues, of which there are enough, and the part embed them."""
        super().check(parts, modulus)
        check_symbols(self.part, parts, modulus)
        assert modulus is not None  # as was checked
        most = modulus // 2 if self.which == "strongest" else modulus // 4
        if self.most > most:
            raise ConfigError(f"`most` must be at most {most} here, got {self.most}.")

    def target(self, replica: Acted) -> Tensor:
        """The projector on what is taken away, flat, `[p p]`."""
        p = replica.modulus
        assert p is not None  # as `check` says
        table = replica.parts.layout.views(replica.flat[None])[self.part][0, :p]
        order = token_power(table.double()).sum(dim=-1).argsort(descending=True) + 1
        chosen = order[: self.most]
        if self.which == "others":
            others = order[self.most :]
            drawn = torch.randperm(len(others), generator=replica.rng)
            chosen = others[drawn[: self.most]]
        away = order[~torch.isin(order, chosen)] if self.keep else chosen
        return projector(away, p).flatten().to(replica.flat)

    def hold(
        self, before: Rows, after: Rows, strength: Tensor, target: Tensor, place: Place
    ) -> Rows:
        """The embedding without them, all else as it is."""
        p = round(target.shape[1] ** 0.5)
        after = after.clone()
        table = place.layout.views(after)[self.part][:, :p]
        for rows, away, share in zip(table, target.unflatten(1, (p, p)), strength, strict=True):
            rows -= share * (away @ rows)
        return after
