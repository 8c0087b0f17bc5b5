"""Finite groups as Cayley tables, their conjugacy classes and their real irreps.

Elements are 0..n-1 and x times y is `table[x, y]`. Every table is verified, ours included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator


@final
@dataclass(frozen=True, eq=False)
class Group:
    """A verified finite group; made by `group_of`."""

    name: str  # such as "Z4 x Z7"
    table: Int[Tensor, "element element"]  # x times y
    identity: int  # the element that changes nothing
    inverses: Int[Tensor, " element"]  # of every element

    @property
    def order(self) -> int:
        """Number of elements."""
        return len(self.table)


def check_closed(table: Int[Tensor, "..."]) -> None:
    """Check that a table is square and holds its own elements only.

    Raises:
        ConfigError: If it is not; it names the elements.
    """
    if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) == 0:
        raise ConfigError(
            f"`table` must be square, got shape {list(table.shape)}. Give one row and one column "
            "for every element."
        )
    n = len(table)
    outside = ((table < 0) | (table >= n)).nonzero().tolist()
    if outside:
        x, y = outside[0]
        raise ConfigError(
            f"`table` must hold elements 0..{n - 1}, got {x} * {y} = {int(table[x, y])}. "
            "Number the elements from 0."
        )


def verify(table: Int[Tensor, "..."]) -> tuple[int, Int[Tensor, " element"]]:
    """The identity and all inverses of a table that is a group's; all triples are looked at.

    Raises:
        ConfigError: If a group law is broken; it names the elements that break it.

    Example:
        >>> verify(torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]]))
        (0, tensor([0, 2, 1]))
    """
    check_closed(table)
    n = len(table)
    elements = torch.arange(n)
    same = table == elements
    neutral = (same & (table == elements[:, None]).T).all(dim=1).nonzero()
    if not len(neutral):
        raise ConfigError(
            f"`table` must have an identity, got none: no row and column repeat 0..{n - 1}. {_ELSE}"
        )
    identity = int(neutral[0])
    hits = table == identity
    undone = hits & hits.T
    stuck = (~undone.any(dim=1)).nonzero().flatten().tolist()
    if stuck:
        raise ConfigError(
            f"`table` must have inverses, got elements {stuck} with none (the identity is "
            f"{identity}). {_ELSE}"
        )
    for y in range(n):  # one middle element at a time: n^2 numbers in memory, not n^3
        differs = (table[table[:, y]] != table[:, table[y]]).nonzero().tolist()
        if differs:
            x, z = differs[0]
            left, right = int(table[table[x, y], z]), int(table[x, table[y, z]])
            raise ConfigError(
                f"`table` must be associative, got ({x} * {y}) * {z} = {left} but "
                f"{x} * ({y} * {z}) = {right}. {_ELSE}"
            )
    return identity, undone.int().argmax(dim=1)


_ELSE = "Correct the table; one that is no group's can be a task that claims none (`group: false`)."


def group_of(name: str, table: Int[Tensor, "..."]) -> Group:
    """The group of a table.

    Raises:
        ConfigError: If a group law is broken.
    """
    identity, inverses = verify(table)
    return Group(name, table, identity, inverses)


def cyclic(n: int) -> Group:
    """Addition modulo n."""
    _check_size("n", n, 1, None)
    return group_of(f"Z{n}", cyclic_table(n))


def cyclic_table(n: int) -> Int[Tensor, "element element"]:
    """Its table alone."""
    elements = torch.arange(n)
    return (elements[:, None] + elements) % n


def product(groups: Sequence[Group]) -> Group:
    """Direct product; the last factor counts fastest: (g, h) is element g |H| + h.

    Example:
        >>> product([cyclic(4), cyclic(7)]).name
        'Z4 x Z7'
    """
    _check_size("len(groups)", len(groups), 1, None)
    table = torch.zeros(1, 1, dtype=torch.int64)
    for group in groups:
        pairs = table[:, None, :, None] * group.order + group.table[:, None]
        table = pairs.reshape(2 * [len(table) * group.order])
    return group_of(" x ".join(group.name for group in groups), table)


def dihedral(n: int) -> Group:
    """The 2n symmetries of a regular n-gon: r^k is element k, the reflection r^k s is n + k."""
    _check_size("n", n, 3, None)
    elements = torch.arange(2 * n)
    turn, flip = elements % n, elements // n
    turns = turn[:, None] + torch.where(flip[:, None] == 1, -turn, turn)  # s r = r^-1 s
    return group_of(f"D{n}", turns % n + n * ((flip[:, None] + flip) % 2))


def symmetric(n: int) -> Group:
    """All permutations of n things in lexicographic order; xy applies y first."""
    _check_size("n", n, 3, 5)
    return _permutation_group(f"S{n}", torch.tensor(list(permutations(range(n)))))


def alternating(n: int) -> Group:
    """The even permutations of n things in lexicographic order; xy applies y first."""
    _check_size("n", n, 3, 5)
    all_of_them = torch.tensor(list(permutations(range(n))))
    i, j = torch.triu_indices(n, n, offset=1)
    inversions = (all_of_them[:, i] > all_of_them[:, j]).sum(dim=1)
    return _permutation_group(f"A{n}", all_of_them[inversions % 2 == 0])


def conjugacy_classes(group: Group) -> Int[Tensor, " element"]:
    """The class of every element, numbered by smallest member; x and g x g^-1 share theirs.

    Example:
        >>> conjugacy_classes(dihedral(3))  # the identity, two turns, three reflections
        tensor([0, 1, 1, 2, 2, 2])
    """
    conjugates = group.table[group.table, group.inverses[:, None]]
    return conjugates.amin(dim=0).unique(return_inverse=True)[1]


def real_irreps(group: Group) -> list[Float[Tensor, "element degree degree"]]:
    r"""Every irreducible real representation once, as orthogonal matrices, float64.

    Ordered by degree, then by characters, larger ones first, element by element: the trivial one
    comes first, and of Z_n frequency 1 before 2. A complex pair is one real irrep of twice its
    degree. Bases within an irrep are arbitrary: use what no change of basis changes.

    A random self-adjoint element of the commutant of the regular representation is diagonalised:
    $H_{xy} = c(x^{-1} y)$ with $c(g) = c(g^{-1})$ commutes with every left multiplication, and for
    almost every c each of its eigenspaces carries one irrep.

    Raises:
        ArithmeticError: If the result fails `check_irreps`.

    Example:
        >>> [irrep.shape[1] for irrep in real_irreps(symmetric(4))]
        [1, 1, 2, 3, 3]
    """
    draws = torch.randn(group.order, dtype=torch.float64, generator=named_generator(0, "irreps"))
    even = draws + draws[group.inverses]
    values, vectors = torch.linalg.eigh(even[group.table[group.inverses]])
    borders = (values.diff() > 1e-8 * values.abs().max()).nonzero().flatten() + 1
    found: list[Tensor] = []
    for basis in vectors.tensor_split(borders, dim=1):
        irrep = torch.einsum("gxi,xj->gij", basis[group.table], basis)
        if all(characters(irrep) @ characters(other) < 0.5 * group.order for other in found):
            found.append(irrep)
    found.sort(key=lambda irrep: (irrep.shape[1], (-characters(irrep)).round(decimals=6).tolist()))
    check_irreps(group, found)
    return found


def characters(irrep: Float[Tensor, "element degree degree"]) -> Float[Tensor, " element"]:
    """The trace of every matrix.

    The mean product of two over the group is 0 for inequivalent real irreps, and of one with
    itself 1, 2 or 4: its type is real, complex or quaternionic.
    """
    return irrep.diagonal(dim1=1, dim2=2).sum(dim=1)


def check_irreps(group: Group, irreps: Sequence[Float[Tensor, "element _ _"]]) -> None:
    """Check that these are all real irreps of the group, once each and orthogonal.

    Raises:
        ArithmeticError: If a product, a transpose or a sum is off by more than 1e-9.
    """
    for irrep in irreps:
        products = torch.einsum("xij,yjk->xyik", irrep, irrep)
        _check_zero("rho(x) rho(y) - rho(xy)", products - irrep[group.table])
        _check_zero("rho(x^-1) - rho(x)^T", irrep[group.inverses] - irrep.mT)
    traces = torch.stack([characters(irrep) for irrep in irreps])
    gram = traces @ traces.mT / group.order
    types = gram.diagonal().round()
    _check_zero("character products", gram - types.diag())
    if not set(types.tolist()) <= {1.0, 2.0, 4.0}:
        raise ArithmeticError(f"types of irreps must be 1, 2 or 4, got {types.tolist()}.")
    degrees = torch.tensor([irrep.shape[1] for irrep in irreps])
    _check_zero("sum of d^2 / type - order", (degrees**2 / types).sum() - group.order)


def _check_zero(what: str, residual: Tensor) -> None:
    worst = float(residual.abs().max())
    if not worst < 1e-9:
        raise ArithmeticError(f"{what} must vanish to 1e-9, got {worst:.1e}.")


def _permutation_group(name: str, images: Int[Tensor, "element pos"]) -> Group:
    """The group of permutations given by their images, in lexicographic order."""
    n = images.shape[1]
    digits = n ** torch.arange(n).flip(0)  # read as a number, the images are sorted
    return group_of(name, torch.searchsorted(images @ digits, images[:, images] @ digits))


def _check_size(name: str, size: int, least: int, most: int | None) -> None:
    if size < least or (most is not None and size > most):
        rule = f"at least {least}" if most is None else f"in {least}..{most}"
        advice = (
            "Choose a larger one."
            if size < least
            else "The next one is larger than any table here is checked for."
        )
        raise ConfigError(f"`{name}` must be {rule}, got {size}. {advice}")
