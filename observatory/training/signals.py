"""SIGTERM and SIGINT as a wish to stop, instead of an end."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def on_stop(told: Callable[[int], None]) -> Iterator[None]:
    """While open, SIGTERM and SIGINT call `told` with their number and end nothing.

    Outside the main thread, where Python sets no handlers, they stay the caller's.
    """
    before = {}
    with suppress(ValueError):
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, lambda received, _: told(received))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
