"""`probe` on networks of torch alone: what it finds, and what it refuses."""

import pytest
import torch
from torch import nn

import observatory as ob
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
