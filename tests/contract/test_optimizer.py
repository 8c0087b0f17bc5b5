"""Every YAML of conf/optimizer steps as its torch.optim twin and leaves the gradients alone."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

import observatory
from observatory.core.contracts import Hyper
from observatory.core.layout import Layout
from observatory.training.compose import compose

NAMES = sorted(
    path.stem
    for path in (Path(observatory.__file__).parents[1] / "conf" / "optimizer").glob("*.yaml")
)
TWINS = {
    "AdamW": lambda p, o, lr, wd: torch.optim.AdamW(
        [p], lr=lr, weight_decay=wd, betas=(o.beta1, o.beta2), eps=o.eps
    ),
}
ROW = Layout(("W",), (torch.Size([20]),), ("hidden",))
RATES, DECAYS = torch.tensor([0.1, 0.01, 0.001]).double(), torch.tensor([0.0, 0.5, 3.0]).double()


@pytest.fixture(params=NAMES)
def optimizer(request: pytest.FixtureRequest):
    return instantiate(compose("train", [f"optimizer={request.param}"])["optimizer"]["update"])


def gradients(steps: int) -> torch.Tensor:
    return torch.randn(
        steps, 3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )


def test_every_row_follows_the_torch_twin(optimizer) -> None:
    twin = TWINS[type(optimizer).__name__]
    flat = torch.randn(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    alone = [torch.nn.Parameter(row.clone()) for row in flat]
    twins = [
        twin(p, optimizer, float(lr), float(wd))
        for p, lr, wd in zip(alone, RATES, DECAYS, strict=True)
    ]
    state = optimizer.init(flat)
    hyper = Hyper(
        lr=RATES, weight_decay=DECAYS, decays=torch.ones(20, dtype=torch.float64), layout=ROW
    )
    for grads in gradients(50):
        optimizer.update(flat, grads, state, hyper)
        for parameter, grad, theirs in zip(alone, grads, twins, strict=True):
            parameter.grad = grad.clone()
            theirs.step()
    assert (flat - torch.stack([p.detach() for p in alone])).abs().max() < 1e-10


def test_gradients_and_undecayed_weights_are_left_alone(optimizer) -> None:
    flat = torch.ones(3, 20, dtype=torch.float64)
    state = optimizer.init(flat)
    decays = torch.ones(20, dtype=torch.float64)
    decays[:5] = 0.0
    grads = torch.zeros(3, 20, dtype=torch.float64)
    before = grads.clone()
    optimizer.update(
        flat, grads, state, Hyper(lr=RATES, weight_decay=DECAYS, decays=decays, layout=ROW)
    )
    assert torch.equal(grads, before)
    assert (flat[:, :5] == 1).all()
    assert (flat[1:, 5:] < 1).all()
    assert (flat[0] == 1).all()  # weight decay 0
