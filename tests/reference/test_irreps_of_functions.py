"""Irreps of functions and progress measures against slow plain twins, float64 to 1e-10."""

import math

import pytest
import torch
from torch import Tensor

from observatory.maths.answer_logits import answer_power, centred
from observatory.maths.groups import Group, characters, cyclic, dihedral, real_irreps, symmetric
from observatory.maths.irreps import gini, irrep_power, isotypic, key_irreps
from observatory.probes.progress_measures import loss_of_each, progress

GROUPS = [cyclic(7), cyclic(8), dihedral(5), symmetric(4)]


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def plain_power(group: Group, values: Tensor) -> list[float]:
    r"""f' P f of every irrep, $P_{xy} = d \chi(x^{-1} y) / (t n)$ written out."""
    found = []
    for irrep in real_irreps(group)[1:]:
        chi = characters(irrep)
        kind, degree = float(chi.square().mean()), irrep.shape[1]
        total = 0.0
        for x in range(group.order):
            for y in range(group.order):
                between = group.table[group.inverses[x], y]
                total += float(values[x] * values[y] * chi[between])
        found.append(total * degree / (kind * group.order))
    return found


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_power_per_irrep_is_that_of_the_characters(group: Group) -> None:
    values = normal(group.order, seed=1)
    fast = irrep_power(values[:, None], isotypic(group.table))[:, 0]
    slow = plain_power(group, values)
    if group.name == "Z8":  # frequencies in order: the irrep of degree 1 is the last
        slow = [*slow[1:], slow[0]]
    torch.testing.assert_close(
        fast, torch.tensor(slow, dtype=torch.float64), rtol=1e-10, atol=1e-10
    )
    whole = fast.sum() + values.sum() ** 2 / group.order
    torch.testing.assert_close(whole, values.square().sum(), rtol=1e-10, atol=1e-10)


def test_frequencies_are_those_of_the_fourier_transform() -> None:
    values = normal(9, 3, seed=2)
    transform = torch.fft.rfft(values, dim=0)[1:]
    slow = 2 * (transform.real.square() + transform.imag.square()) / 9
    torch.testing.assert_close(irrep_power(values, isotypic(cyclic(9).table)), slow)


def test_a_relabelling_by_an_automorphism_permutes_frequencies() -> None:
    n, values = 11, normal(11, 2, seed=3)
    renamed = values[(3 * torch.arange(n)) % n]  # f(3 x): frequency k becomes 3 k
    before = irrep_power(values, isotypic(cyclic(n).table)).sum(dim=1)
    after = irrep_power(renamed, isotypic(cyclic(n).table)).sum(dim=1)
    torch.testing.assert_close(after.sort().values, before.sort().values, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gini(after), gini(before), rtol=1e-10, atol=1e-10)


def plain_progress(
    z: Tensor, labels: Tensor, train: Tensor, n: int, keys: list[int]
) -> list[float]:
    """Restricted loss on all pairs and excluded loss on train pairs, by waves over the grid."""
    grid = z.view(n, n, n)  # a, b, class
    a, b = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    part = torch.zeros_like(grid)
    for k in keys:
        for wave in (torch.cos, torch.sin):
            direction = wave(2 * math.pi * k * (a + b).double() / n)
            direction = direction / direction.norm()
            for c in range(n):
                part[:, :, c] += (grid[:, :, c] * direction).sum() * direction
    restricted = (part + grid.mean(dim=(0, 1))).reshape(-1, n)
    excluded = (grid - part).reshape(-1, n)
    loss, rest = 0.0, []
    for i in range(n * n):
        loss -= float(restricted[i].log_softmax(dim=0)[labels[i]]) / (n * n)
        if train[i]:
            rest.append(-float(excluded[i].log_softmax(dim=0)[labels[i]]))
    return [loss, sum(rest) / len(rest)]


def test_restricted_and_excluded_loss_are_those_of_the_waves_on_the_grid() -> None:
    n, keys = 7, [1, 3]
    rng = torch.Generator().manual_seed(4)
    z = centred(3 * normal(n * n, n, seed=5))
    labels = torch.randint(n, (n * n,), generator=rng)
    train = torch.rand(n * n, generator=rng) < 0.5
    parts, answers = isotypic(cyclic(n).table), cyclic(n).table.flatten()
    chosen = torch.tensor([k in keys for k in (1, 2, 3)])
    fast = progress(z, labels, train, answers, parts, chosen)
    restricted, excluded = plain_progress(z, labels, train, n, keys)
    assert fast["restricted_loss"] == pytest.approx(restricted, rel=1e-10)
    assert fast["excluded_loss"] == pytest.approx(excluded, rel=1e-10)
    slow = [plain_progress(z, labels, train, n, [k]) for k in (1, 2, 3)]
    alone = loss_of_each(z, labels, torch.ones_like(train), answers, parts, 10**6, kept=True)
    assert alone.tolist() == pytest.approx([restricted for restricted, _ in slow], rel=1e-10)
    without = loss_of_each(z, labels, train, answers, parts, 10**6, kept=False)
    assert without.tolist() == pytest.approx([excluded for _, excluded in slow], rel=1e-10)


def test_a_shift_of_all_logits_of_a_pair_changes_nothing() -> None:
    n = 7
    logits, shift = normal(n * n, n, seed=6), normal(n * n, 1, seed=7)
    parts, answers = isotypic(cyclic(n).table), cyclic(n).table.flatten()
    labels, train = answers, torch.arange(n * n) % 2 == 0
    z, shifted = centred(logits), centred(logits + shift)
    keys = key_irreps(answer_power(z, answers, parts), 0.7)
    one = progress(z, labels, train, answers, parts, keys)
    other = progress(shifted, labels, train, answers, parts, keys)
    assert other == pytest.approx(one, rel=1e-10, abs=1e-12)
