"""Wall time, CPU time and memory of an action, with all processes that it starts."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context

import psutil

_EVERY_S = 0.1


@dataclass(frozen=True)
class Cost:
    """What an action took."""

    wall_s: float
    cpu_s: float  # of the process and of those that it started
    peak_mb: float  # of memory of all of them together; what they share counts once

    def __str__(self) -> str:
        return f"{self.wall_s:6.1f} s wall {self.cpu_s:6.1f} CPU-s {self.peak_mb:6.0f} MB"


def _memory_mb(process: psutil.Process) -> float:
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except psutil.Error:  # ended meanwhile
            continue
    return total / 1e6


def cost_of(action: Callable[[], object]) -> Cost:
    """Do something in a process of its own, whose memory nothing that went before has filled."""
    context = get_context("fork")
    here, there = context.Pipe(duplex=False)

    def work() -> None:
        began = time.monotonic()
        action()
        there.send((time.monotonic() - began, sum(os.times()[:4])))

    worker = context.Process(target=work)
    worker.start()
    there.close()
    process, peak = psutil.Process(worker.pid), 0.0
    while not here.poll(_EVERY_S):
        try:
            peak = max(peak, _memory_mb(process))
        except psutil.Error:  # the loop ends with what the pipe says
            break
    wall, cpu = here.recv()
    worker.join()
    return Cost(wall, cpu, peak)
