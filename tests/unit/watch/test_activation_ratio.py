"""CETT-PPL-p%: the share of neurons that keeps the perplexity within a percentage."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from observatory.core.errors import ConfigError
from observatory.maths.truncation import cett
from observatory.watch.low_precision.activation_ratio import activation_ratio

TOKENS = torch.randint(11, (6, 9), generator=torch.Generator().manual_seed(1))


class Layer(nn.Module):
    """One feed-forward layer between an embedding and a readout."""

    def __init__(self, kind: str = "relu") -> None:
        super().__init__()
        self.kind = kind
        self.embed, self.up = nn.Embedding(11, 16), nn.Linear(16, 32)
        self.gate, self.down = nn.Linear(16, 32), nn.Linear(32, 16)
        self.unembed = nn.Linear(16, 11)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        hidden = F.relu(self.up(h)) if self.kind == "relu" else F.silu(self.gate(h)) * self.up(h)
        return self.unembed(h + self.down(hidden))


@pytest.fixture
def model() -> Layer:
    torch.manual_seed(0)
    return Layer()


def test_the_perplexity_rises_by_what_was_let_in(model: Layer) -> None:
    labels = TOKENS**2 % 11
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(TOKENS).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = activation_ratio(model, TOKENS, labels=labels)
    assert found.perplexity_rise <= 1.0
    assert found.ratio is not None
    assert 0 < found.ratio < 1
    more = activation_ratio(model, TOKENS, labels=labels, at=min(1.0, found.cett + 0.05))
    assert more.ratio is not None
    assert more.ratio < found.ratio
    assert more.perplexity_rise > 1.0
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert found.frame()["parameter"].tolist() == ["down.weight"]
    assert found.n_steps == 20


@pytest.mark.parametrize("kind", ["relu", "gated"])
def test_what_is_left_out_is_the_error_of_the_layer(kind: str) -> None:
    torch.manual_seed(0)
    model = Layer(kind)
    found = activation_ratio(model, TOKENS, labels="next_token", at=0.3)
    with torch.no_grad():
        h = model.embed(TOKENS).flatten(0, 1)
        a = F.relu(model.up(h)) if kind == "relu" else F.silu(model.gate(h)) * model.up(h)
        w = model.down.weight.T
        (layer,) = found.layers
        norms = a.abs() * w.norm(dim=1)
        assert layer.ratio == pytest.approx(float((norms > layer.threshold).double().mean()))
        assert 0.25 < cett(a, w, layer.threshold) <= 0.3
        kept = torch.where(norms > layer.threshold, a, 0.0)
        logits = model.unembed(h + model.down(kept)).unflatten(0, TOKENS.shape)
        wanted = F.cross_entropy(logits[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())
    assert found.sparse_loss == pytest.approx(float(wanted), rel=1e-5)
    assert found.perplexity_rise == pytest.approx(
        100 * (math.exp(found.sparse_loss - found.loss) - 1)
    )


def test_without_an_error_only_what_gives_nothing_is_left_out(model: Layer) -> None:
    found = activation_ratio(model, TOKENS, labels="next_token", at=0.0)
    with torch.no_grad():
        active = (model.up(model.embed(TOKENS)) > 0).double().mean()
    assert found.ratio == pytest.approx(float(active))
    assert found.sparse_loss == found.loss


def test_what_says_nothing_is_refused(model: Layer) -> None:
    sure = torch.full_like(TOKENS, 3)
    with torch.no_grad():
        model.unembed.bias[3] = 100.0
    with pytest.raises(ConfigError, match=r"must be at least 0.0001 .* memorised"):
        activation_ratio(model, TOKENS, labels=sure)
    with pytest.raises(ConfigError, match=r"`at` must be in \[0, 1\], got 30"):
        activation_ratio(model, TOKENS, labels=sure, at=30)
    with pytest.raises(ConfigError, match="must have a feed-forward layer"):
        activation_ratio(
            nn.Sequential(nn.Embedding(11, 8), nn.Linear(8, 11)), TOKENS, labels="next_token"
        )


def test_a_dead_layer_has_no_ratio(model: Layer) -> None:
    with torch.no_grad():
        model.up.bias -= 100
    found = activation_ratio(model, TOKENS, labels="next_token", at=0.1)
    assert found.layers[0].ratio is found.ratio is None
    assert found.frame()["ratio"].isna().all()
