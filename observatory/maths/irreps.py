r"""Functions on a group split by irrep, and how unevenly their power lies over irreps.

A function on a group is a sum of parts, one per real irrep: its isotypic parts. On addition modulo
p they are the constant and the frequencies k = 1..floor(p/2), in this order; on any other group
irreps come in the order of `real_irreps`. The power of a part is the sum of its squares.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.maths.groups import characters, cyclic_table, group_of, real_irreps


@final
@dataclass(frozen=True, eq=False)
class Isotypic:
    """An orthonormal basis of the functions on a group, sorted by irrep, without the constant."""

    basis: Float[Tensor, "element param"]
    owner: Int[Tensor, " param"]  # the irrep of every column, from 0

    @property
    def size(self) -> int:
        """Number of irreps but the trivial one."""
        return int(self.owner.max()) + 1 if len(self.owner) else 0


def isotypic(table: Int[Tensor, "element element"]) -> Isotypic:
    """The basis of a group's table; it is worked out once per table."""
    return _isotypic(tuple(table.flatten().tolist()), len(table))


@lru_cache(maxsize=4)
def _isotypic(entries: tuple[int, ...], n: int) -> Isotypic:
    table = torch.tensor(entries).view(n, n)
    parts = _frequencies(n) if torch.equal(table, cyclic_table(n)) else _parts(table)
    owner = [torch.full((part.shape[1],), k) for k, part in enumerate(parts)]
    empty = torch.zeros(n, 0, dtype=torch.float64)
    return Isotypic(
        torch.cat([empty, *parts], dim=1), torch.cat([torch.zeros(0, dtype=torch.int64), *owner])
    )


def _frequencies(n: int) -> list[Tensor]:
    """Cosine and sine of every frequency, of norm 1; of n / 2 the cosine alone."""
    places = torch.arange(n, dtype=torch.float64)
    parts = []
    for k in range(1, n // 2 + 1):
        angle = 2 * torch.pi * ((k * places) % n) / n
        waves = [angle.cos()] if 2 * k == n else [angle.cos(), angle.sin()]
        part = torch.stack(waves, dim=1)
        parts.append(part / part.norm(dim=0))
    return parts


def _parts(table: Tensor) -> list[Tensor]:
    r"""Of any group: the image of $P_{xy} = d \chi(x^{-1} y) / (t n)$, t the mean square of chi."""
    group = group_of("group of the answers", table)
    between = group.table[group.inverses]
    parts = []
    for irrep in real_irreps(group)[1:]:
        chi = characters(irrep)
        kind = chi.square().mean()
        projector = irrep.shape[1] / (kind * group.order) * chi[between]
        values, vectors = torch.linalg.eigh((projector + projector.mT) / 2)
        parts.append(vectors[:, values > 0.5])
    return parts


def irrep_power(
    functions: Float[Tensor, "*batch element param"], parts: Isotypic
) -> Float[Tensor, "*batch freq param"]:
    r"""Power of every column per irrep, without the constant.

    Over irreps and the constant it adds up to the sum of squares of the column.

    Example:
        >>> angle = 2 * torch.pi * torch.arange(5.0, dtype=torch.float64) / 5
        >>> irrep_power((2 * angle).cos()[:, None], isotypic(cyclic_table(5))).round(decimals=4)
        tensor([[0.0000],
                [2.5000]], dtype=torch.float64)
    """
    basis, owner = parts.basis.to(functions), parts.owner.to(functions.device)
    squares = (basis.mT @ functions).square()
    power = squares.new_zeros(*squares.shape[:-2], parts.size, squares.shape[-1])
    return power.index_add_(-2, owner, squares)


def irrep_part(
    functions: Float[Tensor, "element param"], parts: Isotypic, chosen: Tensor
) -> Float[Tensor, "element param"]:
    """The sum of a function's parts of the chosen irreps, `[freq]` of bool."""
    kept = parts.basis[:, chosen.cpu()[parts.owner]].to(functions)
    return kept @ (kept.mT @ functions)


def gini(powers: Float[Tensor, "*batch freq"]) -> Float[Tensor, "*batch"]:
    r"""Gini coefficient $\sum_i (2 i - n - 1) x_i / (n \sum x)$, x ascending; 0/0 = NaN.

    0 where all are equal, 1 - 1/n where one has all.

    Example:
        >>> gini(torch.tensor([0.0, 0.0, 0.0, 2.0]))
        tensor(0.7500)
    """
    ascending, n = powers.sort(dim=-1).values, powers.shape[-1]
    ranks = torch.arange(1, n + 1, device=powers.device, dtype=powers.dtype)
    return ((2 * ranks - n - 1) * ascending).sum(dim=-1) / (n * ascending.sum(dim=-1))


def inverse_participation(powers: Float[Tensor, "*batch freq"]) -> Float[Tensor, "*batch"]:
    r"""$\sum x^2 / (\sum x)^2$: 1/n where all are equal, 1 where one has all; 0/0 = NaN."""
    return powers.square().sum(dim=-1) / powers.sum(dim=-1).square()


def key_irreps(powers: Float[Tensor, " freq"], share: float) -> Tensor:
    """The fewest irreps that together hold a share of the power, largest first; none of no power.

    Example:
        >>> key_irreps(torch.tensor([1.0, 8.0, 0.5, 0.5]), 0.9)
        tensor([ True,  True, False, False])
    """
    order = powers.argsort(descending=True, stable=True)
    held = powers[order].cumsum(dim=0) - powers[order]
    total = powers.sum()
    keys = torch.zeros_like(powers, dtype=torch.bool)
    keys[order] = (held < share * total) & (powers[order] > 0)
    return keys
