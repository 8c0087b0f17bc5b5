"""What a step, a look and an evaluation of a stack take: real ones, a few, on this machine.

Where the whole stack would not fit or take too long, fewer slots or examples are measured and the
rest is scaled; `Costs` says what was.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from observatory.core.rng import named_generator
from observatory.core.view import FleetView
from observatory.fleet.evaluate import evaluate
from observatory.fleet.fleet import Fleet
from observatory.fleet.look import looks_together
from observatory.fleet.step import DTYPES, replica_losses
from observatory.training.build import Parts

_TRIAL_FLOPS = 5e10
"""A second or two on one core: a first step with more is made with fewer examples."""
STEPS, MOST_STEPS, LONG_ENOUGH_S = 3, 20, 0.5
"""Steps that are timed: at least three, then more until they took half a second."""
SHARE_OF_FREE = 0.7
"""Of the available memory, what a measurement may take."""


@dataclass(frozen=True)
class Costs:
    """Seconds and bytes of the whole stack of a shard, measured or scaled."""

    slots: int  # slots that were measured
    examples: int  # examples per slot that were measured
    steps: int  # optimizer steps that were timed
    step_s: float  # one stacked step
    saved_bytes: int  # what autograd keeps of the forward until the backward
    evaluate_s: float  # one regular evaluation
    forward_s: float  # the recorded forward that the probes of a look share
    probe_s: dict[str, float]  # one look of each probe


def looked_at(parts: Parts) -> int:
    """Examples per replica at a regular evaluation."""
    return sum(parts.evaluation.looked_at(parts.dataset))


def flops_per_step(parts: Parts) -> int:
    """Floating-point operations of the matrix products of one replica's step, 2 per multiply-add.

    Of forward and backward of the plain module on one batch: counted on two and on four examples,
    between and beyond which the count is a straight line.
    """
    two, four = _flops(parts, 2), _flops(parts, 4)
    return two + (four - two) * (parts.batch_examples - 2) // 2


def _flops(parts: Parts, examples: int) -> int:
    few = torch.arange(examples) % len(parts.dataset)
    labels = parts.dataset.task.labels(named_generator(0, "labels"))[few]
    with FlopCounterMode(display=False) as counter:
        logits = parts.network(parts.dataset.inputs[few]).unsqueeze(0)
        loss = replica_losses(
            parts.loss, logits, labels.unsqueeze(0), None, DTYPES[parts.fleet.loss_dtype]
        )
        torch.autograd.grad(loss.sum(), list(parts.network.parameters()), allow_unused=True)
    return counter.get_total_flops()


def state_bytes(parts: Parts, n_params: int) -> int:
    """Optimizer state of one slot."""
    row = torch.zeros(1, n_params, dtype=DTYPES[parts.fleet.dtype], device="meta")
    return sum(value.nbytes for value in parts.optimizer.init(row).values())


def available_bytes(device: str) -> int:
    """Memory that is free on the device, of one GPU where there are several."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def measure(
    parts: Parts, shards: int, flops: int, slot_bytes: int, free_bytes: int, limit_s: float
) -> Costs | None:
    """What a shard's whole stack takes; None where not even one slot fits into memory.

    Args:
        parts: The run.
        shards: Number of shards; the first is measured, alone.
        flops: Operations of one replica's step.
        slot_bytes: Parameters, gradient, optimizer state and look of one slot.
        free_bytes: Memory that may be taken.
        limit_s: Seconds that the steps may take, about.
    """
    if 2 * slot_bytes > free_bytes:
        return None
    trial = _trial(parts, shards, flops)
    size, batch = parts.fleet.size, parts.batch_examples
    in_memory = SHARE_OF_FREE * free_bytes / (slot_bytes + trial.saved_bytes / size)
    steps = 2 + STEPS + looked_at(parts) / (3 * batch)  # an evaluation has no backward
    in_time = limit_s / (steps * trial.step_s / size)
    slots = int(min(size, in_memory, in_time))
    return trial if slots < 1 else _stacked(parts, shards, slots)


