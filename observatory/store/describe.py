"""A run in words, from its manifest."""

from collections.abc import Mapping, Sequence
from typing import Any

from observatory.core.secrets import without_secrets


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def task_and_model(manifest: Mapping[str, Any]) -> str:
    """One line on what was trained."""
    task, model = manifest["task"], manifest["model"]
    return (
        f"{model['name']} ({model['n_params']:,} parameters) on {task['name']}: "
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
