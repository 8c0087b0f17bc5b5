from itertools import permutations

import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.maths.groups import (
    alternating,
    conjugacy_classes,
    cyclic,
    dihedral,
    product,
    symmetric,
    verify,
)

GROUPS = [
    cyclic(1), cyclic(7), cyclic(12), dihedral(3), dihedral(12), symmetric(3), symmetric(4),
    symmetric(5), alternating(3), alternating(4), alternating(5), product([cyclic(4), cyclic(7)]),
    product([cyclic(2), cyclic(2), cyclic(9)]), product([symmetric(3), cyclic(4)]),
]  # fmt: skip


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_group_laws_element_by_element(group) -> None:
    table, inverses = group.table.tolist(), group.inverses.tolist()
    elements = range(group.order)
    assert all(table[group.identity][x] == x == table[x][group.identity] for x in elements)
    assert all(table[x][inverses[x]] == group.identity for x in elements)
    some = range(0, group.order, 1 + group.order // 25)
    assert all(
        table[table[x][y]][z] == table[x][table[y][z]] for x in some for y in some for z in some
    )


def test_orders_and_commutativity() -> None:
    orders = {group.name: group.order for group in GROUPS}
    assert orders["S5"] == 120
    assert orders["A5"] == 60
    assert orders["A4"] == 12
    assert orders["D12"] == 24
    assert orders["Z4 x Z7"] == 28
    commuting = {group.name for group in GROUPS if torch.equal(group.table, group.table.T)}
    assert commuting == {"Z1", "Z7", "Z12", "A3", "Z4 x Z7", "Z2 x Z2 x Z9"}


def test_products_of_coprime_cycles_are_cycles() -> None:
    group = product([cyclic(4), cyclic(7)])
    power, powers = group.identity, []
    for _ in range(28):
        power = int(group.table[power, 8])  # element (1, 1)
        powers.append(power)
    assert sorted(powers) == list(range(28))


def test_dihedral_elements_move_the_corners_of_a_polygon() -> None:
    n = 5

    def corner(element: int, i: int) -> int:
        return (element + i) % n if element < n else (element - n - i) % n  # s: i -> -i, then r^k

    group = dihedral(n)
    for x in range(2 * n):
        for y in range(2 * n):
            moved = [corner(x, corner(y, i)) for i in range(n)]
            assert moved == [corner(int(group.table[x, y]), i) for i in range(n)]


def test_permutations_compose_from_the_right() -> None:
    elements = list(permutations(range(4)))
    table = symmetric(4).table
    for x in (1, 9, 23):
        for y in (2, 8, 17):
            composed = tuple(elements[x][elements[y][i]] for i in range(4))
            assert elements[int(table[x, y])] == composed


@pytest.mark.parametrize(
    ("group", "sizes"),
    [
        (symmetric(4), [1, 3, 6, 6, 8]),
        (symmetric(5), [1, 10, 15, 20, 20, 24, 30]),
        (alternating(5), [1, 12, 12, 15, 20]),
        (dihedral(5), [1, 2, 2, 5]),
        (cyclic(6), [1] * 6),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_conjugacy_classes(group, sizes) -> None:
    classes = conjugacy_classes(group)
    assert sorted(classes.bincount().tolist()) == sizes
    for x in range(0, group.order, 7):
        g = group.order // 2
        conjugate = group.table[group.table[g, x], group.inverses[g]]
        assert classes[conjugate] == classes[x]


def test_a_planted_error_is_found_whatever_law_it_breaks() -> None:
    table = symmetric(4).table.clone()
    x, y = 5, 7
    table[x, y] = (table[x, y] + 1) % 24
    with pytest.raises(ConfigError, match=r"must be associative, got \(\d+ \* \d+\) \* \d+ = "):
        verify(table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[0, 1, 2], [1, 2, 0]], r"must be square, got shape \[2, 3\]"),
        ([], r"must be square, got shape \[0\]"),
        ([[0, 1], [1, 2]], r"must hold elements 0\.\.1, got 1 \* 1 = 2"),
        ([[1, 0], [0, 0]], "must have an identity, got none"),
        ([[0, 1, 2], [0, 1, 2], [0, 1, 2]], "must have an identity, got none"),  # left ones only
        ([[0, 1], [1, 1]], r"must have inverses, got elements \[1\] with none"),
        # A loop of order 5: identity, inverses and cancellation, but (1 1) 2 = 2 and 1 (1 2) = 4.
        (
            [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]],
            r"must be associative, got \(1 \* 1\) \* 2 = 2 but 1 \* \(1 \* 2\) = 4",
        ),
    ],
)
def test_tables_that_are_no_groups_are_refused(table, message) -> None:
    with pytest.raises(ConfigError, match=message):
        verify(torch.tensor(table, dtype=torch.int64))


@pytest.mark.parametrize(
    "make", [lambda: cyclic(0), lambda: dihedral(2), lambda: symmetric(6), lambda: product([])]
)
def test_sizes_are_checked(make) -> None:
    with pytest.raises(ConfigError, match="must be"):
        make()
