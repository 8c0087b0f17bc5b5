"""What runs would cost, measured before anything is spent; nothing is written."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from observatory.core.contracts import Model
from observatory.fleet.look import looks_together
from observatory.fleet.stack import layout_of
from observatory.fleet.step import DTYPES
from observatory.launch.layout import resolved
from observatory.launch.settings import job_settings
from observatory.plan.measure import (
    SHARE_OF_FREE,
    Costs,
    available_bytes,
    flops_per_step,
    looked_at,
    measure,
    state_bytes,
)
from observatory.training.build import Parts, build
from observatory.training.keep import due_steps, left_out
from observatory.training.kept_states import PURPOSE
from observatory.training.replicas import Config
from observatory.training.shard import keep_memory, schedules

_LIMIT_S = 20.0
"""Seconds that the timed steps of all runs may take together, about."""
_PROCESS_BYTES = 600_000_000
"""A worker after its imports."""
_LONG_S = 3600.0
"""From here on a CPU's estimate comes with advice."""


def plan(runs: Mapping[str, Config]) -> dict[str, Any]:
    """Replicas, steps, operations, memory and time of runs, as plain values.

    Everything that follows from the settings is exact. Times are measured on this machine and are
    upper bounds: nobody leaves before the horizon. Start, writing, fit and report come on top.

    Args:
        runs: As of `observatory.launch.compose.compose_runs`.

    Returns:
        `study`, `experiment`, `n_runs`, `n_replicas`, `replica_steps_at_most`, `flops_at_most`,
        `estimated_wall_s` (null where a run could not be measured), `memory_peak_bytes` (the
        largest of the runs), `memory_available_bytes`, and `runs`, a list of one object each:

        - `overrides`: what sets the run apart from the others; "" for a single one.
        - `model`, `n_params`; `n_replicas`, `shards`, `slots` (of a shard), `rounds` (how often a
          shard's slots are filled).
        - `horizon_steps`, `steps_per_epoch`, `horizon_epochs`, `batch_examples`,
          `replica_steps_at_most`.
        - `flops_per_replica_step`, `flops_at_most`: matrix products of forward and backward of the
          plain module, 2 per multiply-add; the fast path may make fewer.
        - `memory_of_a_shard`: `parameters_bytes`, `gradient_bytes`, `optimizer_state_bytes`,
          `saved_activations_bytes` (null where not measured), `evaluation_logits_bytes`,
          `probe_looks_bytes`, `checkpoint_bytes`, `peak_bytes`. `memory_peak_bytes`: all shards on
          a CPU with their processes, or one GPU. `slots_that_fit`: the largest `fleet.size` of a
          shard in its share of the memory that is available here, or in the memory of its job
          (null where not measured).
        - `looks`: per replica to the horizon, by "evaluate", "evaluate_full", "probe:NAME" and
          "probe:forward" (looks at which probes share a forward).
        - `step_s` (of all slots), `look_s`, by the same names;
          `time_of_a_shard_s`: "train" and the same names; `estimated_wall_s`. Null: not measured.
        - `measured`: `device`, `slots`, `examples`, `steps`; null where nothing could be.
        - `states`: complete states that are kept: `per_replica`, `state_bytes`, `bytes_at_most` (on
          the disk, before files compress them); null: none.
        - `absent_probes`: reason by name. `warnings`: sentences.
    """
    plans = [_plan_run(name, config, _LIMIT_S / len(runs)) for name, config in runs.items()]
    config = next(iter(runs.values()))
    walls = [run["estimated_wall_s"] for run in plans]
    return {
        "study": config["study"],
        "experiment": config.get("experiment"),
        "n_runs": len(plans),
        **{
            name: sum(run[name] for run in plans)
            for name in ("n_replicas", "replica_steps_at_most", "flops_at_most")
        },
        "estimated_wall_s": None if None in walls else sum(walls),
        "memory_peak_bytes": max(run["memory_peak_bytes"] for run in plans),
        "memory_available_bytes": min(run.pop("memory_available_bytes") for run in plans),
        "runs": plans,
    }


