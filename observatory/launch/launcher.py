"""Who trains runs: this machine, one after another, or a cluster, many at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, final, runtime_checkable

from observatory.core.errors import ObservatoryError
from observatory.launch.run import launch
from observatory.launch.settings import job_settings
from observatory.training.replicas import Config


@runtime_checkable
class Launcher(Protocol):
    """Trains runs somewhere, `parallel` of them at once."""

    parallel: int

    def start(self, config: Config) -> Path:
        """Begin a run or continue it; may return before it has ended. Returns its folder."""
        ...

    def ended(self) -> dict[Path, ObservatoryError | None]:
        """Wait until a started run has ended; all that have since, and why where one failed."""
        ...


@final
class _LocalLauncher:
    """Trains on this machine; a run has ended when it was started.

    Args:
        watch: Given a run's folder, a context manager that shows its progress.
    """

    parallel = 1

    def __init__(self, watch: Callable[[Path], Any] | None = None) -> None:
        self._watch = watch
        self._ended: dict[Path, ObservatoryError | None] = {}

    def start(self, config: Config) -> Path:
        """Train a run to its end; raises as `launch` does."""
        folder = launch(config, self._watch)
        self._ended[folder] = None
        return folder

    def ended(self) -> dict[Path, ObservatoryError | None]:
        """All that were started since the last call."""
        ended, self._ended = self._ended, {}
        return ended


def launcher_of(
    config: Config, watch: Callable[[Path], Any] | None, message: Callable[[str], None]
) -> Launcher:
    """The launcher that a configuration's `launcher` names.

    Raises:
        ConfigError: If a setting breaks its rule, or this machine cannot queue jobs.
    """
    settings = job_settings(config)
    if settings is None:
        return _LocalLauncher(watch)
    from observatory.launch.slurm import SlurmLauncher

    return SlurmLauncher(settings, message)
