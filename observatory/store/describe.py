"""A run in words, from its manifest."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from observatory.core.secrets import without_secrets
from observatory.store.identity import OBSERVED

_MAX_SEEDS = 100
"""Seeds up to which each is named."""


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def seeds_text(seeds: Iterable[int]) -> str:
    """Seeds one by one, or of more than a reader goes through how many, and between which.

    Example:
        >>> seeds_text([0, 1, 4]), seeds_text(range(200))
        ('0, 1, 4', '200 seeds, 0 to 199')
    """
    found = list(seeds)
    if len(found) <= _MAX_SEEDS:
        return ", ".join(map(str, found))
    return f"{len(set(found))} seeds, {min(found)} to {max(found)}"


def task_and_model(manifest: Mapping[str, Any]) -> str:
    """One line on what was trained."""
    model = manifest["model"]
    name = f"{model['name']} ({model['n_params']:,} parameters)"
    if manifest.get("kind") == OBSERVED:
        steps = manifest["horizon_steps"]
        planned = "" if steps is None else f" for {steps:,} steps"
        return f"{name}, watched in its owner's loop{planned}"
    task = manifest["task"]
    return (
        f"{name} on {task['name']}: "
        f"{task['n_train']:,} train and {task['n_val']:,} val examples, "
        f"{task['n_classes']} classes, horizon {manifest['horizon_steps']:,} steps"
    )


def provenance(manifest: Mapping[str, Any]) -> str:
    """One line on where the numbers come from."""
    git, machine = manifest["git"], manifest["machine"]
    commit = (git["commit"] or "unknown")[:12] + (
        " with uncommitted changes" if git["dirty"] else ""
    )
    return (
        f"run `{manifest['run_id']}`, `{without_secrets(manifest['command'])}`, commit {commit}, "
        f"observatory {manifest['package_version']}, host {machine['host']}, {manifest['created']}"
    )
