"""Train many runs, or again those of a study that did not end; imports only what is needed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from observatory.core.errors import ObservatoryError

Config = dict[str, Any]
Watch = Callable[[Path], Any]
"""Given a run's folder, a context manager that shows its progress while it is open."""
Message = Callable[[str], None]
"""Receives lines for the user."""


def train_runs(runs: Mapping[str, Config], watch: Watch | None, message: Message) -> list[Path]:
    """Train runs, all of them checked before the first; returns their folders.

    As jobs, some are in flight at once, and one that fails does not end the others. Nothing is
    imported for runs that are known to have finished.

    Raises:
        ConfigError: If a setting of any run breaks its rule; nothing was written.
    """
    from observatory.launch.finished import finished_run, finished_runs

    folders = {run: finished_run(config) for run, config in runs.items()}
    left = {run: config for run, config in runs.items() if folders[run] is None}
    for folder in filter(None, folders.values()):
        message(f"{folder} was finished before: nothing was trained.")
    if not left:
        return [folder for folder in folders.values() if folder is not None]
    from observatory.launch.display import cost_text
    from observatory.launch.launcher import launcher_of
    from observatory.launch.run import check_runs

    for sentence in check_runs(left.values()):
        message(sentence)
    before = finished_runs(left.values())
    launcher = launcher_of(next(iter(left.values())), watch, message)
    queue = list(left.items())
    waiting: set[Path] = set()
    failure: ObservatoryError | None = None
    while queue or waiting:
        while queue and len(waiting) < launcher.parallel:
            run, config = queue.pop(0)
            if len(runs) > 1:
                message(f"run {len(runs) - len(queue)} of {len(runs)}: {run}")
            folders[run] = folder = launcher.start(config)
            waiting.add(folder)
        for folder, error in launcher.ended().items():
            waiting.remove(folder)
            failure = failure or error
            if error is None and folder in before:
                message(f"{folder} was finished before: nothing was trained.")
            elif error is None:
                message(cost_text(folder))
    if failure is not None:
        raise failure
    return [folder for folder in folders.values() if folder is not None]


def retry(
    study: Path, here: bool, watch: Watch | None, message: Message, *, trust: bool = False
) -> list[Path]:
    """Train the runs of a study that failed or were interrupted; returns their folders.

    Args:
        study: Its folder.
        here: Train on this machine, whatever trained them before.
        watch: Shows the progress of a run.
        message: Receives lines for the user.
        trust: Whether settings of the study may name code outside of this package, which runs.

    Raises:
        ConfigError: If they do without.
        StoreError: If it is no study, or a run fails again.
    """
    from observatory.launch.trust import check_trusted
    from observatory.store.reader import Study

    place = {"results": str(study.resolve().parent), "study": study.resolve().name}
    runs = {
        run.run_id: {**run.manifest["config"], **place, **({"launcher": None} if here else {})}
        for run in Study(study).runs
        if run.status in ("failed", "interrupted")
    }
    if not runs:
        message("nothing to retry: every run is done, or another process trains it")
        return []
    for run_id, config in runs.items():
        if not trust:
            check_trusted(config, f"Run `{run_id}` of {study}")
    return train_runs(runs, watch, message)