def _plan_run(name: str, config: Config, limit_s: float) -> dict[str, Any]:
    config = resolved(config)
    parts, shards = build(config), config["fleet"]["shards"]
    network, batch, horizon = parts.network, parts.batch_examples, parts.rules.horizon_steps
    assert isinstance(network, Model)  # `build` refuses others
    n_params, n_replicas = sum(layout_of(network).sizes), len(parts.table)
    rounds = math.ceil(math.ceil(n_replicas / shards) / parts.fleet.size)
    steps_per_epoch = math.ceil(parts.dataset.n_train / batch)
    memory = _memory(parts, n_params)
    kept = ("parameters_bytes", "gradient_bytes", "optimizer_state_bytes", "probe_looks_bytes")
    slot_bytes = sum(memory[part] for part in kept) // parts.fleet.size
    free = available_bytes(parts.fleet.device)
    threads = torch.get_num_threads()
    torch.set_num_threads(config["fleet"]["threads"])
    keep_memory()
    try:
        flops = flops_per_step(parts)
        costs = measure(parts, shards, flops, slot_bytes, free, limit_s)
    finally:
        torch.set_num_threads(threads)
    memory["saved_activations_bytes"] = costs and costs.saved_bytes
    memory["peak_bytes"] = _peak(memory, parts)
    on_cpu = parts.fleet.device == "cpu"
    looks = _looks(parts)
    found = {
        "overrides": name,
        "model": type(network).__name__,
        "n_params": n_params,
        "n_replicas": n_replicas,
        "shards": shards,
        "slots": parts.fleet.size,
        "rounds": rounds,
        "horizon_steps": horizon,
        "steps_per_epoch": steps_per_epoch,
        "horizon_epochs": horizon / steps_per_epoch,
        "batch_examples": batch,
        "replica_steps_at_most": n_replicas * horizon,
        "flops_per_replica_step": flops,
        "flops_at_most": flops * n_replicas * horizon,
        "memory_of_a_shard": memory,
        "memory_peak_bytes": shards * (memory["peak_bytes"] + _PROCESS_BYTES)
        if on_cpu
        else memory["peak_bytes"],
        "memory_available_bytes": free,
        "slots_that_fit": costs and _slots_that_fit(config, memory["peak_bytes"], free),
        "looks": looks,
        **_time(parts, costs, looks, rounds),
        "measured": costs
        and {
            "device": parts.fleet.device,
            "slots": costs.slots,
            "examples": costs.examples,
            "steps": costs.steps,
        },
        "states": _states(parts),
        "absent_probes": parts.unavailable,
    }
    thinned = left_out(config, parts.states)
    return {
        **found,
        "warnings": [*_warnings(found, on_cpu, free), *([thinned] if thinned else [])],
    }


def _states(parts: Parts) -> dict[str, Any] | None:
    """Complete states that are kept, and what they take."""
    kept, horizon = parts.states, parts.rules.horizon_steps
    if kept is None:
        return None
    steps = {*kept.steps(horizon), *([horizon] if kept.horizon else ())}
    n = len(steps) + len(kept.events)
    return {
        "per_replica": n,
        "state_bytes": parts.state_bytes,
        "bytes_at_most": n * len(parts.table) * parts.state_bytes,
    }


def _slots_that_fit(config: Config, peak_bytes: int, free_bytes: int) -> int:
    fleet, jobs = config["fleet"], job_settings(config)
    room = float(free_bytes)
    if fleet["device"] == "cpu":
        room = jobs.mem_gb * 1e9 if jobs else room / fleet["shards"]
        room -= _PROCESS_BYTES
    return max(0, int(SHARE_OF_FREE * room * fleet["size"] / peak_bytes))


