"""Every YAML of conf/loss keeps the contract: replicas and uncounted examples have no say."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

import observatory
from observatory.core.contracts import Loss
from observatory.fleet.step import replica_losses
from tests.composed import block

NAMES = sorted(
    path.stem for path in (Path(observatory.__file__).parents[1] / "conf" / "loss").glob("*.yaml")
)
VARIANTS = [*((name, ()) for name in NAMES), ("li2", ("loss.centre=samples",))]
REPLICAS, BATCH, CLASSES = 3, 8, 5


@cache
def settings(name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    return block("loss", f"loss={name}", *overrides)


@pytest.fixture(params=VARIANTS, ids=lambda variant: " ".join((variant[0], *variant[1])))
def loss(request: pytest.FixtureRequest) -> Loss:
    return instantiate(settings(*request.param))


@pytest.fixture
def logits() -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return 3 * torch.randn(REPLICAS, BATCH, CLASSES, dtype=torch.float64, generator=rng)


@pytest.fixture
def labels() -> Tensor:
    return torch.randint(CLASSES, (REPLICAS, BATCH), generator=torch.Generator().manual_seed(1))


def halves() -> Tensor:
    """The first five examples count."""
    return (torch.arange(BATCH) < 5).double().expand(REPLICAS, -1)


@pytest.mark.slow
def test_it_is_declared(loss: Loss) -> None:
    assert isinstance(loss, Loss)
    assert loss.unit in ("nats", "1")


def test_it_keeps_shape_and_precision(loss: Loss, logits: Tensor, labels: Tensor) -> None:
    for dtype in (torch.float32, torch.float64):
        for counted in (None, halves()):
            losses = loss.each(logits.to(dtype), labels, counted)
            assert losses.shape == (REPLICAS, BATCH)
            assert losses.dtype == dtype
            assert (losses >= 0).all()


def test_the_right_answer_said_louder_costs_less(loss: Loss) -> None:
    labels = torch.tensor([[0, 1, 2, 3, 4]])
    right = torch.eye(CLASSES, dtype=torch.float64).unsqueeze(0)
    costs = [float(loss.each(a * right, labels, None).mean()) for a in (-1.0, 0.0, 0.5, 1.0)]
    assert costs == sorted(costs, reverse=True)


def test_examples_that_do_not_count_have_no_say(loss: Loss, logits: Tensor, labels: Tensor) -> None:
    few = replica_losses(loss, logits[:, :5], labels[:, :5], None, torch.float64)
    leaf = logits.requires_grad_()
    masked = replica_losses(loss, leaf, labels, halves(), torch.float64)
    assert (masked - few).abs().max() < 1e-14
    (gradient,) = torch.autograd.grad(masked.sum(), leaf)
    assert (gradient[:, 5:] == 0).all()
    assert (gradient[:, :5] != 0).any(dim=2).all()


def test_it_couples_examples_where_it_says_so_and_replicas_never(
    loss: Loss, logits: Tensor, labels: Tensor
) -> None:
    before = loss.each(logits, labels, None)
    changed = logits.clone()
    changed[0, 0] = torch.tensor([9.0, -9.0, 0.0, 1.0, 2.0])
    after = loss.each(changed, labels, None)
    assert torch.equal(before[1:], after[1:])
    assert torch.equal(before[0, 1:], after[0, 1:]) is not loss.coupled
    assert before[0, 0] != after[0, 0]


def test_its_gradient_is_that_of_finite_differences(
    loss: Loss, logits: Tensor, labels: Tensor
) -> None:
    def mean(z: Tensor) -> Tensor:
        return replica_losses(loss, z, labels, halves(), torch.float64)

    assert torch.autograd.gradcheck(mean, logits.requires_grad_())
