"""What a reader learns in half a minute: three sentences, and a title in a person's words."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, words
from observatory.analysis.page.records import Record, estimator_name, limits
from observatory.analysis.page.wording import (
    component_words,
    estimate,
    horizon_words,
    number,
    operation_words,
    sample_words,
    verdict_sentence,
)
from observatory.analysis.report.answer import peak
from observatory.analysis.tables.watched import of_checkpoints


def summary(facts: Facts) -> list[str]:
    """Where the boundary lies, where the event is seen, and whether the boundary is a threshold.

    Where nothing can be fitted: what was looked at, how often the event was seen, and why.
    """
    if facts.unfitted:
        n = sample_words(facts.group.replicas)
        had = int((~np.isnan(column(facts.times, "t_hi"))).sum())
        seen = f" {had} of {len(facts.times)} had the event." if facts.event else ""
        looked = f"What was looked at of {n}, a figure per kind of measurement.{seen}"
        return [looked, facts.unfitted]
    sentences = [_boundary(facts), f"{peak(facts)} {ends(facts)}".strip(), _verdict(facts)]
    return [sentence for sentence in sentences if sentence]


def _boundary(facts: Facts) -> str:
    within = horizon_words(facts.horizon, facts.group.steps_per_epoch)
    if not facts.boundaries:
        return f"No boundary was fitted within {within}."
    lead = facts.boundaries[0]
    given = [record for record in facts.boundaries if limits(record, "critical")]
    if not given:
        return f"No boundary is given within {within}: {lead['refused']}"
    record = lead if lead["refused"] is None else given[0]
    what = "to the event" if facts.group.observed else "from memorising to grokking"
    return (
        f"Within {within}, weight decay switches the network {what} at λc = "
        f"{estimate(record, 'critical')} ({estimator_name(record)}{_level(record)}, n = "
        f"{_entered(record, facts)})."
    )


def _entered(record: Record, facts: Facts) -> str:
    """How many replicas a boundary is of, and of which."""
    n, every = record["n"], len(facts.group.replicas)
    if n == every:
        return f"{n} replicas"
    return f"{n} of {every} replicas, those at 0 < weight decay ≤ {number(facts.window_max)}"


def ends(facts: Facts) -> str:
    """How many records ended with the event, without it, or failed."""
    end = words(facts.times, "end")
    if not end.size:
        return ""
    had, open_ = int((~np.isnan(column(facts.times, "t_hi"))).sum()), int((end == "censored").sum())
    failed = [f"{int((end == x).sum())} {x}" for x in ("collapsed", "diverged") if (end == x).any()]
    also = f", {' and '.join(failed)}" if failed else ""
    return (
        f"In all, {had} of {end.size} replicas had it; {open_} ended without it and count as "
        f"censored in times{also}."
    )


def _level(record: Record) -> str:
    _, low, high = limits(record, "critical") or (None, None, None)
    return "" if low is None or high is None else f", {record['level']:.0%} interval"


def _verdict(facts: Facts) -> str:
    record = facts.single("horizon")
    if record is None:
        refused = [str(r["refused"]).partition(". ")[0].rstrip(".") for r in facts.of("horizon")]
        return f"Whether it is a threshold is not judged: {refused[0]}." if refused else ""
    verdict, deciding = str(record["extras"].get("verdict")), record["extras"]
    said = verdict_sentence(verdict)
    steps = deciding.get("deciding_horizon")
    return said if steps is None else f"{said} A horizon of {steps:.0f} steps would decide."


def title_of(manifest: Mapping[str, Any]) -> str:
    """Model and task of a run, such as "Transformer, addition modulo 31".

    Example:
        >>> config = {"task": {"operation": "add", "p": 31}}
        >>> title_of({"model": {"name": "lstm"}, "task": {"name": "add"}, "config": config})
        'LSTM, addition modulo 31'
    """
    if "task" not in manifest:
        return "Saved checkpoints" if of_checkpoints(manifest) else "Observed trainings"
    model = str(manifest["model"]["name"])
    task, settings = str(manifest["task"]["name"]), manifest["config"].get("task", {})
    task_words = operation_words(str(settings.get("operation", task)))
    if settings.get("p") is not None:
        task_words += f" modulo {settings['p']}"
    if settings.get("random_labels"):
        task_words += ", random labels"
    return f"{component_words(model)}, {task_words}"
