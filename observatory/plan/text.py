"""A plan as a table for a terminal: one run in detail, several a line each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_FLOPS = "matrix products of forward and backward of the plain module, not of the fast path"
_BOUND = "nobody leaves before the horizon; machine as busy as now; writing, fit, report extra"
_MEMORY = {
    "parameters_bytes": "parameters",
    "gradient_bytes": "gradient",
    "optimizer_state_bytes": "optimizer state",
    "saved_activations_bytes": "saved activations",
    "evaluation_logits_bytes": "logits of an evaluation",
    "probe_looks_bytes": "copies for probes",
    "checkpoint_bytes": "copy for a checkpoint",
    "peak_bytes": "at once at most",
}
TIMES = {
    "train": "steps",
    "evaluate": "evaluation",
    "evaluate_full": "evaluation of all",
    "probe:forward": "forward for probes",
}


def text(plan: Mapping[str, Any]) -> str:
    """The result of `observatory.plan.plan.plan` for people."""
    runs: list[Mapping[str, Any]] = plan["runs"]
    lines = list(_several(plan, runs) if len(runs) > 1 else _one(plan, runs[0]))
    notes: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for name, why in run["absent_probes"].items():
            notes.setdefault(("no look", f"{name}: {why}"), []).append(run["overrides"])
        for warning in run["warnings"]:
            notes.setdefault(("warning", warning), []).append(run["overrides"])
    for (kind, note), where in notes.items():
        whose = "" if len(where) == len(runs) else f"{', '.join(where)}: "
        lines.append(f"{kind:<13}{whose}{note}")
    return "\n".join(lines)


def _one(plan: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    epochs = f"{run['horizon_epochs']:,.6g} epochs of {run['steps_per_epoch']}"
    yield f"{'study':<13}{_study(plan)}"
    yield f"{'model':<13}{run['model']}, {run['n_params']:,} parameters a replica"
    yield f"{'replicas':<13}{run['n_replicas']:,} in {_seats(run)}"
    yield (
        f"{'steps':<13}{run['horizon_steps']:,} at most ({epochs}, batches of "
        f"{run['batch_examples']:,}): {run['replica_steps_at_most']:,} replica-steps"
    )
    yield (
        f"{'operations':<13}{scaled(run['flops_per_replica_step'], 'FLOP')} a replica-step, "
        f"{scaled(run['flops_at_most'], 'FLOP')} at most"
    )
    yield f"{'':<13}({_FLOPS})"
    yield from _memory(plan, run)
    if kept := run["states"]:
        each, total = scaled(kept["state_bytes"], "B"), scaled(kept["bytes_at_most"], "B")
        yield f"{'kept states':<13}{kept['per_replica']:,} x {each} a replica: {total} at most"
    if run["measured"]:
        yield from _time(run)


def _memory(plan: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    head = "memory"
    for key, name in _MEMORY.items():
        value = run["memory_of_a_shard"][key]
        shown = "not measured" if value is None else scaled(value, "B")
        yield f"{head:<13}{name:<25}{shown:>10}"
        head = ""
    whose = f"{run['shards']} shards" if run["shards"] > 1 else "with the process"
    available = scaled(plan["memory_available_bytes"], "B")
    yield f"{'':<13}{whose:<25}{scaled(run['memory_peak_bytes'], 'B'):>10} of {available} available"
    if run["slots_that_fit"] is not None:
        yield f"{'':<13}fits                     fleet.size up to {run['slots_that_fit']}"


def _time(run: Mapping[str, Any]) -> Iterator[str]:
    """What takes a hundredth of the time or more, the rest as one."""
    head, times, wall = "time", run["time_of_a_shard_s"], run["estimated_wall_s"]
    each = {"train": run["step_s"], **run["look_s"]}
    count = {"train": run["horizon_steps"], **run["looks"]}
    rounds = f" x {run['rounds']}" if run["rounds"] > 1 else ""
    large = [key for key in times if times[key] >= 0.01 * wall]
    for key in sorted(large, key=lambda key: -times[key]):
        name = TIMES.get(key, key.replace(":", " "))
        product = f"{duration(each[key])} x {count[key]:,}{rounds}"
        yield f"{head:<13}{name:<25}{duration(times[key]):>10} = {product}"
        head = ""
    if len(large) < len(times):
        rest = sum(seconds for key, seconds in times.items() if key not in large)
        yield f"{'':<13}{f'{len(times) - len(large)} kinds of look':<25}{duration(rest):>10}"
    yield f"{'':<13}{'in all, at most':<25}{duration(wall):>10}"
    yield f"{'':<13}({_BOUND})"
    yield f"{'measured':<13}{_measured(run)}"


def _several(plan: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{'study':<13}{_study(plan)}, {plan['n_runs']} runs one after another"
    head = ("run", "parameters", "replicas", "seats", "steps", "FLOP a step", "memory", "at most")
    rows = [
        (
            run["overrides"],
            f"{run['n_params']:,}",
            f"{run['n_replicas']:,}",
            f"{run['shards']} x {run['slots']}",
            f"{run['horizon_steps']:,}",
            scaled(run["flops_per_replica_step"], ""),
            scaled(run["memory_peak_bytes"], "B"),
            duration(run["estimated_wall_s"]),
        )
        for run in runs
    ]
    peak, wall = scaled(plan["memory_peak_bytes"], "B"), duration(plan["estimated_wall_s"])
    total = ("all", "", f"{plan['n_replicas']:,}", "", "", "", peak, wall)
    widths = [max(len(row[i]) for row in (head, *rows, total)) for i in range(len(head))]
    for row in (head, *rows, total):
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells])
    yield (
        f"{'in all':<13}{plan['replica_steps_at_most']:,} replica-steps, "
        f"{scaled(plan['flops_at_most'], 'FLOP')}; "
        f"{scaled(plan['memory_available_bytes'], 'B')} of memory available"
    )
    yield f"{'operations':<13}{_FLOPS}"
    yield f"{'time':<13}{_BOUND}"
    for run in runs:
        if run["measured"]:
            yield f"{'measured':<13}{run['overrides']}: {_measured(run)}"


def _study(plan: Mapping[str, Any]) -> str:
    experiment = plan["experiment"]
    return plan["study"] + (f" (experiment {experiment})" if experiment else "")


def _seats(run: Mapping[str, Any]) -> str:
    shards, slots = run["shards"], run["slots"]
    seats = f"{shards} shard{'s' * (shards > 1)} x {slots:,} slot{'s' * (slots > 1)}"
    return seats + (f", filled {run['rounds']:,} times" if run["rounds"] > 1 else "")


def _measured(run: Mapping[str, Any]) -> str:
    """What was, of how much."""
    measured = run["measured"]
    slots, examples, steps = measured["slots"], measured["examples"], measured["steps"]
    words = f"{steps} step{'s' * (steps > 1)}, {slots:,} of {run['slots']:,} slots"
    if examples < run["batch_examples"]:
        words += f", {examples:,} of {run['batch_examples']:,} examples"
    words += f", one shard alone on {measured['device']}"
    part = slots < run["slots"] or examples < run["batch_examples"]
    return words + ("; SCALED to all" if part else "")


def scaled(value: float, unit: str) -> str:
    """A number with three digits and an SI prefix.

    Example:
        >>> scaled(818_688, "B"), scaled(7.5e9, "FLOP"), scaled(12, "B")
        ('819 kB', '7.5 GFLOP', '12 B')
    """
    prefixes = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"]
    while value >= 999.5 and len(prefixes) > 1:
        value, _ = value / 1000, prefixes.pop(0)
    return f"{_digits(value)} {prefixes[0]}{unit}".rstrip()


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them.

    Example:
        >>> [duration(s) for s in (0.0021, 42.0, 600.0, 7200.0, 3e5, None)]
        ['2.1 ms', '42 s', '10 min', '2 h', '3.47 days', 'unknown']
    """
    if seconds is None:
        return "unknown"
    for least, size, unit in (
        (1.5, 86400, "days"),
        (1.5, 3600, "h"),
        (1.5, 60, "min"),
        (1, 1, "s"),
    ):
        if seconds >= least * size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(1000 * seconds)} ms"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
