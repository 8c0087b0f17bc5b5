"""What a look at a model of its owner costs, beside its training: `make bench ARGS="-k watch"`."""

import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import observatory as ob
from observatory.watch.instrument import Instrument
from observatory.watch.tables import PROBES
from tests.benchmarks.timing import cpu_ms

pytestmark = pytest.mark.benchmark
_ON_THEIR_OWN = ("weight_spectrum", "lar")  # on a schedule of their own
_ROUNDS = 7


def language_model() -> Any:
    """12.5 M parameters, 8 blocks of 320 channels, 4096 tokens."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=320, intermediate_size=864, num_hidden_layers=8, num_attention_heads=8,
        vocab_size=4096, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


def cost_between_looks(model: Any, probed: torch.Tensor, folder: Path) -> float:
    """CPU-ms of a call at which nothing is due, the mean of 2000."""
    watch = ob.Observe(folder / "watched", batch={"input_ids": probed}, every=10**6, budget=None)
    watch.begin(model)
    watch.step(1)
    steps = iter(range(2, 10**6))
    took = cpu_ms(lambda: [watch.step(next(steps)) for _ in range(2000)])
    watch.end()
    return took / 2000


def test_cost_of_a_look(tmp_path: Path) -> None:
    """Medians of interleaved process times, one thread; sequences of 128 tokens."""
    model = language_model()
    optimizer = torch.optim.AdamW(model.parameters())
    tokens, probed = torch.randint(3, 4096, (8, 128)), torch.randint(3, 4096, (2, 128))
    instrument = Instrument(model, {"input_ids": probed})

    def step() -> None:
        optimizer.zero_grad()
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()

    def forward() -> None:
        with torch.no_grad():
            model(input_ids=probed)

    default = [name for name in PROBES if name not in _ON_THEIR_OWN]
    actions = {"forward alone": forward, "all by default": lambda: instrument.look(default)}
    actions |= {name: lambda name=name: instrument.look([name]) for name in PROBES}
    model.train()
    step()
    steps: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(_ROUNDS):
        steps.append(cpu_ms(step))
        for name, action in actions.items():
            times[name].append(cpu_ms(action))
    training = statistics.median(steps)
    between = cost_between_looks(model, probed, tmp_path)
    print(f"\nnot looking: {between:.4f} CPU-ms, {100 * between / training:.5f} % of a step")
    print(f"\na training step on 8 x 128 tokens: {training:.0f} CPU-ms")
    for name, each in times.items():
        median = statistics.median(each)
        print(f"{name:22s} {median:6.1f} CPU-ms, {10 * median / training:5.2f} % of ten steps")
