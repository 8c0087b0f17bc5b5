"""`standardise` against torch's layer norm without gain and bias, forward and gradient."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from observatory.maths.standardise import standardise


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, in units of the larger of 1 and the largest entry."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(5, 32), (2, 3, 8), (1, 1, 4, 3)])
@pytest.mark.parametrize("seed", [0, 1])
def test_is_layer_norm(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    x, slope = (3 * torch.randn(2, *shape, generator=rng, dtype=dtype) + 1).unbind()
    tolerance = 100 * torch.finfo(dtype).eps  # roundings of a few sums of up to 32 terms
    outcomes = []
    for function in (standardise, lambda leaf: F.layer_norm(leaf, leaf.shape[-1:])):
        leaf = x.clone().requires_grad_()
        y = function(leaf)
        outcomes.append((y.detach(), *torch.autograd.grad(y, leaf, slope)))
        assert torch.equal(leaf.detach(), x)
    for ours, theirs in zip(*outcomes, strict=True):
        assert distance(ours, theirs) < tolerance


def test_a_row_that_is_not_finite_spoils_no_other() -> None:
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    expected = standardise(x)
    x[1, 2] = torch.inf
    broken = standardise(x)
    assert torch.equal(broken[[0, 2]], expected[[0, 2]])
    assert broken[1].isnan().all()
