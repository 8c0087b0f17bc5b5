"""What the transformer's settings do, and which it refuses."""

import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator
from observatory.maths.hooks import HookPoint
from observatory.models.transformer.rotary import rotated
from tests.small_networks import network_of


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    q, k = torch.randn(2, 1, 6, generator=named_generator(0, "x"), dtype=torch.float64)

    def score(at_q: int, at_k: int) -> float:
        turned = rotated(q, torch.tensor([at_q])) @ rotated(k, torch.tensor([at_k])).T
        return float(turned)

    assert score(0, 0) == pytest.approx(float(q @ k.T), abs=1e-12)
    assert score(5, 3) == pytest.approx(score(2, 0), abs=1e-12)
    assert abs(score(2, 0) - score(1, 0)) > 1e-3


def test_without_positions_one_layer_cannot_tell_the_operands_apart() -> None:
    pairs = torch.tensor([[1, 4], [0, 6]])
    for positions, blind in (("none", True), ("rotary", False), ("learned", False)):
        network = network_of(
            "transformer", p=7, n_operands=2, n_layers=1, positions=positions, embed_std=1.0
        ).double()
        network.initialise(named_generator(0, "init"))
        apart = (network(pairs) - network(pairs.flip(1))).abs().max()
        assert bool(apart < 1e-12) == blind, positions
        assert ("W_pos" in dict(network.named_parameters())) == (positions == "learned")


def test_a_gate_multiplies() -> None:
    network = network_of("transformer", p=7, n_operands=2, gated=True).double()
    network.initialise(named_generator(0, "init"))
    mlp = network.blocks[0].mlp
    with torch.no_grad():
        mlp.W_gate.zero_()
        mlp.b_gate.fill_(2.0)
    x = torch.randn(3, 1, 8, generator=named_generator(1, "x"), dtype=torch.float64)
    expected = 2.0 * x @ mlp.W_in @ mlp.W_out  # ReLU(2) = 2
    assert torch.allclose(mlp(x, HookPoint(), HookPoint()), expected, atol=1e-12)


def test_matrices_start_with_the_spread_that_is_set() -> None:
    network = network_of("nanda", p=113, n_operands=2, d_model=128, d_mlp=512, n_heads=4)
    network.initialise(named_generator(0, "init"))
    for name, weight in network.named_parameters():
        if weight.ndim == 2 and name != "W_pos":  # which has but 384 entries
            # 14 464 entries at least: the standard error of a spread is below 0.6 %.
            assert float(weight.detach().std()) == pytest.approx(128**-0.5, rel=0.03), name


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"d_model": 6, "n_heads": 2, "positions": "rotary"}, "must be even with rotary"),
        ({"activation": "tanh"}, "`activation` must be one of"),
        ({"d_mlp": 0}, "`d_mlp` must be a whole number of at least 1"),
        ({"n_heads": 3}, "`d_model` must be a multiple"),
    ],
)
def test_what_cannot_be_built_is_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        network_of("transformer", p=7, n_operands=2, **settings)
