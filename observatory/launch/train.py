"""A run from the words of the command line: what `observatory train` does, from Python."""

from pathlib import Path

from observatory.launch.compose import compose
from observatory.launch.run import launch


def train(*changes: str) -> Path:
    """Train one run to its end on this machine, or continue it, or return what exists.

    Args:
        changes: As after `observatory train`, such as "experiment=smoke" or "optimizer.lr=0.001".

    Returns:
        The run's folder.

    Raises:
        ConfigError: If a setting breaks its rule; nothing was written.
        BusyError: If another live process trains this run.
        StoppedError: If a signal ended the run before its end.
        StoreError: If a worker failed; the same call continues where it was.
    """
    return launch(compose("train", changes))
