import pytest
import torch

from observatory.maths.norms import group_norms, parameter_groups


def test_groups_keep_the_order_of_first_appearance():
    names = [
        "W_E",
        "blocks.0.mlp.W_in",
        "blocks.0.attn.W_Q",
        "blocks.0.mlp.b_in",
        "ln_final.weight",
    ]
    assert parameter_groups(names) == {
        "W_E": ("W_E",),
        "blocks.0.mlp": ("blocks.0.mlp.W_in", "blocks.0.mlp.b_in"),
        "blocks.0.attn": ("blocks.0.attn.W_Q",),
        "ln_final": ("ln_final.weight",),
    }


def test_norms_are_taken_in_double_precision():
    small = torch.full((1, 10_000), 1e-4)
    params = {"a.big": torch.tensor([[4096.0]]), "a.small": small}
    expected = (4096.0**2 + 10_000 * float(small[0, 0]) ** 2) ** 0.5
    assert group_norms(params).item() == pytest.approx(expected, rel=1e-15)
    assert group_norms(params).item() > 4096.0  # in float32 the small weights vanish


def test_no_parameters_are_refused():
    with pytest.raises(ValueError, match="`params` must hold at least one tensor"):
        group_norms({})
