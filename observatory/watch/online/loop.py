"""What goes into the logger of a user's own loop."""

from collections.abc import Callable

from observatory.watch.snapshot import Snapshot

Log = Callable[[dict[str, float], int], None]
"""Receives the scalars of a look by name, and its step."""
_PREFIX = "observatory"  # of their names


def named_scalars(snapshot: Snapshot) -> dict[str, float]:
    """The scalars of a look as a logger has them: "observatory/attention/s_bar"."""
    return {f"{_PREFIX}/{name}": value for name, value in snapshot.scalars().items()}
