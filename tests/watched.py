"""Small models that are hard to leave alone, and training with and without looks."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Look = Callable[[nn.Module, Tensor], None]


class Hostile(nn.Module):
    """Keeps books and draws random numbers in every forward, in evaluation mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.out = nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.generator = torch.Generator().manual_seed(5)
        self.numpy_generator = np.random.default_rng(5)
        self.python_generator = random.Random(5)
        self.states: list[Tensor] = []
        self.by_name: dict[str, list[Tensor]] = {"last": []}
        self.running = torch.zeros(6)
        self.seen = np.zeros(1)
        self.n = 0

    def train(self, mode: bool = True) -> "Hostile":
        self.n += 100
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        if "table" not in self._buffers:
            self.register_buffer("table", torch.linspace(-1, 1, 6), persistent=False)
        self.calls += 1
        self.n += 1
        self.seen += 1
        noise = torch.rand(6, generator=self.generator) + torch.rand(6)
        drawn = np.random.rand() + random.random() + self.numpy_generator.random()  # noqa: NPY002
        hidden = torch.tanh(self.inner(x)) + 0.1 * noise * (drawn + self.python_generator.random())
        self.running.mul_(0.9).add_(hidden.detach().mean(0))
        self.states.append(hidden.detach())
        self.by_name["last"] = [*self.by_name["last"][-1:], hidden.detach()]
        past = self.states[-2].mean() if len(self.states) > 1 else 0
        return self.out(hidden * self.table + self.running + past + 0.01 * (self.calls + self.n))


def frozen_norm() -> nn.Module:
    """A convolution with one frozen and one trained batch norm; the frozen one stays in eval."""
    model = nn.Sequential(
        nn.Unflatten(1, (1, 6)),
        *(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.ReLU()),
        *(nn.Conv1d(4, 4, 3), nn.BatchNorm1d(4)),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    model[2].eval()
    return model


def dropout() -> nn.Module:
    """A transformer encoder layer with dropout, and a readout."""
    layer = nn.TransformerEncoderLayer(6, 2, 12, dropout=0.2, batch_first=True)
    return nn.Sequential(nn.Unflatten(1, (1, 6)), layer, nn.Flatten(), nn.Linear(6, 3))


def recurrent() -> nn.Module:
    """An LSTM with dropout between its layers."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(1, 5, num_layers=2, dropout=0.2, batch_first=True)
            self.out = nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.lstm(x[..., None])[0][:, -1])

    return Net()


KINDS: dict[str, Callable[[], nn.Module]] = {
    "hostile": Hostile,
    "frozen_norm": frozen_norm,
    "dropout": dropout,
    "recurrent": recurrent,
}


def everything(model: nn.Module) -> dict[str, Any]:
    """All that a look must leave alone: weights, buffers, modes, hooks, random states."""
    return {
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "modes": [module.training for module in model.modules()],
        "hooks": [len(module._forward_hooks) for module in model.modules()],
        "buffers": [name for name, _ in model.named_buffers()],
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1],  # noqa: NPY002
        "python": random.getstate()[1],
    }


def train(make: Callable[[], nn.Module], look: Look | None, place: str, steps: int = 20) -> Any:
    """Losses of some steps of AdamW, and what there is at the end; looks are `place` the step."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    probe = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(steps):
        x, y = torch.randn(8, 6), torch.randint(3, (8,))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        if look is not None and place == "before":
            look(model, probe)
        optimizer.step()
        if look is not None and place == "after":
            look(model, probe)
        losses.append(loss.item())
    return losses, everything(model)
