"""What a step costs, side by side: `make bench`. Process time, one thread, rounds interleaved.

The plain loop is one `nn.Module` under `torch.optim.AdamW`, full batch. The Lightning row is one
`Trainer.fit` per replica with one full batch per epoch and nothing else on.
"""

import logging
import warnings
from collections.abc import Callable

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from observatory.core.rng import named_generator
from observatory.training.build import Parts
from observatory.training.shard import keep_memory
from tests.benchmarks.timing import cpu_ms, laptop, seated, spread

ROUNDS, STEPS = 5, 40
pytestmark = pytest.mark.benchmark


def plain_loop(parts: Parts) -> Callable[[], None]:
    network = parts.network
    network.initialise(named_generator(0, "init"))  # type: ignore[operator]
    split = parts.dataset.draw(0)
    inputs, labels = parts.dataset.inputs[split.train], split.labels[split.train]
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=0.01, betas=(0.9, 0.98), weight_decay=1.0
    )

    def loop() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            F.cross_entropy(network(inputs), labels).backward()
            optimizer.step()

    return loop


class Alone(pl.LightningModule):
    """The network of a laptop map as a LightningModule, as most people write it."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.network = parts.network

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        return F.cross_entropy(self.network(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01, betas=(0.9, 0.98), weight_decay=1.0)


def lightning_fit(parts: Parts) -> Callable[[], None]:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    split = parts.dataset.draw(0)
    data = TensorDataset(parts.dataset.inputs[split.train], split.labels[split.train])
    module, loader = Alone(parts), DataLoader(data, batch_size=len(data))

    def fit() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pl.Trainer(
                accelerator="cpu",
                max_epochs=STEPS,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            ).fit(module, loader)

    return fit


@pytest.mark.parametrize("model", ["transformer", "mlp", "lstm", "mamba"])
def test_what_compiling_the_step_gains(model: str) -> None:
    torch.set_num_threads(1)
    keep_memory()
    eager, compiled = (
        laptop(f"model={model}", f"fleet.compile={c}").shard(0, 1) for c in ("off", "on")
    )
    for fleet in (eager, compiled):
        fleet.fill()
    first = cpu_ms(lambda: compiled.advance(1))
    for fleet in (eager, compiled):
        fleet.advance(3)
    gains = [
        cpu_ms(lambda: eager.advance(STEPS)) / cpu_ms(lambda: compiled.advance(STEPS))
        for _ in range(ROUNDS)
    ]
    print(f"\n{model}: the first step takes {first / 1e3:.1f} s of CPU without the compiler's own")
    print(spread("eager / compiled", gains))


def test_cost_of_a_replica_step_on_the_laptop_preset() -> None:
    torch.set_num_threads(1)
    keep_memory()
    parts, generic = laptop(), laptop("fleet.path=generic")
    fleet, vmapped = seated(parts), seated(generic)
    size = parts.fleet.size
    assert size == 16
    plain, fit = plain_loop(laptop()), lightning_fit(laptop())
    for warm in (plain, fit):
        warm()
    rounds: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, cost in (
            ("plain PyTorch loop, one network", cpu_ms(plain) / STEPS),
            ("one Lightning fit per network", cpu_ms(fit) / STEPS),
            (
                "fleet of 16, vmapped module",
                cpu_ms(lambda: vmapped.advance(STEPS // 4)) / (STEPS // 4) / size,
            ),
            ("fleet of 16, fast path", cpu_ms(lambda: fleet.advance(STEPS)) / STEPS / size),
            (
                "one evaluation of all examples",
                cpu_ms(lambda: fleet.evaluate(fleet.active(), full=True)) / size,
            ),
        ):
            rounds.setdefault(name, []).append(cost)
    fast = np.array(rounds["fleet of 16, fast path"])
    ratios = {
        "plain loop / fleet": np.array(rounds["plain PyTorch loop, one network"]) / fast,
        "Lightning fit / fleet": np.array(rounds["one Lightning fit per network"]) / fast,
        "vmapped fleet / fleet": np.array(rounds["fleet of 16, vmapped module"]) / fast,
        "evaluation every 25 steps, % of training": 100
        * np.array(rounds["one evaluation of all examples"])
        / fast
        / 25,
    }
    print("\n| CPU ms per replica-step | median | range of 5 rounds |\n|---|---|---|")
    for name, values in rounds.items():
        print(spread(name, values))
    print("\n| ratio, round by round | median | range |\n|---|---|---|")
    for name, values in ratios.items():
        print(spread(name, list(values)))
