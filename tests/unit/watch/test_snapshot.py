"""`probe` on networks of torch alone: what it finds, and what it refuses."""

import pytest
import torch
from torch import nn

import observatory as ob
from observatory.core.contracts import Masked
from observatory.core.errors import ConfigError


def encoder() -> nn.TransformerEncoder:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def test_every_table_of_an_encoder_has_its_numbers() -> None:
    snap = ob.probe(encoder(), torch.randn(3, 5, 8))
    assert [(f.how, f.layer, f.shape) for f in snap.found] == [
        ("mha", 0, (3, 2, 5, 5)),
        ("mha", 1, (3, 2, 5, 5)),
    ]
    frame = snap.frame()
    assert {"attention", "attention_heads", "massive_activations", "weight_spectrum", "lar"} <= set(
        frame["table"]
    )
    assert len(frame["value"].dropna()) == len(frame)
    at = frame.query("table == 'attention_heads' and quantity == 'max_logit'")
    assert list(at["name"]) == ["layers.0", "layers.0", "layers.1", "layers.1"]
    assert set(snap.scalars()) >= {"attention/s_bar", "weight_norm/l2"}


def test_unknown_probes_and_empty_batches_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"got 'atention'. Did you mean attention"):
        ob.probe(encoder(), torch.randn(3, 5, 8), probes=["atention"])
    with pytest.raises(ConfigError, match=r"on its task.*STUDY --probe algorithm_family"):
        ob.probe(encoder(), torch.randn(3, 5, 8), probes=["algorithm_family"])
    with pytest.raises(ConfigError, match=r"`batch` must hold"):
        ob.probe(encoder(), ())


def test_pictures_show_every_head_and_every_site() -> None:
    snap = ob.probe(encoder(), torch.randn(3, 5, 8))
    panels = [ax for ax in snap.plot("attention").axes if ax.images]
    assert len(panels) == 4
    drawn = panels[3].images[0].get_array()
    assert drawn is not None
    assert drawn.tolist() == snap.patterns["blocks.1.attn_pattern"][0, 1].tolist()
    lines = snap.plot("massive").axes[0].lines
    assert {str(line.get_label()) for line in lines} >= {"stream", "attn out", "mlp post"}
    with pytest.raises(ConfigError, match='"attention" or "massive"'):
        snap.plot("heads")
    with pytest.raises(ConfigError, match="no activations"):
        ob.probe(encoder(), torch.randn(3, 5, 8), probes=["attention"]).plot("massive")


def test_a_network_in_bfloat16_is_measured_as_the_same_numbers_in_float32_are() -> None:
    probes = ("massive_activations", "weight_norm")
    model, x = encoder().bfloat16(), torch.randn(3, 5, 8).bfloat16()
    streams: list[torch.Tensor] = []
    handles = [
        layer.register_forward_hook(lambda *a: streams.append(a[2])) for layer in model.layers
    ]
    found = ob.probe(model, x, probes=probes).tables["massive_activations"].values
    for handle in handles:
        handle.remove()
    magnitudes = [each.float().abs().flatten().sort().values for each in streams[-2:]]
    for name, at in (("top1", -1), ("top2", -2), ("top3", -3), ("median_layerwide_lower", 59)):
        value = found[name]
        assert isinstance(value, Masked)
        assert value.values[0].tolist() == [each[at].item() for each in magnitudes], name