def _memory(parts: Parts, n_params: int) -> dict[str, Any]:
    """Bytes of a shard's stack that follow from the settings."""
    settings, size = parts.fleet, parts.fleet.size
    item = DTYPES[settings.dtype].itemsize
    flat = size * n_params * item
    everything = parts.evaluation.full is not None or parts.evaluation.subset is None
    looked = len(parts.dataset) if everything else looked_at(parts)
    if not parts.loss.coupled:  # which needs the logits of all examples at once
        looked = min(looked, parts.evaluation.chunk)
    logits = size * looked * parts.dataset.task.n_classes
    state = size * state_bytes(parts, n_params)
    looks = looks_together(settings.probe_buffer, size, n_params)
    return {
        "parameters_bytes": flat,
        "gradient_bytes": flat,
        "optimizer_state_bytes": state,
        "saved_activations_bytes": None,
        # The logits, and the loss's own copy of them.
        "evaluation_logits_bytes": logits * (item + DTYPES[settings.loss_dtype].itemsize),
        # The copies that wait, and the one that joins them.
        "probe_looks_bytes": 2 * looks * flat if parts.probes else 0,
        "checkpoint_bytes": flat + state,
    }


def _peak(memory: Mapping[str, Any], parts: Parts) -> int:
    """What is always there, and the largest of what comes and goes."""
    passing = [
        memory["gradient_bytes"] + (memory["saved_activations_bytes"] or 0),
        memory["evaluation_logits_bytes"],
        memory["probe_looks_bytes"],
        memory["checkpoint_bytes"] if parts.fleet.device == "cpu" else 0,
    ]
    return memory["parameters_bytes"] + memory["optimizer_state_bytes"] + max(passing)


def _looks(parts: Parts) -> dict[str, int]:
    """Looks per replica from step 0 to the horizon, by purpose."""
    horizon = parts.rules.horizon_steps
    due = {
        purpose: set(due_steps(schedule, horizon))
        for purpose, schedule in schedules(parts).items()
        if purpose != PURPOSE  # copies, which take no time worth a line
    }
    shared = [due[f"probe:{name}"] for name, s in parts.probes.items() if s.probe.needs]
    counts = {purpose: len(steps) for purpose, steps in due.items()}
    return {**counts, "probe:forward": len(set[int]().union(*shared))}


def _time(
    parts: Parts, costs: Costs | None, looks: Mapping[str, int], rounds: int
) -> dict[str, Any]:
    """Seconds of a shard whose slots are full to the horizon, in every round."""
    if costs is None:
        names = ("step_s", "look_s", "time_of_a_shard_s")
        return dict.fromkeys((*names, "estimated_wall_s"))
    per_look = {
        "evaluate": costs.evaluate_s,
        **{f"probe:{name}": seconds for name, seconds in costs.probe_s.items()},
        "probe:forward": costs.forward_s,
    }
    if "evaluate_full" in looks:
        per_look["evaluate_full"] = costs.evaluate_s * len(parts.dataset) / looked_at(parts)
    times = {"train": rounds * parts.rules.horizon_steps * costs.step_s}
    times |= {purpose: rounds * looks[purpose] * per_look[purpose] for purpose in looks}
    return {
        "step_s": costs.step_s,
        "look_s": per_look,
        "time_of_a_shard_s": times,
        "estimated_wall_s": sum(times.values()),
    }


def _warnings(found: Mapping[str, Any], on_cpu: bool, free: int) -> Iterator[str]:
    peak, memory = found["memory_peak_bytes"], found["memory_of_a_shard"]
    if found["measured"] is None:
        yield (
            "one slot does not fit into the available memory with room to measure it: neither "
            "times nor activations are known. Measure on a larger machine."
        )
    if peak > free:
        overhead = found["shards"] * _PROCESS_BYTES if on_cpu else 0
        shards = found["shards"] if on_cpu else 1
        fitting = int((free - overhead) / (shards * memory["peak_bytes"] / found["slots"]))
        advice = f"fleet.size={fitting}" if fitting >= 1 else "fleet.size=1 fleet.shards=1"
        yield f"needs more memory than is available: {advice}."
    if on_cpu and (found["estimated_wall_s"] or 0) > _LONG_S:
        yield "hours on this machine: fleet.device=cuda on one with a GPU."
