"""What OrthoGrad takes from a gradient and what it leaves."""

import torch

from observatory.core.layout import Layout
from observatory.optimizers.orthograd import orthogonal_gradients

ROW = Layout(
    ("W", "gain", "b"),
    (torch.Size([3, 4]), torch.Size([1]), torch.Size([5])),
    ("hidden", "pointwise", "pointwise"),
)
SIZE = sum(ROW.sizes)


def drawn(seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(3, SIZE, dtype=torch.float64, generator=rng)


def test_each_weight_s_gradient_is_across_it_and_as_long_as_before() -> None:
    w, g = drawn(0), drawn(1)
    h = orthogonal_gradients(w, g, ROW, 1e-30)
    for name in ("W", "b"):
        ours, theirs, weight = (ROW.views(x)[name].flatten(1) for x in (h, g, w))
        assert (ours * weight).sum(dim=1).abs().max() < 1e-14
        assert (ours.norm(dim=1) - theirs.norm(dim=1)).abs().max() < 1e-14
    # The row as a whole is left with no component either, though the projection is per weight.
    assert (h * w).sum(dim=1).ne(0).all()  # but for the gain, which is not projected
    assert torch.equal(ROW.views(h)["gain"], ROW.views(g)["gain"])


def test_zero_weights_keep_their_gradient_and_zero_gradients_stay() -> None:
    g = drawn(1)
    assert (orthogonal_gradients(torch.zeros_like(g), g, ROW, 1e-30) - g).abs().max() < 1e-15
    assert (orthogonal_gradients(g, torch.zeros_like(g), ROW, 1e-30) == 0).all()


def test_a_network_in_float32_is_projected_as_well() -> None:
    w, g = drawn(0), drawn(1)
    single = orthogonal_gradients(w.float(), g.float(), ROW, 1e-30)
    # A handful of float32 roundings of numbers near 1.
    assert (single - orthogonal_gradients(w, g, ROW, 1e-30)).abs().max() < 1e-5
