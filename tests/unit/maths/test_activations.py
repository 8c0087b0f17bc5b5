import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.maths.activations import block_names, stacked_blocks


def test_layers_are_ordered_by_number():
    activations = {f"blocks.{i}.resid_post": torch.full((1, 1), float(i)) for i in (10, 2, 0)}
    activations["blocks.0.resid_post_extra"] = torch.zeros(1, 1)
    assert stacked_blocks(activations, "resid_post").flatten().tolist() == [0.0, 2.0, 10.0]


def test_a_missing_kind_is_refused_with_what_there_is():
    with pytest.raises(ConfigError, match=r"`attn_pattern` must be .* \['logits', 'mlp_post'\]"):
        block_names(["logits", "blocks.0.mlp_post"], "attn_pattern")
