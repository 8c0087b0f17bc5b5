"""The tables of the page as text: what was counted and what was fitted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, records, words
from observatory.analysis.page.records import estimator_name, limits
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import (
    DASH,
    estimate,
    event_words,
    horizon_words,
    interval,
    number,
    sample_words,
    settings_words,
)
from observatory.analysis.times.section_laws import best_law, censored_laws
from observatory.store.describe import seeds_text

_COUNTED = ("grokked", "lost", "memorised", "none", "collapsed", "diverged", "unfinished")


def glance(facts: Facts) -> Table:
    """The study in a dozen lines."""
    manifest, replicas = facts.group.runs[0].manifest, facts.group.replicas
    finished = int((words(replicas, "outcome") != "").sum())
    lrs = ", ".join(decay_label(lr) for lr in sorted(replicas["lr"].unique()))
    decays = ", ".join(decay_label(value) for value in facts.cells["weight_decay"])
    rows = [
        *(_observed(manifest) if facts.group.observed else _trained(manifest)),
        ("Replicas", f"{sample_words(replicas)}; {finished} finished"),
        ("Weight decay", decays),
        ("Learning rate", lrs),
        ("Event", event_words(facts.event, facts.config) if facts.event else "none was named"),
        ("Horizon", horizon_words(facts.horizon, facts.group.steps_per_epoch)),
        *_failed(facts),
    ]
    rows += [
        (
            f"λc, {estimator_name(record)}",
            f"{estimate(record, 'critical')}; slope {estimate(record, 'slope')} per decade",
        )
        for record in facts.boundaries
        if limits(record, "critical") is not None
    ]
    refused: dict[str, list[str]] = {}
    for record in facts.boundaries:
        if record["refused"] is not None:
            refused.setdefault(str(record["refused"]), []).append(estimator_name(record))
    rows += [("λc, refused", f"{', '.join(by)}: {reason}") for reason, by in refused.items()]
    if (window := facts.window) is not None:
        upper = limits(window, "critical_upper")
        edge = (
            f"refused: {window['refused']}" if upper is None else estimate(window, "critical_upper")
        )
        rows.append(("Collapse edge", edge))
    best = best_law(censored_laws(facts.of("times_censored")))
    if best is not None:
        rows.append(("ν, all replicas", f"{best.nu_words}; {best.words}"))
    rows += [
        (
            "ν, uncensored replicas, λc = 0",
            "refused" if r["refused"] is not None else estimate(r, "nu"),
        )
        for r in facts.of("times")
        if r["extras"].get("critical_kind") == "zero"
    ]
    if (record := facts.single("horizon")) is not None:
        rows.append(("Verdict", str(record["extras"].get("verdict"))))
    return Table("At a glance", ("Quantity", "Value"), ("", "text"), rows, rows_have_heads=True)


def _failed(facts: Facts) -> list[tuple[str, str]]:
    """Which networks were lost, collapsed or diverged, by weight decay and seed."""
    replicas = facts.group.replicas
    outcome, decays = words(replicas, "outcome"), column(replicas, "weight_decay")
    rows: list[tuple[str, str]] = []
    for kind in ("lost", "collapsed", "diverged"):
        own = outcome == kind
        at = [
            f"{decay_label(decay)}: {seeds_text(sorted(replicas['seed'][own & (decays == decay)]))}"
            for decay in np.unique(decays[own])
        ]
        if at:
            rows.append((kind.capitalize(), f"weight decay and its seeds: {'; '.join(at)}"))
    return rows


def _trained(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was trained of our tasks and models."""
    task, model, config = manifest["task"], manifest["model"], manifest["config"]
    steps = manifest["steps_per_epoch"]
    batch = "all train examples at once" if steps == 1 else f"{steps} to an epoch"
    return [
        (
            "Task",
            f"{task['name']} ({settings_words(config['task'])}); {task['n_train']} train and "
            f"{task['n_val']} val examples",
        ),
        (
            "Model",
            f"{model['name']} ({settings_words(config['model'])}); {model['n_params']:,} "
            "parameters",
        ),
        ("Optimizer", _optimizer_words(config["optimizer"])),
        ("Batches", batch),
        ("Loss", f"{manifest['loss']['name']} in {manifest['dtypes']['loss']}"),
    ]


def _observed(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was observed of a model and a loop that are not ours."""
    model, looks = manifest["model"], manifest["config"]["probe"]
    return [
        ("Model", f"{model['name']}; {model['n_params']:,} parameters"),
        ("Precision", str(manifest["dtypes"]["parameters"])),
        ("Looks", f"{looks['every']}; at most {looks['budget']} of the time"
         if looks["budget"] is not None else str(looks["every"])),
    ]  # fmt: skip


def _optimizer_words(settings: Mapping[str, Any]) -> str:
    """The optimizer and what it wraps, with their settings, and the weights that decay."""
    update = settings["update"]
    name, own = str(update["_target_"]).rpartition(".")[2], settings_words(update)
    return f"{name}{f' ({own})' if own else ''}; {settings['decay']} weights decay"


def cells(facts: Facts) -> Table:
    """One row per weight decay."""
    rows: list[list[str]] = []
    for cell in records(facts.cells):
        decay = float(cell["weight_decay"])
        rate = DASH if pd.isna(cell["rate"]) else number(cell["rate"])
        wilson = (
            DASH
            if pd.isna(cell["rate"])
            else interval(round(cell["wilson_low"], 3), round(cell["wilson_high"], 3))
        )
        rows.append(
            [
                decay_label(decay),
                f"{cell['n']}",
                f"{cell['n_event']}",
                rate,
                wilson,
                number(cell["t_median"], 4),
                _quartiles(cell),
                number(cell["t_median_grokked"], 4),
                number(cell["tail_watched"], 4),
                ", ".join(f"{cell[name]} {name}" for name in _COUNTED if cell[name]) or DASH,
            ]
        )
    heads = (
        *("weight decay", "n", "with event", "event rate", f"Wilson {facts.level:.0%}"),
        *("median t", "quartiles of t", "median t, with event", "tail watched", "outcomes"),
    )
    caption = (
        f"Event {event_words(facts.event, facts.config)}. Horizon "
        f"{horizon_words(facts.horizon, facts.group.steps_per_epoch)}. Times in steps. Median and "
        "quartiles of t count every replica: a dash means that this share did not have the event "
        "by the horizon. Tail watched: median number of steps watched after the event; lost refers "
        "to these steps only. The outcome is of the whole record: lost replicas had the event, "
        "collapsed and diverged ones count as without."
    )
    return Table("Weight decays", heads, (*["num"] * (len(heads) - 1), "text"), rows, caption)


def _quartiles(cell: Mapping[str, Any]) -> str:
    ends = [number(cell[name], 4) for name in ("t_q25", "t_q75")]
    return DASH if ends == [DASH, DASH] else ", ".join(ends)
