"""What an integration calls of an observer, at the events of a trainer."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import nn

Log = Callable[[dict[str, float], int], None]
"""Receives the scalars of a look by name, and its step."""


@runtime_checkable
class Watcher(Protocol):
    """An observer of one training; see `Observe`."""

    log: Log | None

    def begin(
        self,
        model: nn.Module,
        settings: Mapping[str, Any] | None = None,
        *,
        step: int | None = None,
        horizon_steps: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> object:
        """Begin, or go on."""
        ...

    def due(self, n: int) -> bool:
        """Whether `step(n)` would look."""
        ...

    def step(self, n: int, **metrics: Any) -> None:
        """Step."""
        ...

    def gradients(self) -> None:
        """Keep the norms of the gradients."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Write what was collected."""
        ...

    def pause(self) -> None:
        """Leave the training unfinished."""
        ...

    def end(self) -> object:
        """End the training."""
        ...
