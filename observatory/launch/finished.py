"""Whether a run had finished before, found from its manifest alone: neither torch nor a network."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from observatory.core.settings import fits
from observatory.core.signatures import declared_by
from observatory.launch.layout import begun_runs
from observatory.store.rows import lost_rows
from observatory.training.replicas import Config


def finished_run(config: Config) -> Path | None:
    """The folder of the run that a configuration names, if it is known to have finished.

    None is no answer: what is not sure here is found out where the run is started. So it is where
    several runs have these settings on different layouts, and where the examples of the task come
    from a file or a function of the user's, which may have changed.

    Args:
        config: Checked plain values; `auto` is allowed.
    """
    if not _given_by_settings(config["task"]):
        return None
    found = list(_begun(config))
    return found[0][0] if len(found) == 1 and _is_whole(*found[0]) else None


def finished_runs(configs: Iterable[Config]) -> set[Path]:
    """Folders of the runs that some configurations may name and that are done, with all rows."""
    begun = (found for config in configs for found in _begun(config))
    return {folder for folder, manifest in begun if _is_whole(folder, manifest)}


def _begun(config: Config) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    runs = Path(config["results"]) / config["study"] / "runs"
    return ((runs / manifest["run_id"], manifest) for manifest, _ in begun_runs(config))


def _is_whole(folder: Path, manifest: Mapping[str, Any]) -> bool:
    return manifest["status"] == "done" and not lost_rows(folder, manifest)


def _given_by_settings(entry: Mapping[str, Any]) -> bool:
    """Whether a component depends on its settings alone: it is ours, and no setting is free text.

    A text that is not one of a list of names may be the path of a file.
    """
    target = str(entry["_target_"])
    signature = declared_by(target)
    if signature is None or not target.startswith("observatory."):
        return False
    for name, value in entry.items():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping) and not _given_by_settings(inner):
                return False
        free_text = isinstance(value, str) and fits("any text", signature.types.get(name, str))
        if free_text and name != "_target_":
            return False
    return True
