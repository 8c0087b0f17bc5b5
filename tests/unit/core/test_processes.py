"""Tasks in other processes: their order, their errors, and what is left when one dies."""

import os
import signal
import subprocess
import sys
from functools import partial
from multiprocessing import get_context

import pytest

from observatory.core import processes
from observatory.core.errors import FitRefusedError, ObservatoryError
from observatory.core.processes import beside, in_parallel


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "usable_cores", lambda: 2)


def test_results_come_in_the_order_of_the_tasks_from_several_processes() -> None:
    first_and_last = get_context("fork").Barrier(2)  # the first ends when the last is begun

    def task(number: int) -> tuple[int, int]:
        if number in (0, 5):
            first_and_last.wait(60)
        return number, os.getpid()

    tasks = [partial(task, number) for number in range(6)]
    made = list(in_parallel(tasks))
    assert [number for number, _ in made] == [0, 1, 2, 3, 4, 5]
    assert len({process for _, process in made} - {os.getpid()}) == 2


def test_more_tasks_than_a_pipe_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_QUEUED", 3)
    assert list(in_parallel([partial(int, i) for i in range(8)])) == list(range(8))


def test_tasks_of_a_task_run_in_its_process() -> None:
    inner = lambda: list(in_parallel([os.getpid, os.getpid]))  # noqa: E731
    assert all(len(set(made)) == 1 for made in in_parallel([inner, inner]))


def test_an_error_is_raised_when_its_turn_comes() -> None:
    def refuse() -> None:
        raise FitRefusedError("flat")

    found = in_parallel([lambda: 1, refuse, lambda: 3])
    assert next(found) == 1
    with pytest.raises(FitRefusedError, match="flat"):
        next(found)


def test_an_error_that_cannot_pass_is_named() -> None:
    def fail() -> None:
        raise ValueError(lambda: None)

    with pytest.raises(RuntimeError, match="ValueError"):
        list(in_parallel([fail, fail]))


def test_a_process_that_is_killed_is_named() -> None:
    kill = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    with pytest.raises(ObservatoryError, match=r"ended by signal 9, as where memory runs out"):
        list(in_parallel([kill, lambda: 1]))


def test_the_processes_end_with_the_one_that_asked() -> None:
    code = (
        "import os, time\n"
        "from observatory.core import processes\n"
        "processes.usable_cores = lambda: 2\n"
        "task = lambda: (os.write(1, f'{os.getpid()}\\n'.encode()), time.sleep(0.1))\n"
        "list(processes.in_parallel([task] * 100))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        working: set[bytes] = set()
        while len(working) < 2:
            working.add(asking.stdout.readline())
        asking.kill()
        assert len(asking.stdout.read()) < 1000  # until nobody holds the other end any more


def test_the_last_step_of_work_beside_is_done_where_its_process_died() -> None:
    def here(name: str) -> tuple[str, int]:
        return name, os.getpid()

    with beside(lambda: 1 / 0, partial(here, "done")) as finish:
        name, process = finish()
    assert name == "done"
    assert process != os.getpid()
    with beside(lambda: os.kill(os.getpid(), signal.SIGKILL), partial(here, "again")) as finish:
        assert finish() == ("again", os.getpid())
