"""Tasks on all cores, in copies of this process: what it holds, they read without another copy."""

import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from observatory.core.errors import ObservatoryError

T = TypeVar("T")
_MOST = 8
"""Processes at once; of more, the longest task alone would set the time."""
_FORKS = sys.platform != "darwin"  # whose own libraries do not survive a fork
_WIDTH, _QUEUED = 4, 10_000
"""Bytes of a task's number, and numbers that a pipe holds at once."""
_inside = False
"""Whether this process is such a copy: its own tasks run one after the other."""


def usable_cores() -> int:
    """Cores that this process may use, which a scheduler can have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(tasks: Sequence[Callable[[], T]]) -> Iterator[T]:
    """What every task returns, in the order of the tasks, each as soon as it is there.

    Linear algebra has one thread meanwhile, whatever process it runs in: the number of cores
    changes no number. What a task changes beside what it returns stays in its process.

    Args:
        tasks: They start in this order. What they return must be able to pass to another process.

    Raises:
        Exception: What a task raised, when its turn comes; those that still run are ended.
        ObservatoryError: If a process was ended from outside.

    Example:
        >>> list(in_parallel([lambda: 1 + 1, lambda: 2 + 2]))
        [2, 4]
    """
    n = min(len(tasks), usable_cores(), _MOST)
    with threadpool_limits(1):
        if n < 2 or _inside or not _FORKS:
            yield from (task() for task in tasks)
            return
        for start in range(0, len(tasks), _QUEUED):
            yield from _collected(tasks[start : start + _QUEUED], n)


@contextmanager
def beside(first: Callable[[], Any], then: Callable[[], T]) -> Generator[Callable[[], T]]:
    """Work in a copy of this process while the block runs, its last step when it is asked for.

    Args:
        first: Done at once; what it raises is not told.
        then: Done when what is yielded is called, which waits for the result and returns it; in
            this process where the other was ended from outside.
    """
    if not _FORKS:
        yield then
        return
    context = get_context("fork")
    here, there = context.Pipe()
    worker = context.Process(target=_follow, args=(first, then, here, there), daemon=True)
    worker.start()
    there.close()

    def finish() -> T:
        try:
            here.send_bytes(b"now")
            _, value, error = pickle.loads(here.recv_bytes())
        except (EOFError, OSError):
            return then()
        if error is not None:
            raise error
        return value

    try:
        yield finish
    finally:
        here.close()
        worker.terminate()
        worker.join()


def _follow(
    first: Callable[[], Any], then: Callable[[], Any], here: Connection, there: Connection
) -> None:
    _begin([here])
    with suppress(Exception):
        first()
    with suppress(EOFError, BrokenPipeError):  # nobody waits any more
        there.recv_bytes()
        there.send_bytes(_done(0, [then]))


def _collected(tasks: Sequence[Callable[[], T]], n_processes: int) -> Iterator[T]:
    """The results of copies of this process, which take the numbers of tasks from one pipe."""
    context = get_context("fork")
    queue, filled = os.pipe()
    os.write(filled, b"".join(i.to_bytes(_WIDTH, "big") for i in range(len(tasks))))
    os.close(filled)
    workers: dict[Connection, Any] = {}
    try:
        for _ in range(n_processes):
            here, there = context.Pipe(duplex=False)
            given = (tasks, queue, there, [*workers, here])
            worker = context.Process(target=_work, args=given, daemon=True)
            worker.start()
            there.close()
            workers[here] = worker
        yield from _in_order(workers, len(tasks))
    finally:
        os.close(queue)
        for here, worker in workers.items():
            here.close()
            worker.terminate()
            worker.join()


def _in_order(workers: dict[Connection, Any], n_tasks: int) -> Iterator[Any]:
    made: dict[int, tuple[Any, Exception | None]] = {}
    for number in range(n_tasks):
        while number not in made:
            for ready in wait(list(workers)):
                assert isinstance(ready, Connection)
                try:
                    index, value, error = pickle.loads(ready.recv_bytes())
                except EOFError:
                    ready.close()
                    _require_done(workers.pop(ready))
                else:
                    made[index] = (value, error)
        value, error = made.pop(number)
        if error is not None:
            raise error
        yield value


def _require_done(worker: Any) -> None:
    """Refuse a process that ended before the tasks did."""
    worker.join()
    if worker.exitcode:
        how = f"signal {-worker.exitcode}" if worker.exitcode < 0 else f"code {worker.exitcode}"
        raise ObservatoryError(
            f"A process that fits or draws was ended by {how}, as where memory runs out. Nothing "
            "recorded is lost. Free some memory, or use fewer cores (`taskset -c 0 observatory "
            "...`), then start the same command again."
        )


def _work(
    tasks: Sequence[Callable[[], Any]], queue: int, there: Connection, others: list[Connection]
) -> None:
    """Do tasks until none is left, or until nobody is there to read what they return."""
    _begin(others)
    with suppress(BrokenPipeError):
        while number := os.read(queue, _WIDTH):
            there.send_bytes(_done(int.from_bytes(number, "big"), tasks))
    there.close()


def _begin(others: Sequence[Connection]) -> None:
    """Make this process one that does tasks until the one above it ends it, or has ended."""
    global _inside
    _inside = True
    for other in others:  # held open here, they would hide that the process above has ended
        other.close()
    gc.freeze()  # what is here stays: no search for garbage copies its pages
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _done(index: int, tasks: Sequence[Callable[[], Any]]) -> bytes:
    """Number, result and error of a task, as they are sent."""
    try:
        return pickle.dumps((index, tasks[index](), None))
    except Exception as error:  # noqa: BLE001  raised again where the result is asked for
        try:
            return pickle.dumps((index, None, error))
        except Exception:  # noqa: BLE001  an error that cannot pass from process to process
            return pickle.dumps((index, None, RuntimeError(repr(error))))
