"""One deadline for all that MLflow is asked: a server that never answers holds nobody beyond it."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import Any, TypeVar, cast, final

from observatory.core.errors import StoreError
from observatory.core.threads import started

Result = TypeVar("Result")
Client = TypeVar("Client")
_QUICK_S = 1.0
"""An answer within this time costs nothing: many quick ones are no wait."""
_LOOK_S = 0.05


@final
class Deadline:
    """How long answers may be waited for, all together.

    MLflow's own limits are per request or per packet, and some of its requests have none. What is
    asked here runs in a thread beside, which is left alone once the time is over: it asks nothing
    more.

    Args:
        seconds: Of waiting, beyond a second per answer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = self._left = seconds
        self._until, self._over = math.inf, False

    @contextmanager
    def asking(self, more_s: float = 0.0) -> Iterator[None]:
        """Something is asked within, for which a wait of `more_s` is granted.

        Raises:
            StoreError: If the time was over before.
        """
        if self._over:
            raise StoreError(self._words)
        began = time.monotonic()
        self._until = began + self._left + more_s
        try:
            yield
        finally:
            self._until = math.inf
            self._left -= max(time.monotonic() - began - _QUICK_S - more_s, 0.0)

    def watched(self, client: Client) -> Client:
        """The same object; a call of it waits for an answer."""
        return cast("Client", _Watched(client, self))

    def run(self, work: Callable[[], Result]) -> Result:
        """Do something that asks.

        Raises:
            StoreError: If an answer does not come in time.
            Exception: What the work raises.
        """
        future = started(work)
        try:
            while not future.done():
                wait([future], timeout=_LOOK_S)
                if not future.done() and time.monotonic() > self._until:
                    raise StoreError(self._words)
        finally:
            self._over = self._over or not future.done()
        return future.result()

    @property
    def _words(self) -> str:
        return (
            f"it does not answer: {self._seconds:g} s were waited for (`mlflow.timeout_s`) in all."
        )


@final
class _Watched:
    """A client whose every call has the deadline."""

    def __init__(self, client: Any, deadline: Deadline) -> None:
        self._client, self._deadline = client, deadline

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)

        def ask(*given: Any, **named: Any) -> Any:
            with self._deadline.asking():
                return found(*given, **named)

        return ask if callable(found) else found
