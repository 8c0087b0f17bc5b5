import pytest
import torch

from observatory.probes.lar import lar


def test_one_shared_direction_is_alignment_one():
    read, weight = torch.zeros(1, 6, 4), torch.zeros(1, 4, 3)
    read[..., 1], weight[:, 1] = 2.0, 0.5
    ratio, directions = lar(read.double(), weight.double())
    assert ratio.values.item() == pytest.approx(1, rel=1e-15)
    assert directions.values.item() == pytest.approx(1, rel=1e-15)


def test_an_even_read_is_alignment_one_half():
    weight = torch.randn(1, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ratio, directions = lar(torch.eye(4, dtype=torch.float64)[None], weight)
    assert ratio.values.item() == pytest.approx(0.5, rel=1e-12)
    assert directions.values.item() == pytest.approx(4, rel=1e-12)


def test_zeros_and_orthogonal_reads_are_undefined():
    one, other = torch.tensor([[[1.0, 0.0]]]).double(), torch.tensor([[[0.0], [1.0]]]).double()
    nothing = torch.zeros(1, 2, 1).double()
    for weight in (other, nothing):
        ratio, directions = lar(one, weight)
        assert ratio.defined.tolist() == directions.defined.tolist() == [False]
    assert lar(0 * one, other)[0].defined.tolist() == [False]
