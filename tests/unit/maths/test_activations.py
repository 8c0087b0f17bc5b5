import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.maths.activations import activation, block_names, stacked_blocks


def test_layers_are_ordered_by_number():
    activations = {f"blocks.{i}.resid_post": torch.full((1, 1), float(i)) for i in (10, 2, 0)}
    activations["blocks.0.resid_post_extra"] = torch.zeros(1, 1)
    assert stacked_blocks(activations, "resid_post").flatten().tolist() == [0.0, 2.0, 10.0]


def test_a_missing_kind_is_refused_with_what_there_is():
    with pytest.raises(ConfigError, match=r"`attn_pattern` must be .* \['logits', 'mlp_post'\]"):
        block_names(["logits", "blocks.0.mlp_post"], "attn_pattern")


def test_the_first_kind_there_is_wins():
    activations = {f"blocks.0.{kind}": torch.zeros(1, 1) for kind in ("mlp_post", "hidden")}
    assert block_names(activations, "resid_post", "hidden", "mlp_post") == ("blocks.0.hidden",)
    with pytest.raises(ConfigError, match=r"`cell or ssm_state` must be"):
        block_names(activations, "cell", "ssm_state")


def test_an_activation_by_its_whole_name():
    final = torch.zeros(1, 1)
    assert activation({"final": final}, "final") is final
    with pytest.raises(ConfigError, match=r"`final` must be .* \['logits'\]"):
        activation({"logits": final}, "final")
