"""Descriptions on MLflow's page: of a study, of its cells and of its report."""

from collections.abc import Mapping, Sequence
from typing import Any

from observatory.mirror.cells import Cell, Granularity
from observatory.store.describe import markdown_table, provenance, task_and_model
from observatory.store.identity import OBSERVED

ROWS = 60
"""Cells that the description of a study lists."""
_READING = (
    "**Numbers.** `rate/*` are shares of all replicas of a cell. `rate/first99` is the event rate: "
    "lost ones had the event, collapsed and diverged ones count as without; `rate/grokked` and the "
    "other names are outcomes. `t_grok/<event>` is the step by which "
    "half of **all** replicas had the event, and is missing where fewer did. A boundary belongs to "
    "its horizon: in the study's own run the step of a fit is the horizon at which the records "
    "were censored."
)


def curve_rule(points: int, granularity: Granularity, quartiles: bool) -> str:
    """What the curves are."""
    if granularity == "replica":
        return f"**Curves** are those of single replicas, at {points} log-spaced steps at most."
    wings = (
        "`_q25` and `_q75` its quartiles"
        if quartiles
        else "without its quartiles: the study has too many cells to draw them, the store has them"
    )
    return (
        f"**Curves** are the median over the seeds of a cell, {wings}, at {points} log-spaced "
        "steps at most. A replica that has left the fleet keeps its last values, so that early "
        "grokkers do not vanish from the median; values that are not finite are left out. A step "
        "appears once no replica can change it any more."
    )


def headline(found: Sequence[Cell], manifest: Mapping[str, Any], report: str) -> str:
    """The line that the page shows of a description before it is opened.

    It begins with plain words: the list of experiments shows its beginning as it is, unformatted.
    """
    outcomes = [outcome for cell in found for outcome in cell.outcomes]
    n = sum(len(cell.replicas) for cell in found)
    observed = manifest.get("kind") == OBSERVED
    on = "" if observed else f" on {manifest['task']['name']}"
    event = "reached" if observed else "grokked"
    return (
        f"{manifest['model']['name']}{on} · {len(found)} cells · {len(outcomes)} of {n} replicas "
        f"finished, {outcomes.count(event)} {event} · [Report, fits and figures]({report})"
    )


def study_words(
    found: Sequence[Cell],
    manifests: Sequence[Mapping[str, Any]],
    rule: str,
    folder: str,
    report: str,
) -> str:
    """Description of a study, on top of its page.

    Args:
        found: All its cells.
        manifests: Of its runs.
        rule: What the curves are.
        folder: Where the study lies.
        report: Link to the study's own run.
    """
    words = [cell.words for cell in found]
    rows = [(c.name, w["replicas"], w["outcomes"]) for c, w in zip(found, words, strict=True)]
    return "\n\n".join(
        [
            headline(found, manifests[0], report),
            *(f"{task_and_model(manifest)}." for manifest in manifests),
            "Colours run from dark to light along the swept setting; the last row of the table is "
            "the study itself, with `report.html`, figures, `fits.json` and `replicas.csv` as "
            "artifacts.",
            markdown_table(("cell", "replicas", "outcomes"), rows[:ROWS]),
            *([f"... and {len(rows) - ROWS} more cells."] if len(rows) > ROWS else []),
            rule,
            _READING,
            f"**Source.** Everything here was copied from `{folder}`, which keeps every replica at "
            "full resolution.",
            "\n".join(f"- {provenance(manifest)}" for manifest in manifests),
        ]
    )


def cell_words(cell: Cell, manifest: Mapping[str, Any], rule: str) -> str:
    """Description of one cell's run."""
    words = cell.words
    return "\n\n".join(
        [
            f"**{cell.name}**: {words['outcomes']} ({words['replicas']}). "
            f"{task_and_model(manifest)}.",
            rule,
            f"From {provenance(manifest)}.",
        ]
    )


def report_words(name: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """Description of the study's own run: every fit, refusals and warnings included."""
    rows = []
    for entry in entries:
        head = (entry["fit"], entry["estimator"], entry["event"], entry["horizon_steps"])
        if entry["refused"]:
            rows.append((*head, "refused", entry["refused"], "", entry.get("n", "")))
        rows += [
            (
                *head,
                parameter,
                number(estimate["value"]),
                f"{number(estimate['ci_low'])} to {number(estimate['ci_high'])}",
                entry["n"],
            )
            for parameter, estimate in (entry.get("params") or {}).items()
        ]
    header = ("fit", "estimator", "event", "horizon (steps)", "parameter", "value", "interval", "n")
    fits = markdown_table(header, rows) if rows else "No fits yet: `fits.json` is not written."
    warnings = [f"- {entry['fit']}: {text}" for entry in entries for text in entry["warnings"]]
    return "\n\n".join(
        [
            f"Report, figures and fits of the study **{name}**: see *Artifacts*.",
            fits,
            *dict.fromkeys(warnings),
        ]
    )


def number(value: float | None) -> str:
    """A number as a table shows it; an open end of an interval is a dash."""
    return "–" if value is None else f"{value:.4g}"
