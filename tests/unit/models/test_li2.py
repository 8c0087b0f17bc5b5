"""The two-layer network's variants and what it refuses."""

import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator
from observatory.core.settings import checked, declared
from observatory.models.li2.network import Li2


def network(activation: str, n_operands: int, zero_readout: bool = False) -> Li2:
    return Li2(
        d_mlp=50, activation=activation, zero_readout=zero_readout, d_vocab=7, n_classes=7,
        n_operands=n_operands,
    )  # fmt: skip


def test_squares_cannot_answer_three_operands() -> None:
    with pytest.raises(ConfigError, match="functions of pairs of operands"):
        network("square", 3)
    network("relu", 3)


def test_an_activation_without_a_fast_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="'gelu'"):
        checked({"activation": "gelu"}, declared(Li2), open_ended=True)


def test_a_zero_readout_leaves_the_hidden_layer_as_drawn() -> None:
    usual, zero = network("square", 2), network("square", 2, zero_readout=True)
    for made in (usual, zero):
        made.initialise(named_generator(3, "init"))
    assert torch.equal(usual.W_in, zero.W_in)
    assert float(zero.W_out.detach().abs().max()) == 0.0
    # nn.Linear's start: uniform within 1/sqrt(fan-in), 350 draws of which come near it.
    assert 0.95 < float(usual.W_out.detach().abs().max()) * 50**0.5 <= 1.0
