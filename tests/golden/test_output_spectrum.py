"""Spectra of labels and of logits, and their distance.

| quantity | tolerance, why | source |
|---|---|---|
| spectrum of addition's labels: p^2 on (k, k), else 0 | 1e-9: a sum of p^3 terms | closed form |
| Wasserstein distance of two spectra | 1e-12: float64 | scipy, arXiv:2410.05050 |
"""

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from observatory.maths.pairs.order import as_table, logarithms
from observatory.probes.output_spectrum import distance, spectrum

P = 7


def answered(operation: str) -> tuple[Tensor, Tensor, Tensor]:
    """Operands, right answers as elements, and the table of their group."""
    n = P - 1 if operation == "mul" else P
    low = P - n
    pairs = torch.cartesian_prod(torch.arange(low, P), torch.arange(low, P))
    a, b = pairs.T
    right = {"add": a + b, "sub": a - b, "mul": a * b}[operation] % P - low
    i = torch.arange(n)
    product = (i[:, None] + 1) * (i + 1) % P - 1 if operation == "mul" else (i[:, None] + i) % P
    return pairs, right, product


@pytest.mark.parametrize("operation", ["add", "sub", "mul"])
def test_labels_have_all_joint_frequencies_alike_and_no_others(operation: str) -> None:
    pairs, right, table = answered(operation)
    order = logarithms(table)
    assert order is not None
    n = len(table)
    shuffled = torch.randperm(n * n, generator=torch.Generator().manual_seed(0))
    labels = torch.nn.functional.one_hot(right, n).double()
    z = as_table(labels[shuffled], pairs[shuffled], right[shuffled], order)
    whole, both = spectrum(z)
    assert len(whole) == (n - 1) // 2
    assert (both - n * n).abs().max() < 1e-9
    assert (whole - both).abs().max() < 1e-9
    assert distance(whole, torch.ones(len(whole))) < 1e-12


def test_a_function_of_one_operand_has_no_joint_frequency() -> None:
    turns = 2 * torch.pi / P * torch.arange(P, dtype=torch.float64)
    z = (2 * turns).cos()[:, None, None].expand(P, P, 1)
    whole, both = spectrum(z)
    assert whole.tolist() == pytest.approx([0.0, P * P / 2, 0.0], abs=1e-9)
    assert both.abs().max() < 1e-9


def test_the_distance_of_two_spectra() -> None:
    one, other = torch.tensor([3.0, 1.0, 0.5]), torch.ones(3)
    assert distance(one, other) == pytest.approx(0.5555555555555556, abs=1e-12)
    one, other = torch.tensor([1.0, 4.0, 0.0, 2.0]), torch.tensor([0.5, 0.1, 3.0, 3.0])
    wanted = wasserstein_distance(range(4), range(4), one.numpy(), other.numpy())
    assert distance(one, other) == pytest.approx(wanted, abs=1e-7)  # float32 weights


def test_a_group_that_is_not_cyclic_has_no_order() -> None:
    i = torch.arange(4)
    assert logarithms(i[:, None] ^ i) is None
