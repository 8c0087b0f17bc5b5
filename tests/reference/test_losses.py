"""Losses against the plain formulas of their papers, one example at a time."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from observatory.core.errors import ConfigError
from observatory.losses.cross_entropy import CrossEntropy
from observatory.losses.li2 import Li2
from observatory.losses.mse_one_hot import MseOneHot
from observatory.losses.stablemax import StableMax

BATCH, CLASSES = 7, 5


@pytest.fixture(params=[0, 1])
def drawn(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(request.param)
    logits = 4 * torch.randn(2, BATCH, CLASSES, dtype=torch.float64, generator=rng)
    return logits, torch.randint(CLASSES, (2, BATCH), generator=rng)


def test_stablemax_is_the_paper_s_formula(drawn: tuple[Tensor, Tensor]) -> None:
    logits, labels = drawn
    logits[0, 0] = 0.0  # the seam
    for r in range(2):
        for i in range(BATCH):
            s = [x + 1 if x >= 0 else 1 / (1 - x) for x in logits[r, i].tolist()]
            plain = -math.log(s[int(labels[r, i])] / sum(s))
            assert abs(float(StableMax().each(logits, labels, None)[r, i]) - plain) < 1e-13


def test_stablemax_has_slope_one_at_zero() -> None:
    zero = torch.zeros(1, 1, 3, dtype=torch.float64, requires_grad=True)
    loss = StableMax().each(zero, torch.zeros(1, 1, dtype=torch.int64), None)
    (gradient,) = torch.autograd.grad(loss.sum(), zero)
    third = torch.tensor([[[-2.0, 1.0, 1.0]]], dtype=torch.float64) / 3
    assert (gradient - third).abs().max() < 1e-15


def test_stablemax_goes_on_in_float32_where_the_softmax_has_collapsed() -> None:
    labels = torch.zeros(1, 1, dtype=torch.int64)
    for margin, collapsed in ((10.0, False), (200.0, True)):
        logits = torch.tensor([[[margin, 0.0, -1.0]]], requires_grad=True)
        softmax = CrossEntropy().each(logits, labels, None).sum()
        assert (softmax.item() == 0) is collapsed
        assert (not torch.autograd.grad(softmax, logits)[0].any()) is collapsed
        stable = StableMax().each(logits, labels, None).sum()
        assert stable > 1e-4
        assert (torch.autograd.grad(stable, logits)[0] != 0).all()


def test_stablemax_s_gradient_is_that_of_float64_however_small() -> None:
    """The relative error stays near float32's rounding, 6e-8; loss and gradient shrink by 1e-9."""
    labels = torch.zeros(1, 1, dtype=torch.int64)
    values = []
    for dtype in (torch.float32, torch.float64):
        logits = torch.tensor([[[1e5, -1e4, -1e4]]], dtype=dtype, requires_grad=True)
        loss = StableMax().each(logits, labels, None).sum()
        values.append(torch.cat([loss.view(1), torch.autograd.grad(loss, logits)[0].flatten()]))
    assert ((values[0] - values[1]) / values[1]).abs().max() < 1e-6


def test_mse_is_torch_s_on_one_hot_labels(drawn: tuple[Tensor, Tensor]) -> None:
    logits, labels = drawn
    ours = MseOneHot().each(logits, labels, None)
    for r in range(2):
        one_hot = F.one_hot(labels[r], CLASSES).double()
        assert abs(float(ours[r].mean()) - float(F.mse_loss(logits[r], one_hot))) < 1e-14


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("centre", ["classes", "samples"])
def test_li2_is_a_frobenius_norm_between_projectors(
    drawn: tuple[Tensor, Tensor], centre: str, scale: float
) -> None:
    logits, labels = drawn
    leaf = logits.requires_grad_()
    ours = Li2(centre=centre, scale=scale).each(leaf, labels, None).mean(dim=1)
    (gradient,) = torch.autograd.grad(ours.sum(), leaf)
    size = CLASSES if centre == "classes" else BATCH
    projector = torch.eye(size, dtype=torch.float64) - 1 / size
    for r in range(2):
        residual = logits[r].detach() - F.one_hot(labels[r], CLASSES).double()
        left, right = (residual, projector) if centre == "classes" else (projector, residual)
        centred = left @ right
        assert abs(ours[r].item() - scale / BATCH * float(centred.square().sum())) < 1e-13
        # d/dZ tr(R P R') = 2 R P: the gradient is the centred residual itself.
        assert (gradient[r] - 2 * scale / BATCH * centred).abs().max() < 1e-13


def test_li2_sees_no_shift_of_what_it_centres(drawn: tuple[Tensor, Tensor]) -> None:
    logits, labels = drawn
    shifts = {"classes": torch.randn(2, BATCH, 1), "samples": torch.randn(2, 1, CLASSES)}
    for centre, shift in shifts.items():
        loss = Li2(centre=centre, scale=1.0)
        moved = loss.each(logits + shift, labels, None) - loss.each(logits, labels, None)
        assert moved.abs().max() < 1e-12


def test_li2_of_perfect_and_of_zero_logits() -> None:
    labels = torch.arange(CLASSES).unsqueeze(0)
    perfect = torch.eye(CLASSES, dtype=torch.float64).unsqueeze(0)
    for centre in ("classes", "samples"):
        loss = Li2(centre=centre, scale=1.0)
        assert loss.each(perfect, labels, None).abs().max() < 1e-30
        nothing = loss.each(torch.zeros_like(perfect), labels, None)
        assert (nothing - (1 - 1 / CLASSES)).abs().max() < 1e-15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"centre": "batch", "scale": 1.0}, "`centre` must be one of"),
        ({"centre": "classes", "scale": 0.0}, "`scale` must be a positive number"),
    ],
)
def test_li2_refuses(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Li2(**settings)
