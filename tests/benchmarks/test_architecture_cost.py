"""Each architecture: a fleet of 16 beside its own plain module, and its share of the machine.

`make bench`. Process time, one thread, rounds interleaved, the laptop map's task and sizes.
"""

import statistics
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from observatory.core.rng import named_generator
from observatory.fleet.fleet import Fleet
from observatory.training.build import Parts
from observatory.training.shard import keep_memory
from tests.benchmarks.timing import cpu_ms, laptop, seated

ROUNDS, STEPS, SIZE = 5, 12, 16
MODELS = ("transformer", "mlp", "lstm", "mamba")
pytestmark = pytest.mark.benchmark


class TorchLstm(nn.Module):
    """What most people write: nn.Embedding, nn.LSTM, nn.Linear."""

    def __init__(self, p: int, d_model: int, d_hidden: int, n_layers: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(p, d_model)
        self.lstm = nn.LSTM(d_model, d_hidden, n_layers, batch_first=True)
        self.head = nn.Linear(d_hidden, p, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.lstm(self.embed(inputs))[0][:, -1])


def loop(network: nn.Module, parts: Parts) -> Callable[[], None]:
    """One network under torch.optim.AdamW, full batch."""
    split = parts.dataset.draw(0)
    inputs, labels = parts.dataset.inputs[split.train], split.labels[split.train]
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=0.01, betas=(0.9, 0.98), weight_decay=1.0
    )

    def steps() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            F.cross_entropy(network(inputs), labels).backward()
            optimizer.step()

    return steps


def plain(parts: Parts) -> nn.Module:
    parts.network.initialise(named_generator(0, "init"))  # type: ignore[operator]
    return parts.network


def gflop(action: Callable[[], None]) -> float:
    """Matrix products of one call, in 10^9 operations."""
    with FlopCounterMode(display=False) as counter:
        action()
    return counter.get_total_flops() / 1e9


def sgemm_peak() -> float:
    """GFLOP/s of a 1024 x 1024 product, one thread."""
    a = torch.randn(1024, 1024)
    return 2 * 1024**3 / 1e6 / min(cpu_ms(lambda: a @ a) for _ in range(10))


def spends_on(fleet: Fleet) -> str:
    """The operators that take most of a step's time, with their shares."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        fleet.advance(STEPS)
    events = sorted(profiler.key_averages(), key=lambda e: -e.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return ", ".join(
        f"{event.key.removeprefix('aten::')} {100 * event.self_cpu_time_total / total:.0f} %"
        for event in events[:6]
    )


def told(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def test_cost_of_a_replica_step_of_every_architecture() -> None:
    torch.set_num_threads(1)
    keep_memory()
    fleets = {name: seated(laptop(f"model={name}")) for name in MODELS}
    own = {name: loop(plain(laptop(f"model={name}")), laptop()) for name in MODELS}
    shapes = {n: w.shape for n, w in laptop("model=lstm").network.named_parameters()}
    (p, d_model), (d_hidden, _) = shapes["W_E"], shapes["blocks.0.W_hh"]
    own["nn.LSTM"] = loop(TorchLstm(p, d_model, d_hidden, n_layers=1), laptop())
    for warm in own.values():
        warm()
    alone: dict[str, list[float]] = {name: [] for name in own}
    stacked: dict[str, list[float]] = {name: [] for name in fleets}
    peaks: list[float] = []
    for _ in range(ROUNDS):
        peaks.append(sgemm_peak())
        for name, steps in own.items():
            alone[name].append(cpu_ms(steps) / STEPS)
        for name, fleet in fleets.items():
            stacked[name].append(cpu_ms(lambda f=fleet: f.advance(STEPS)) / STEPS / SIZE)
    peak = statistics.median(peaks)
    print(f"\nsgemm peak, one thread: {peak:.0f} GFLOP/s")
    print("| CPU ms per replica-step | plain | fleet of 16 | ratio | % of peak | most time |")
    print("|---|---|---|---|---|---|")
    for name, fleet in fleets.items():
        assert fleet.settings.size == SIZE
        for twin in [name, *(["nn.LSTM"] if name == "lstm" else [])]:
            ratios = [a / b for a, b in zip(alone[twin], stacked[name], strict=True)]
            speed = gflop(lambda f=fleet: f.advance(1)) / SIZE
            share = 100 * 1e3 * speed / statistics.median(stacked[name]) / peak
            label = name if twin == name else f"{name} (beside {twin})"
            print(
                f"| {label} | {told(alone[twin])} | {told(stacked[name])} | {told(ratios)} "
                f"| {share:.0f} | {spends_on(fleet)} |"
            )
