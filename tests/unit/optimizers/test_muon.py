"""The Newton-Schulz iteration, and what of it a step is made of."""

import pytest
import torch

from observatory.core.contracts import Hyper
from observatory.core.errors import ConfigError
from observatory.core.layout import Layout
from observatory.optimizers.adamw import AdamW
from observatory.optimizers.muon import Muon, orthogonalised

USUAL = (3.4445, -4.775, 2.0315)
CONVERGENT = (1.875, -1.25, 0.375)  # fixed point 1, slope and curvature 0 there


def matrices(fan_in: int, fan_out: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(fan_in)
    return torch.randn(4, fan_in, fan_out, dtype=torch.float64, generator=rng)


@pytest.mark.parametrize("shape", [(6, 6), (5, 9), (9, 5)])
def test_it_converges_to_the_polar_factor(shape: tuple[int, int]) -> None:
    x = matrices(*shape)
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    assert (orthogonalised(x, CONVERGENT, 40, 1e-7) - u @ v).abs().max() < 1e-12


@pytest.mark.parametrize("shape", [(6, 6), (5, 9), (9, 5)])
def test_it_is_a_polynomial_of_the_singular_values(shape: tuple[int, int]) -> None:
    x = matrices(*shape)
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    s = s / s.norm(dim=1, keepdim=True)
    for _ in range(5):
        s = USUAL[0] * s + USUAL[1] * s**3 + USUAL[2] * s**5
    assert (orthogonalised(x, USUAL, 5, 1e-7) - (u * s.unsqueeze(1)) @ v).abs().max() < 1e-10


def test_zero_stays_zero_and_scale_does_not_matter() -> None:
    x = matrices(5, 9)
    x[1] = 0.0
    ours = orthogonalised(x, USUAL, 5, 1e-7)
    assert (ours[1] == 0).all()
    assert (orthogonalised(1e-3 * x, USUAL, 5, 1e-7) - ours).abs().max() < 1e-10


def muon(**settings: object) -> Muon:
    usual = {
        "momentum": 0.95,
        "nesterov": True,
        "ns_coefficients": USUAL,
        "ns_steps": 5,
        "eps": 1e-7,
        "scale": "original",
        "rest": AdamW(beta1=0.9, beta2=0.98, eps=1e-8),
        "rest_lr_ratio": 1.0,
    }
    return Muon(**{**usual, **settings})


def test_a_model_without_hidden_matrices_is_refused() -> None:
    flat = torch.zeros(2, 6)
    ones = torch.ones(2)
    row = Layout(("W_U",), (torch.Size([2, 3]),), ("readout",))
    optimizer = muon()
    with pytest.raises(ConfigError, match="needs a model with hidden matrices"):
        optimizer.update(
            flat, flat.clone(), optimizer.init(flat), Hyper(ones, ones, torch.ones(6), row)
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": 1.0}, r"`momentum` must be in \[0, 1\)"),
        ({"ns_coefficients": (1.5, -0.5)}, "`ns_coefficients` must be three"),
        ({"ns_steps": 0}, "`ns_steps` must be a whole number of at least 1"),
        ({"eps": 0.0}, "`eps` must be a positive number"),
        ({"rest_lr_ratio": 0.0}, "`rest_lr_ratio` must be a positive number"),
        ({"scale": "rms"}, "`scale` must be one of"),
    ],
)
def test_settings_outside_their_rule_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        muon(**settings)
