"""Linear warm-up of the learning rate, counted in each replica's own steps."""

from dataclasses import replace
from typing import final

import torch

from observatory.core.contracts import Hyper, Optimizer, Rows
from observatory.core.layout import Params
from observatory.core.settings import Size, check_arguments
from observatory.maths.nesting import nest, nested


@final
class Warmup:
    """Runs `inner` at the learning rate lr min(1, t / steps) in a replica's step t = 1, 2, ...

    Decoupled decay, whose strength is lr times the decay rate, warms up with it.

    Args:
        steps: Step from which the learning rate is the full one, at least 1.
        inner: Optimizer that makes the step.
    """

    def __init__(self, *, steps: Size, inner: Optimizer) -> None:
        check_arguments(Warmup, steps=steps)
        self.steps, self.inner = steps, inner

    def init(self, flat: Rows) -> Params:
        """A step count of zero per row, and the state of `inner`."""
        steps_made = torch.zeros(len(flat), dtype=torch.int64, device=flat.device)
        return {"t": steps_made, **nest("inner", self.inner.init(flat))}

    def update(self, flat: Rows, grads: Rows, state: Params, hyper: Hyper) -> None:
        """One step, in place on `flat` and `state`."""
        t = state["t"].add_(1)
        lr = hyper.lr * (t.to(hyper.lr.dtype) / self.steps).clamp(max=1)
        self.inner.update(flat, grads, nested("inner", state), replace(hyper, lr=lr))
