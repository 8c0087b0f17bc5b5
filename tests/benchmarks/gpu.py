"""What a step costs on a GPU, by stack size and by how it is launched: `make bench-gpu`.

Rows that no time is left for are named as such: all ends within `_BUDGET_S`. Where there is no CUDA
device it refuses; `--rehearse` then runs the same code on a CPU, in which a record of the
operations stands in for the graph: its numbers say nothing of a GPU.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import torch
from torch.nn import functional as F

from observatory.core.rng import named_generator
from observatory.fleet.fleet import Fleet
from tests.benchmarks.timing import laptop
from tests.replayed import replayed

SIZES = (1, 16, 64, 256, 512)
_BUDGET_S = 330.0
_PROCESSES = 12
_N_DECAYS = 11


@dataclass(frozen=True)
class Way:
    """How the steps of a stack are made."""

    name: str
    compiled: bool = False
    graphs: bool = False
    chosen: tuple[str, ...] = ()  # settings of the fleet that differ


_GENERIC = ("fleet.path=generic",)
WAYS = (
    Way("eager"),
    Way("graphs", graphs=True),
    Way("graphs, tf32", graphs=True, chosen=("fleet.matmul=tf32",)),
    Way("compiled", compiled=True),
    Way("compiled, graphs", compiled=True, graphs=True),
    Way("graphs, plain module", graphs=True, chosen=_GENERIC),
    Way("graphs, plain module, bf16", graphs=True, chosen=(*_GENERIC, "fleet.matmul=bf16")),
)


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    device: str
    sizes: Sequence[int]
    ways: Sequence[Way]
    seconds: float  # of every row, after its first steps
    n_processes: int  # single networks beside each other
    deadline: float  # by `time.monotonic`

    @property
    def rehearsed(self) -> bool:
        """Whether a CPU stands in."""
        return self.device == "cpu"


def wait_for(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def rate(step: Callable[[], object], device: str, seconds: float) -> float:
    """Calls per second."""
    wait_for(device)
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(10):
            step()
        n += 10
        wait_for(device)
    return n / (time.perf_counter() - began)


def busy_share(device: str) -> str:
    """How busy the device was in the last second, as its driver says."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True) if device == "cuda" else None
    except OSError:
        return "-"
    return "-" if said is None else said.stdout.strip().split("\n")[0]


def fleet_of(size: int, way: Way, plan: Plan) -> Fleet:
    """A full stack of the laptop map, weight decays and seeds as there."""
    on = {True: "on", False: "off"}
    seeds = ",".join(map(str, range(-(-size // _N_DECAYS))))
    parts = laptop(
        f"fleet.device={plan.device}",
        f"fleet.size={size}",
        f"fleet.compile={on[way.compiled]}",
        f"fleet.graphs={on[way.graphs and not plan.rehearsed]}",
        f"sweep.nuisance.seed=[{seeds}]",
        *way.chosen,
        *(["modulus=7"] if plan.rehearsed else []),
    )
    fleet = parts.shard(0, 1)
    if way.graphs and plan.rehearsed:
        fleet.capture = replayed
        fleet.resize(size)
    fleet.fill()
    return fleet


def row(size: int, way: Way, plan: Plan) -> str:
    """One line of the table."""
    cells = [way.name, str(size)]
    if time.monotonic() > plan.deadline:
        return "| " + " | ".join([*cells, "no time left", "-", "-"]) + " |"
    if plan.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    fleet = fleet_of(size, way, plan)
    fleet.advance(10)
    made = rate(lambda: fleet.advance(1), plan.device, plan.seconds)
    used, memory = busy_share(plan.device), "-"
    if plan.device == "cuda":
        memory = f"{torch.cuda.max_memory_allocated() / size / 1e6:.1f} MB"
    return "| " + " | ".join([*cells, f"{made * size:.0f}", used, memory]) + " |"


def single(device: str, seconds: float, ready: Any, rates: Any) -> None:
    """One network under `torch.optim.AdamW`, as most people train it; its steps per second."""
    parts = laptop(f"fleet.device={device}")
    network = parts.network
    network.initialise(named_generator(0, "init"))  # type: ignore[operator]
    network.to(device)
    split = parts.dataset.draw(0)
    inputs, labels = (x[split.train].to(device) for x in (parts.dataset.inputs, split.labels))
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=0.01, betas=(0.9, 0.98), weight_decay=1.0
    )

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), labels).backward()
        optimizer.step()

    for _ in range(10):
        step()
    ready.wait()
    rates.put(rate(step, device, seconds))


def beside_each_other(plan: Plan) -> str:
    """The line of single processes that share the device."""
    name = f"| {plan.n_processes} single processes | {plan.n_processes} |"
    if time.monotonic() > plan.deadline:
        return f"{name} no time left | - | - |"
    context = get_context("spawn")
    ready, rates = context.Barrier(plan.n_processes), context.Queue()
    given = plan.device, plan.seconds, ready, rates
    workers = [context.Process(target=single, args=given) for _ in range(plan.n_processes)]
    for worker in workers:
        worker.start()
    total = sum(rates.get(timeout=120.0) for _ in workers)
    for worker in workers:
        worker.join()
    return f"{name} {total:.0f} | - | - |"


def print_table(plan: Plan) -> None:
    """The table, line by line as it is measured."""
    if plan.rehearsed:
        print("A rehearsal on a CPU: the numbers say nothing of a GPU.\n")
    else:
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    print("| step | replicas | replica-steps/s | GPU busy | memory per replica |")
    print("|---|---|---|---|---|")
    for way in plan.ways:
        for size in plan.sizes:
            print(row(size, way, plan), flush=True)
    if plan.n_processes:
        print(beside_each_other(plan), flush=True)


def main(arguments: Sequence[str]) -> int:
    """Measure, or say why not; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rehearse", action="store_true", help="on a CPU, in some seconds")
    if parser.parse_args(arguments).rehearse:
        torch.set_num_threads(1)
        ways = [way for way in WAYS if not way.compiled and "fleet.matmul=tf32" not in way.chosen]
        print_table(Plan("cpu", (1, 2), ways, 0.01, 0, time.monotonic() + _BUDGET_S))
        return 0
    if not torch.cuda.is_available():
        print("`make bench-gpu` needs a CUDA device, and torch sees none.", file=sys.stderr)
        return 2
    print_table(Plan("cuda", SIZES, WAYS, 3.0, _PROCESSES, time.monotonic() + _BUDGET_S))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