def _trial(parts: Parts, shards: int, flops: int) -> Costs:
    """One slot and as many examples as are quick, scaled to all."""
    batch, size = parts.batch_examples, parts.fleet.size
    examples = min(batch, max(4, int(_TRIAL_FLOPS * batch / flops))) if flops else batch
    fleet = _seated(parts, shards, 1)
    points = (max(1, examples // 4), examples)
    saved: list[float] = []
    seconds: list[float] = []
    _saved_bytes(fleet, points[0])  # warms up
    for n in points:
        began = time.perf_counter()
        saved.append(_saved_bytes(fleet, n))
        seconds.append(time.perf_counter() - began)
    gradient = torch.zeros_like(fleet.flat)
    update_s = _seconds(
        fleet,
        lambda: fleet.optimizer.update(fleet.flat, gradient, fleet.optimizer_state, fleet.hyper),
    )
    inputs = fleet.inputs[:examples].expand(1, -1, -1)
    labels, in_train = fleet.splits.labels[:, :examples], fleet.splits.in_train[:, :examples]
    params = fleet.layout.views(fleet.flat)
    evaluate_s = _seconds(
        fleet,
        lambda: evaluate(
            fleet.forward, fleet.loss, params, inputs, labels, in_train,
            fleet.loss_dtype, parts.evaluation.chunk,
        ),
    )  # fmt: skip
    forward_s, probe_s = _probes(parts, fleet, size)
    return Costs(
        slots=1,
        examples=examples,
        steps=1,
        step_s=size * (_line(points, seconds, batch) + update_s),
        saved_bytes=round(size * _line(points, saved, batch)),
        evaluate_s=size * evaluate_s * looked_at(parts) / examples,
        forward_s=forward_s,
        probe_s=probe_s,
    )


def _stacked(parts: Parts, shards: int, slots: int) -> Costs:
    """Real steps of `slots` slots, scaled to all."""
    fleet, more = _seated(parts, shards, slots), parts.fleet.size / slots
    saved = _saved_bytes(fleet, parts.batch_examples)
    fleet.advance(1)
    times: list[float] = []
    while len(times) < STEPS or (len(times) < MOST_STEPS and sum(times) < LONG_ENOUGH_S):
        times.append(_seconds(fleet, lambda: fleet.advance(1)))
    everyone = list(range(slots))
    evaluate_s = _seconds(fleet, lambda: fleet.evaluate(everyone, full=False))
    if evaluate_s < LONG_ENOUGH_S:
        evaluate_s = _seconds(fleet, lambda: fleet.evaluate(everyone, full=False))
    forward_s, probe_s = _probes(parts, fleet, parts.fleet.size)
    return Costs(
        slots=slots,
        examples=parts.batch_examples,
        steps=len(times),
        step_s=more * median(times),
        saved_bytes=round(more * saved),
        evaluate_s=more * evaluate_s,
        forward_s=forward_s,
        probe_s=probe_s,
    )


def _seated(parts: Parts, shards: int, slots: int) -> Fleet:
    """The first shard's fleet with fewer slots, all taken."""
    settings = replace(parts.fleet, size=slots, compile="off")
    fleet = replace(parts, fleet=settings).shard(0, shards)
    fleet.fill()
    return fleet


def _gradient(fleet: Fleet, examples: int) -> Tensor:
    slots = len(fleet.slots)
    order = torch.arange(examples, device=fleet.device) % len(fleet.inputs)
    inputs = fleet.inputs[order].expand(slots, -1, -1)
    _, gradient = fleet.loss_and_gradient(fleet.flat, inputs, fleet.splits.labels[:, order], None)
    return gradient


def _saved_bytes(fleet: Fleet, examples: int) -> int:
    """Storages that autograd keeps of one forward, each once, the parameters left out."""
    storages: dict[int, int] = {}

    def note(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return saved

    with saved_tensors_hooks(note, lambda saved: saved):
        _gradient(fleet, examples)
    storages.pop(fleet.flat.untyped_storage().data_ptr(), None)
    return sum(storages.values())


@torch.no_grad()
def _probes(parts: Parts, fleet: Fleet, size: int) -> tuple[float, dict[str, float]]:
    """Seconds per look of a whole stack: the forward that is shared, and each probe's own.

    Looks of a small stack wait until `fleet.probe_buffer` is full and are measured as one.
    """
    slots = len(fleet.slots)
    looks = looks_together(parts.fleet.probe_buffer, parts.fleet.size, fleet.flat.shape[1])
    share = size / slots / looks

    def view() -> FleetView:
        seen = fleet.view(fleet.look(list(range(slots)) * looks))
        if any(scheduled.probe.needs for scheduled in parts.probes.values()):
            seen.activations["logits"]
        return seen

    began = time.perf_counter()
    seen = view()
    forward_s = time.perf_counter() - began
    if quick := forward_s < LONG_ENOUGH_S:
        forward_s = _seconds(fleet, view)
    probe_s: dict[str, float] = {}
    for name, scheduled in parts.probes.items():
        seconds = _seconds(fleet, partial(scheduled.probe.measure, seen))
        if quick and seconds < LONG_ENOUGH_S:
            # Of a fresh view: a probe that asks for more activations pays for them.
            seconds = _seconds(fleet, partial(scheduled.probe.measure, view()))
        probe_s[name] = share * seconds
    return share * forward_s, probe_s


def _line(at: tuple[int, int], values: list[float], wanted: int) -> float:
    """The straight line through two points, never below the second."""
    (x0, x1), (y0, y1) = at, values
    return y1 if wanted == x1 else max(y1, y1 + (y1 - y0) * (wanted - x1) / (x1 - x0))


def _seconds(fleet: Fleet, call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    if fleet.device.type == "cuda":
        torch.cuda.synchronize(fleet.device)
    return time.perf_counter() - began
