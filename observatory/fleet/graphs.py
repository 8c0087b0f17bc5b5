"""The step of a stack as a CUDA graph: its kernels are recorded once and then launched together.

A small network's kernels take less time than their launch. A recorded step starts them all at once,
but always the same ones, on the same memory: what changes from step to step lies in buffers that
are written in place, and whatever the host decides happens between two steps.
"""

from collections.abc import Callable
from typing import final

import torch

Step = Callable[[], None]
Capture = Callable[[Step], Step]
"""Records a function without an effect of its own, and gives what runs the record."""

WARM_STEPS = 3
"""Steps before the recording: libraries set themselves up in them."""


def cuda_capture(step: Step) -> Step:
    """Record a step of the current CUDA device."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


@final
class GraphedStep:
    """A step that is recorded after its first few calls and replayed from then on.

    Args:
        step: Reads and writes buffers that stay where they are; the host reads none of them.
        capture: How it is recorded; None: it never is.
    """

    def __init__(self, step: Step, capture: Capture | None) -> None:
        self._step, self._capture = step, capture
        self._made = 0
        self._replay: Step | None = None

    def __call__(self) -> None:
        """Make one step."""
        if self._capture is None or self._made < WARM_STEPS:
            self._made += 1
            self._step()
            return
        if self._replay is None:
            self._replay = self._capture(self._step)
        self._replay()
