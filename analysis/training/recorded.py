"""Where readings of a probe lie: in the training's own tables, or in those of its kept states."""

from collections.abc import Iterable

from observatory.analysis.page.groups import Group
from observatory.store.reader import EVALUATION
from observatory.store.reprobed import REPROBED, reprobed_tables


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
    before = [found[p].since for found in tables for p in kept if p in found]
    since = sorted({step for step in before if step is not None})
    steps = " or ".join(map(str, since))
    compared = f"; what compares with another state does with that of step {steps}" if since else ""
    return f" Looked at after the training, at kept states: {', '.join(kept)}{compared}."
