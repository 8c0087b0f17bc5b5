"""States of recurrent kernels, step by step: those of cells that are written out."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import observatory as ob
from observatory.core.contracts import Masked
from observatory.watch.states import step_by_step

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


@pytest.mark.parametrize(
    ("model", "tables"),
    [
        (Tagger(nn.GRU), {"massive_hidden_state"}),
        (Tagger(nn.GRU, begun=True), set[str]()),
        (Tagger(nn.LSTM, bidirectional=True), set[str]()),
    ],
    ids=["GRU", "from a state of its own", "both ways"],
)
def test_only_what_can_be_stepped_is_there(model: nn.Module, tables: set[str]) -> None:
    assert set(ob.probe(model, SEQUENCE, probes=["states"]).tables) == tables
