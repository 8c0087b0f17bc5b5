"""A worker process: `python -m observatory.training.worker RUN_FOLDER SHARD [DEVICE]`."""

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from observatory.core.errors import BusyError, ObservatoryError

_LOCK_PATIENCE_S = 60.0


def _follow_parent() -> None:
    """Ask the kernel for SIGTERM when the launching process dies, however it dies (Linux)."""
    parent = os.getppid()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        sys.exit(1)


def last_log_line(log: Path) -> str | None:
    """The last line that a worker wrote into its log, or None."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else None


def train_patiently(folder: Path, shard: int, *device: str) -> bool:
    """As `train_shard`, after some time in which another process may still own the shard.

    The worker of a launcher that was just killed may still be saving its last state.
    """
    from observatory.training.shard import train_shard

    waited_until = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            return train_shard(folder, shard, *device)
        except BusyError:
            if time.monotonic() > waited_until:
                raise
            time.sleep(0.2)


def main(arguments: list[str]) -> int:
    """Train the shard; 0 where it is done or was asked to stop, an error's exit code otherwise."""
    _follow_parent()
    folder, shard, *device = arguments
    try:
        train_patiently(Path(folder), int(shard), *device)
    except ObservatoryError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
