"""Exponentiated gradient: published steps, signs, and what it refuses.

| quantity | tolerance, why | source |
|---|---|---|
| one step: plain, both decays, Adam form | 1e-13: float64 | formulas of arXiv:2510.02730 |
"""

import pytest
import torch

from observatory.core.contracts import Hyper, Optimizer
from observatory.core.errors import ConfigError
from observatory.core.layout import Layout
from observatory.optimizers.adamw import AdamW
from observatory.optimizers.exponentiated_gradient import SMALLEST, ExponentiatedGradient
from observatory.optimizers.sgd import SGD

PLAIN = SGD(momentum=0.0, nesterov=False)
W = torch.tensor([[0.5, -0.2, 0.001, -2.0, 0.0]], dtype=torch.float64)
G = torch.tensor([[0.1, -0.3, 2.0, 0.05, 1.0]], dtype=torch.float64)


def hyper(lr: float, weight_decay: float, n: int = 5) -> Hyper:
    row = Layout(("W",), (torch.Size([1, n]),), ("hidden",))
    one = torch.ones(1, dtype=torch.float64)
    return Hyper(lr * one, weight_decay * one, torch.ones(n, dtype=torch.float64), row)


def rule(inner: Optimizer = PLAIN, **settings: object) -> ExponentiatedGradient:
    usual = {"decay_form": "decoupled", "roles": ["hidden"], "rest": PLAIN, "rest_lr_ratio": 1.0}
    return ExponentiatedGradient(inner=inner, **{**usual, **settings})


@pytest.mark.parametrize(
    ("decay_form", "weight_decay", "inner", "wanted"),
    [
        ("decoupled", 0.0, PLAIN,
         [0.495024916874584, -0.19408910670970164, 0.0008187307530779819, -2.010025041718802, 0.0]),
        ("decoupled", 0.5, PLAIN,
         [0.47027367103085477, -0.18438465137421656, 0.0007777942154240827, -1.90952378963286, 0]),
        ("in_gradient", 0.5, PLAIN,
         [0.47088226679212436, -0.18462326927732717, 0.0007788007830714049, -1.9119949636662, 0]),
        ("decoupled", 0.5, AdamW(beta1=0.9, beta2=0.999, eps=1e-8),
         [0.4297977778650581, -0.17191910999989599, 0.0008595955475639592, -2.0998247023472443, 0]),
    ],
)  # fmt: skip
def test_one_step(
    decay_form: str, weight_decay: float, inner: Optimizer, wanted: list[float]
) -> None:
    optimizer, flat = rule(inner, decay_form=decay_form), W.clone()
    optimizer.update(flat, G, optimizer.init(flat), hyper(0.1, weight_decay))
    close = torch.tensor([wanted], dtype=torch.float64)
    torch.testing.assert_close(flat, close, rtol=0, atol=1e-13)


def test_no_weight_changes_its_sign_or_reaches_zero_whatever_the_gradient() -> None:
    rng = torch.Generator().manual_seed(0)
    start = torch.randn(1, 40, dtype=torch.float64, generator=rng)
    for weight_decay in (0.0, 3.0):  # at a rate of 1 the latter would turn all signs
        optimizer, flat = rule(), start.clone()
        state = optimizer.init(flat)
        for _ in range(60):
            grads = 50 * torch.randn(1, 40, dtype=torch.float64, generator=rng)
            optimizer.update(flat, grads, state, hyper(1.0, weight_decay, 40))
        assert torch.equal(flat.sign(), start.sign())
        assert flat.abs().min() >= SMALLEST
        assert flat.isfinite().all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"roles": []}, "at least one of"),
        ({"roles": ["pointwise"]}, "`roles` must be one of"),
        ({"rest_lr_ratio": 0.0}, "`rest_lr_ratio` must be a positive number"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rule(**settings)
