"""Where the largest activation is: sequence, position and layer, whichever axis comes first."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import observatory as ob
from observatory.core.contracts import Masked
from observatory.core.errors import ConfigError

N_LAYERS, D = 3, 8
INPUTS = torch.randn(2, 5, D, generator=torch.Generator().manual_seed(0))
PROBES = ["massive_activations"]


def encoder(*, batch_first: bool, norm_first: bool) -> Any:
    """Of which the middle layer's attention adds 300 to channel 5."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        D, 2, 16, dropout=0.0, batch_first=batch_first, norm_first=norm_first
    )
    model: Any = nn.TransformerEncoder(layer, N_LAYERS, enable_nested_tensor=False)
    with torch.no_grad():
        for each in model.parameters():
            each.add_(0.1 * torch.randn(each.shape))
        model.layers[1].self_attn.out_proj.bias[5] = 300.0
    return model


def layers_of(snap: Any, table: str) -> list[dict[str, float | None]]:
    """Numbers of each layer of a table by column, None where undefined."""
    found: list[dict[str, float | None]] = [{} for _ in snap.layers[table]]
    for name, value in snap.tables[table].values.items():
        assert value is None or isinstance(value, Masked)
        for layer, row in enumerate(found):
            known = value is not None and bool(value.defined[0, layer])
            row[name] = value.values[0, layer].item() if value is not None and known else None
    return found


def largest(h: Tensor) -> dict[str, float]:
    """Of `[batch, pos, channel]`."""
    place = torch.unravel_index(h.abs().argmax(), h.shape)
    names = ("sequence", "position", "channel")
    return {"top1": h.abs().max().item(), **dict(zip(names, map(int, place), strict=True))}


@pytest.mark.parametrize("batch_first", [True, False], ids=["batch first", "positions first"])
@pytest.mark.parametrize("norm_first", [True, False], ids=["norm first", "norm last"])
@pytest.mark.parametrize("padded", [True, False], ids=["padded", "whole"])
def test_attention_of_torch_is_placed_as_the_stream(
    batch_first: bool, norm_first: bool, padded: bool
) -> None:
    model = encoder(batch_first=batch_first, norm_first=norm_first)
    mask = torch.zeros(2, 5, dtype=torch.bool)
    mask[0, 3:] = padded
    batch: dict[str, Any] = {"src": INPUTS if batch_first else INPUTS.transpose(0, 1)}
    if padded:
        batch["src_key_padding_mask"] = mask
    seen: dict[str, list[Tensor]] = {"massive_attn_out": [], "massive_activations": []}
    for layer in model.layers:
        layer.self_attn.register_forward_hook(
            lambda _, args, out: seen["massive_attn_out"].append(out[0].detach())
        )
        layer.register_forward_hook(
            lambda _, args, out: seen["massive_activations"].append(out.detach())
        )
    model(**batch)
    seen = {name: list(outputs) for name, outputs in seen.items()}
    snap = ob.probe(model, batch, probes=PROBES)
    for name, outputs in seen.items():
        for h, row in zip(outputs[:N_LAYERS], layers_of(snap, name), strict=True):
            h = h if batch_first else h.transpose(0, 1)
            expected = largest(h.masked_fill(mask[..., None], 0.0))
            assert {key: row[key] for key in expected} == pytest.approx(expected, rel=1e-5)
    sizes = [row["top1"] for row in layers_of(snap, "massive_attn_out")]
    assert [size is not None and size > 250 for size in sizes] == [False, True, False]
    assert layers_of(snap, "massive_attn_out")[1]["channel"] == 5


def test_a_kernel_that_takes_positions_first_is_read_so() -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.rnn, self.out = nn.LSTM(D, 6), nn.Linear(6, 4)

        def forward(self, x: Tensor, attention_mask: Any = None) -> Tensor:
            return self.out(self.rnn(x.transpose(0, 1))[0]).transpose(0, 1)

    model, mask = Tagger(), torch.ones(2, 5)
    mask[1, 2:] = 0
    snap = ob.probe(model, {"x": INPUTS, "attention_mask": mask}, probes=PROBES)
    with torch.no_grad():
        expected = largest(model(INPUTS) * mask[..., None])
    (row,) = layers_of(snap, "massive_activations")
    assert {key: row[key] for key in expected} == pytest.approx(expected, rel=1e-5)


def test_axes_that_cannot_be_told_apart_are_refused() -> None:
    model = encoder(batch_first=False, norm_first=True)
    with pytest.raises(ConfigError, match=r"as many .* got 5 of each, .*`layers.0.self_attn`"):
        ob.probe(model, torch.randn(5, 5, D), probes=PROBES)
    ob.probe(encoder(batch_first=True, norm_first=True), torch.randn(5, 5, D), probes=PROBES)


def test_a_layer_without_a_site_keeps_its_place() -> None:
    class Block(nn.Module):
        def __init__(self, attends: bool) -> None:
            super().__init__()
            self.attends, self.mix, self.mlp = attends, nn.Linear(D, D), nn.Linear(D, D)

        def forward(self, x: Tensor) -> Tensor:
            if self.attends:
                x = x + self.mix(nn.functional.scaled_dot_product_attention(x, x, x))
            return x + self.mlp(x.relu())

    torch.manual_seed(0)
    model = nn.Sequential(*(Block(attends) for attends in (False, True, False, True)))
    snap = ob.probe(model, INPUTS, probes=PROBES)
    rows = layers_of(snap, "massive_attn_out")
    assert [row["top1"] is not None for row in rows] == [False, True, False, True]
    frame = snap.frame()
    of_site = frame[(frame["table"] == "massive_attn_out") & (frame["quantity"] == "top1")]
    assert of_site["name"].tolist() == ["1", "3"]
