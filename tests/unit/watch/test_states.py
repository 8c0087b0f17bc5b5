"""States of recurrent kernels, step by step: those of cells that are written out."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import observatory as ob
from observatory.core.contracts import Masked
from observatory.watch.states import step_by_step

TOKENS = torch.randint(11, (3, 6), generator=torch.Generator().manual_seed(1))
SEQUENCE = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0))


def test_states_of_an_lstm_are_those_of_its_cell() -> None:
    torch.manual_seed(0)
    module = nn.LSTM(4, 5, batch_first=True).eval()
    cell = nn.LSTMCell(4, 5)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        setattr(cell, name, getattr(module, f"{name}_l0"))
    with torch.no_grad():
        states, outputs = step_by_step(module, SEQUENCE)
        h = c = torch.zeros(3, 5)
        for t in range(7):
            h, c = cell(SEQUENCE[:, t], (h, c))
            torch.testing.assert_close(states["hidden"][0, :, t], h)
            torch.testing.assert_close(states["cell"][0, :, t], c)
        torch.testing.assert_close(outputs, module(SEQUENCE)[0])


class Tagger(nn.Module):
    """Any recurrent kernel and a readout; `begun`: from a state of its own."""

    def __init__(self, kernel: Any, begun: bool = False, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.begun = begun
        self.rnn = kernel(4, 5, num_layers=2, batch_first=True, dropout=0.5, **options)
        self.out = nn.Linear(10 if options else 5, 3)

    def forward(self, x: Tensor) -> Tensor:
        start = torch.ones(2, len(x), 5)
        return self.out(self.rnn(x, start)[0] if self.begun else self.rnn(x)[0])


def test_the_largest_state_of_each_layer_is_in_a_table() -> None:
    model = Tagger(nn.LSTM).train()
    snap = ob.probe(model, SEQUENCE, probes=["states"])
    with torch.no_grad():
        states, _ = step_by_step(model.rnn.eval(), SEQUENCE)
    for name in ("hidden", "cell"):
        top = snap.tables[f"massive_{name}_state"].values["top1"]
        assert isinstance(top, Masked)
        largest = states[name].abs().amax(dim=(1, 2, 3)).double()
        torch.testing.assert_close(top.values[0], largest)
    assert snap.layers["massive_cell_state"] == ("rnn, layer 0", "rnn, layer 1")


def test_states_of_a_gru_are_hidden_ones_alone() -> None:
    snap = ob.probe(Tagger(nn.GRU), SEQUENCE, probes=["states"])
    assert (set(snap.tables), snap.unread) == ({"massive_hidden_state"}, {})


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Tagger(nn.GRU, begun=True), "began from a state of its own"),
        (Tagger(nn.LSTM, bidirectional=True), "it reads both ways"),
    ],
)
def test_what_cannot_be_stepped_is_named_with_the_reason(model: nn.Module, why: str) -> None:
    with pytest.warns(UserWarning, match=f"The states of `rnn` are not read: .*{why}"):
        snap = ob.probe(model, SEQUENCE, probes=["states"])
    assert not snap.tables
    assert why in snap.unread["rnn"]
    assert "states not read of rnn" in repr(snap)


def mamba() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"vocab_size": 11, "hidden_size": 8, "state_size": 4, "num_hidden_layers": 2}
    return transformers.MambaForCausalLM(transformers.MambaConfig(**sizes, use_mambapy=False))


def scanned(mixer: Any, x: Tensor) -> Tensor:
    """Every state `[batch, pos, d_inner, d_state]`, written out from Gu and Dao, algorithm 2."""
    taps = mixer.conv1d.weight[:, 0]
    gated = mixer.in_proj(x).chunk(2, dim=-1)[0]
    padded = nn.functional.pad(gated, (0, 0, taps.shape[1] - 1, 0))
    windows = padded.unfold(1, taps.shape[1], 1)
    u = nn.functional.silu((windows * taps).sum(dim=-1) + mixer.conv1d.bias)
    sizes = [mixer.time_step_rank, mixer.ssm_state_size, mixer.ssm_state_size]
    low, B, _ = mixer.x_proj(u).split(sizes, dim=-1)
    dt, A = nn.functional.softplus(mixer.dt_proj(low)), -mixer.A_log.exp()
    h, trail = torch.zeros(len(x), *A.shape), []
    for t in range(x.shape[1]):
        put = (dt[:, t] * u[:, t]).unsqueeze(2) * B[:, t].unsqueeze(1)
        h = (dt[:, t].unsqueeze(2) * A).exp() * h + put
        trail.append(h)
    return torch.stack(trail, dim=1)


def test_states_of_a_mamba_are_those_of_its_equations() -> None:
    model = mamba().train()
    given: dict[int, Tensor] = {}
    for block in model.backbone.layers:
        block.mixer.register_forward_pre_hook(
            lambda mixer, args: given.update({mixer.layer_idx: args[0]})
        )
    with torch.no_grad():
        model(TOKENS)
        states = [scanned(b.mixer, given[b.mixer.layer_idx]).abs() for b in model.backbone.layers]
    snap = ob.probe(model, {"input_ids": TOKENS}, probes=["states"])
    assert snap.layers["massive_ssm_state"] == tuple(
        f"backbone.layers.{layer}.mixer" for layer in range(2)
    )
    found: Any = snap.tables["massive_ssm_state"].values
    for layer, size in enumerate(states):
        values = {name: each.values[0, layer] for name, each in found.items() if each is not None}
        assert values["top1"].item() == pytest.approx(size.max().item(), rel=1e-5)
        assert values["median_layerwide_lower"].item() == pytest.approx(
            size.median().item(), rel=1e-4
        )
        place = [int(values[name]) for name in ("sequence", "position", "channel")]
        assert size.flatten(2)[tuple(place)].item() == pytest.approx(size.max().item(), rel=1e-5)


def of_table(snap: Any, name: str) -> dict[str, Tensor]:
    """Numbers of each layer, by column."""
    values = snap.tables[name].values.items()
    return {column: each.values[0] for column, each in values if isinstance(each, Masked)}


@pytest.mark.parametrize("padding", [slice(0, 3), slice(4, 6)], ids=["left", "right"])
def test_states_of_a_padded_mamba_are_those_of_its_tokens_alone(padding: slice) -> None:
    model = mamba()
    mask = torch.ones_like(TOKENS)
    mask[1, padding] = 0
    snaps = [
        ob.probe(model, batch, probes=["states", "massive_activations"])
        for batch in (
            {"input_ids": TOKENS, "attention_mask": mask},
            {"input_ids": TOKENS[[0, 2]]},
            {"input_ids": TOKENS[1:2, mask[1] == 1]},
        )
    ]
    for name in ("massive_ssm_state", "massive_activations", "massive_final"):
        padded, *parts = (of_table(snap, name)["top1"] for snap in snaps)
        torch.testing.assert_close(padded, torch.stack(parts).amax(dim=0), rtol=1e-5, atol=0.0)


def test_padding_counts_in_no_maximum_of_a_state() -> None:
    class Padded(Tagger):
        def forward(self, x: Tensor, attention_mask: Any = None) -> Tensor:
            return super().forward(x)

    x, mask = SEQUENCE.clone(), torch.ones(3, 7)
    x[0, 5:], mask[0, 5:] = 1e3, 0
    with_mask, without = (
        of_table(ob.probe(Padded(nn.GRU), batch, probes=["states"]), "massive_hidden_state")
        for batch in ({"x": x, "attention_mask": mask}, {"x": x})
    )
    assert mask[with_mask["sequence"][0].long(), with_mask["position"][0].long()] == 1
    assert (without["sequence"][0], without["position"][0] >= 5) == (0, True)
    assert with_mask["top1"][0] < 0.99 < without["top1"][0]


def test_a_mask_that_the_batch_does_not_name_leaves_the_states_unread() -> None:
    mask = torch.ones_like(TOKENS)
    mask[1, :3] = 0

    def hidden(model: Any, batch: Any) -> Any:
        return model(**batch, attention_mask=mask)

    with pytest.warns(
        UserWarning, match=r"`backbone\.layers\.0\.mixer` and 1 more are not read: .*another mask"
    ):
        snap = ob.probe(mamba(), {"input_ids": TOKENS}, forward=hidden, probes=["states"])
    assert not snap.tables
