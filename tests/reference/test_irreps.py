"""Numerical real irreps against what is known: degrees, characters, Fourier modes, permutations."""

import math
from itertools import permutations, product

import pytest
import torch

from observatory.maths.groups import (
    Group,
    alternating,
    characters,
    check_irreps,
    conjugacy_classes,
    cyclic,
    dihedral,
    group_of,
    real_irreps,
    symmetric,
)
from observatory.maths.groups import product as direct_product

TOLERANCE = 1e-9  # float64 rounding of an eigenbasis of at most 200 vectors is near 1e-13


def quaternions() -> Group:
    """1, i, j, k and their negatives: the smallest group with a quaternionic irrep."""
    units = [(s, axis) for s in (1, -1) for axis in range(4)]
    signs = {(1, 2): 1, (2, 3): 1, (3, 1): 1, (2, 1): -1, (3, 2): -1, (1, 3): -1}

    def times(x: tuple[int, int], y: tuple[int, int]) -> tuple[int, int]:
        (s, a), (t, b) = x, y
        if 0 in (a, b):
            return s * t, a + b
        return (-s * t, 0) if a == b else (s * t * signs[a, b], 6 - a - b)

    return group_of("Q8", torch.tensor([[units.index(times(x, y)) for y in units] for x in units]))


KNOWN = [
    (symmetric(3), [1, 1, 2]),
    (symmetric(4), [1, 1, 2, 3, 3]),
    (symmetric(5), [1, 1, 4, 4, 5, 5, 6]),
    (alternating(4), [1, 2, 3]),  # the two complex characters of degree 1 make one real plane
    (alternating(5), [1, 3, 3, 4, 5]),
    (quaternions(), [1, 1, 1, 1, 4]),
    (direct_product([cyclic(4), cyclic(7)]), [1, 1, *[2] * 13]),
    (direct_product([cyclic(2)] * 3), [1] * 8),
    *((cyclic(n), [1] * (2 - n % 2) + [2] * ((n - 1) // 2)) for n in (2, 7, 12, 97)),
    *((dihedral(n), [1] * (4 - 2 * (n % 2)) + [2] * ((n - 1) // 2)) for n in (3, 4, 11, 12)),
]
parametrize_known = pytest.mark.parametrize(
    ("group", "degrees"), KNOWN, ids=lambda value: getattr(value, "name", "")
)


@parametrize_known
def test_degrees_are_the_known_ones(group, degrees) -> None:
    irreps = real_irreps(group)
    assert [irrep.shape[1] for irrep in irreps] == degrees
    assert all(irrep.dtype == torch.float64 for irrep in irreps)
    assert float((irreps[0] - 1).abs().max()) < TOLERANCE  # the trivial one comes first


@parametrize_known
def test_each_is_an_orthogonal_homomorphism_constant_in_character_on_classes(
    group, degrees
) -> None:
    classes = conjugacy_classes(group)
    some = range(0, group.order, 1 + group.order // 12)
    for irrep, degree in zip(real_irreps(group), degrees, strict=True):
        for x, y in product(some, some):
            off = irrep[x] @ irrep[y] - irrep[int(group.table[x, y])]
            assert float(off.abs().max()) < TOLERANCE
            assert float((irrep[x] @ irrep[x].T - torch.eye(degree)).abs().max()) < TOLERANCE
        traces = characters(irrep)
        for label in classes.unique():
            same = traces[classes == label]
            assert float(same.max() - same.min()) < TOLERANCE


@parametrize_known
def test_matrix_entries_span_every_function_of_real_and_are_orthogonal(group, degrees) -> None:
    """Peter-Weyl: entries of inequivalent irreps are orthogonal, together of full rank."""
    entries = [irrep.flatten(start_dim=1) for irrep in real_irreps(group)]
    for i, one in enumerate(entries):
        for other in entries[:i]:
            assert float((one.T @ other).abs().max()) < TOLERANCE * group.order
    assert int(torch.linalg.matrix_rank(torch.cat(entries, dim=1))) == group.order


@pytest.mark.parametrize("n", [7, 12, 97])
def test_of_a_cyclic_group_they_are_the_fourier_modes_in_order(n) -> None:
    steps = torch.arange(n, dtype=torch.float64)
    planes = [irrep for irrep in real_irreps(cyclic(n)) if irrep.shape[1] == 2]
    for frequency, plane in enumerate(planes, start=1):
        expected = 2 * torch.cos(2 * math.pi * frequency * steps / n)
        assert float((characters(plane) - expected).abs().max()) < TOLERANCE


def test_of_a_dihedral_group_they_are_rotations_and_mirrors() -> None:
    n = 11
    steps = torch.arange(n, dtype=torch.float64)
    for frequency, plane in enumerate(real_irreps(dihedral(n))[2:], start=1):
        turns = 2 * torch.cos(2 * math.pi * frequency * steps / n)
        expected = torch.cat([turns, torch.zeros(n, dtype=torch.float64)])
        assert float((characters(plane) - expected).abs().max()) < TOLERANCE


def test_of_s5_they_hold_the_sign_and_the_fixed_points() -> None:
    images = torch.tensor(list(permutations(range(5))))
    matrices = torch.nn.functional.one_hot(images, 5).double()
    known = [
        torch.linalg.det(matrices),  # the sign
        characters(matrices) - 1,  # the standard one: fixed points less the trivial one
        (characters(matrices) - 1) * torch.linalg.det(matrices),
    ]
    traces = torch.stack([characters(irrep) for irrep in real_irreps(symmetric(5))])
    for expected in known:
        off = (traces - expected).abs().amax(dim=1)
        assert int((off < TOLERANCE).sum()) == 1


def test_irreps_of_the_same_group_are_always_the_same() -> None:
    for one, other in zip(real_irreps(symmetric(4)), real_irreps(symmetric(4)), strict=True):
        assert torch.equal(one, other)


def test_wrong_irreps_are_found() -> None:
    group = symmetric(4)
    irreps = real_irreps(group)
    check_irreps(group, irreps)
    with pytest.raises(ArithmeticError, match="order"):
        check_irreps(group, irreps[:-1])  # one is missing
    with pytest.raises(ArithmeticError, match="character products"):
        check_irreps(group, [*irreps, irreps[2]])  # one is there twice
    with pytest.raises(ArithmeticError, match=r"rho\(xy\)"):
        check_irreps(group, [*irreps[:-1], irreps[-1].flip(0)])  # no homomorphism
    skew = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
    tilted = skew @ irreps[2] @ skew.inverse()  # an equivalent one, not orthogonal
    with pytest.raises(ArithmeticError, match=r"rho\(x\)\^T"):
        check_irreps(group, [tilted])
    reducible = torch.block_diag(*[torch.ones(1, 1, dtype=torch.float64)] * 3)
    with pytest.raises(ArithmeticError, match="types of irreps"):
        check_irreps(group, [reducible.expand(24, 3, 3)])
