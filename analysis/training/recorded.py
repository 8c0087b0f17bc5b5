"""Where readings of a probe lie: in the training's own tables, or in those of its kept states."""

from collections.abc import Iterable

from observatory.analysis.page.groups import Group
from observatory.store.reader import EVALUATION
from observatory.store.reprobed import REPROBED, ReprobedTable, reprobed_tables


def table_of(group: Group, probe: str) -> str:
    """The table of a probe: of the training where it was on, else of kept states; empty for none.

    Args:
        group: The replicas.
        probe: Its name, or "evaluation".
    """
    if probe == EVALUATION:
        return EVALUATION
    places = (f"probes/{probe}", f"{REPROBED}/{probe}")
    return next((place for place in places if group.columns(place)), "")


def said_of_kept(group: Group, probes: Iterable[str]) -> str:
    """A sentence on the probes that looked at kept states after the training; empty for none.

    Args:
        group: The replicas.
        probes: Those of a figure.
    """
    kept = [p for p in dict.fromkeys(probes) if table_of(group, p) == f"{REPROBED}/{p}"]
    if not kept:
        return ""
    tables = [reprobed_tables(run) for run in group.runs]
    steps = {p: _since(found[p] for found in tables if p in found) for p in kept}
    named = ", ".join(f"{p} (--since {since})" if since else p for p, since in steps.items())
    means = " --since: the step that takes the place of the start." if any(steps.values()) else ""
    return f" Looked at after the training, at kept states: {named}.{means}"


def _since(tables: Iterable[ReprobedTable]) -> str:
    """The steps that a probe compared with, in words; empty where that was the start."""
    steps = {table.since for table in tables}
    return " or ".join(f"{step}" for step in sorted(step for step in steps if step is not None))
