"""Signals as a wish to stop, instead of an end."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

WARNING = signal.SIGUSR2
"""What a scheduler sends before it takes the machine away."""


@contextmanager
def on_stop(act: Callable[[int], None]) -> Iterator[Callable[[], None]]:
    """While open, SIGTERM, SIGINT and SIGUSR2 call `act` with their number and end nothing.

    What is yielded, called, makes it so again where a library has set handlers of its own since.

    A scheduler's warning (SIGUSR2) is handed on at the end, when everything is saved, to whoever
    handled it before: that one alone puts the job back into its queue. Outside the main thread,
    where Python sets no handlers, all stay the caller's.
    """
    before = {}
    warned = False

    def receive(number: int, _: object) -> None:
        nonlocal warned
        warned = warned or number == WARNING
        act(number)

    def claim() -> None:
        with suppress(ValueError):
            for number in (signal.SIGTERM, signal.SIGINT, WARNING):
                handler = signal.signal(number, receive)
                before.setdefault(number, handler)

    claim()
    try:
        yield claim
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if warned and callable(handler := before.get(WARNING)):
        handler(WARNING, None)
