import math

import pytest
import torch

from observatory.core.contracts import Masked
from observatory.maths.class_ratio import class_scatter
from observatory.probes.representation import head_tail, spectral_shape


def test_equal_points_have_no_shape():
    points = torch.zeros(2, 6, 4, dtype=torch.float64)
    points[1] = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for name, entry in spectral_shape(points).items():
        if entry is not None:
            assert entry.defined.tolist() == [False, True], name


def test_one_direction_is_rank_one():
    line = torch.arange(8.0, dtype=torch.float64)[None, :, None] * torch.ones(3)
    shape = {
        name: entry.values.item() for name, entry in spectral_shape(line).items() if entry
    }  # rank 3: there is no head of 3
    assert shape["spectral_entropy"] == pytest.approx(0, abs=1e-12)
    assert shape["effective_rank"] == pytest.approx(1, rel=1e-12)
    assert shape["participation_ratio"] == pytest.approx(1, rel=1e-12)
    assert shape.keys() == {"spectral_entropy", "effective_rank", "participation_ratio"}


@pytest.mark.parametrize(("n", "d"), [(1, 5), (2, 5), (5, 1)])
def test_what_the_sizes_rule_out_is_left_out(n: int, d: int):
    points = torch.randn(1, n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shape = spectral_shape(points)
    assert shape["spectral_entropy"] is None
    assert (shape["effective_rank"] is None) == (n == 1)


def test_head_tail_contrast_is_bounded():
    p = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    assert head_tail(p, 1).item() == pytest.approx(math.log(1e10), rel=1e-9)


def test_a_class_of_one_counts_between_classes_only():
    points = torch.tensor([[[0.0], [2.0], [5.0]]], dtype=torch.float64)
    scatter = class_scatter(points, torch.tensor([[0, 0, 1]]))
    assert scatter.inter.values.item() == 16  # (1 - 5)^2
    assert scatter.intra.values.item() == 1
    alone = class_scatter(points, torch.tensor([[0, 1, 2]]))
    assert alone.inter.defined.tolist() == [True]
    assert alone.intra.defined.tolist() == alone.ratio.defined.tolist() == [False]


def test_one_class_has_nothing_between():
    points = torch.tensor([[[0.0], [2.0]]] * 2, dtype=torch.float64)
    scatter = class_scatter(points, torch.tensor([[3, 3], [0, 1]]))
    assert scatter.inter.defined.tolist() == [False, True]
    assert scatter.intra.defined.tolist() == [True, False]
    assert scatter.ratio.defined.tolist() == [False, False]


def test_points_that_are_all_one_have_no_ratio():
    scatter = class_scatter(torch.zeros(1, 4, 2, dtype=torch.float64), torch.tensor([[0, 0, 1, 1]]))
    assert isinstance(scatter.ratio, Masked)
    assert scatter.ratio.defined.tolist() == [False]
    assert scatter.intra.values.tolist() == [0]
