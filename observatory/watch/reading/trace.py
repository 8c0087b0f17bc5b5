"""The first pass of a model on a batch: what there is to look at, or why it cannot be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from observatory.watch.reading.adapters import Adapter, not_found
from observatory.watch.reading.anatomy import Anatomy
from observatory.watch.reading.capture import Capture, capturing
from observatory.watch.reading.events import Event
from observatory.watch.reading.forward import Batch, Forward, n_sequences
from observatory.watch.reading.sites import anatomy_of

_OPAQUE = (
    *("scaled_dot_product", "flash", "efficient_attention", "transformer_encoder_layer"),
    *("native_multi_head", "flex_attention"),
)


@dataclass(frozen=True)
class Found:
    """One attention of a model.

    Attributes:
        path: Of the module that made it.
        how: "sdpa", "mha", "flex", "softmax", "rows" or "adapter".
        stack: The chain of blocks that it belongs to; "" of the only one.
        layer: Its index there.
        shape: Of its pattern, `[batch, head, query, key]`.
    """

    path: str
    how: str
    stack: str
    layer: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Traced:
    """What the first pass showed: the parts, the attentions, whether rows had to be looked at."""

    anatomy: Anatomy
    found: tuple[Found, ...]
    by_rows: bool


def trace(
    model: nn.Module,
    batch: Batch,
    forward: Forward,
    adapters: Sequence[Adapter],
    *,
    attention: bool,
) -> Traced:
    """Run the model once (twice where it attends by hand), keeping all its activations meanwhile.

    Args:
        model: The network itself; to be called within `untouched`.
        batch: What it is called with.
        forward: Calls it.
        adapters: What its owner knows of it.
        attention: Whether attention is looked for.

    Raises:
        AttentionNotFoundError: If it seems to attend in a way that cannot be read.
    """
    events, capture = _pass(model, batch, forward, adapters, by_rows=False)
    by_rows = False
    if attention and (orphans := capture.orphans()):
        modules = dict(model.named_modules())
        owner = type(modules.get(orphans[0].call.path, model)).__name__
        seen = {
            f"a softmax of shape {list(each.shape)} in `{each.call.path or 'the model'}` that "
            "nothing was averaged with"
            for each in orphans
        }
        raise not_found(sorted(seen), owner)
    if attention and not _attentions(events):
        second, _ = _pass(model, batch, forward, adapters, by_rows=True)
        by_rows = bool(_attentions(second))
        events = second if by_rows else events
        if not by_rows and (hidden := _hidden_attention(model, batch, forward)):
            raise not_found(hidden, _scripted(model))
    anatomy = anatomy_of(model, events)
    found = tuple(
        Found(e.key.call.path, e.how, *anatomy.attention[e.key], tuple(e.pattern.values.shape))
        for e in _attentions(events)
        if e.pattern is not None
    )
    return Traced(anatomy, found, by_rows)


def _pass(
    model: nn.Module, batch: Batch, forward: Forward, adapters: Sequence[Adapter], *, by_rows: bool
) -> tuple[list[Event], Capture]:
    events: list[Event] = []
    with capturing(
        model, events.append, n_batch=n_sequences(batch), by_rows=by_rows, adapters=adapters
    ) as capture:
        forward(model, batch)
    return events, capture


def _attentions(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.key.kind == "attention"]


class _Operations(TorchDispatchMode):
    """Notes operations of the kernel level that look like attention."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = str(getattr(func, "_opname", func))
        shape = getattr(output, "shape", ())
        square = len(shape) > 3 or (len(shape) == 3 and shape[-1] == shape[-2])
        softmax = "softmax" in name and "log_softmax" not in name and square
        if softmax or any(part in name for part in _OPAQUE):
            self.seen.append(f"the operation `{name}`, shape {list(shape)}")
        return output


def _hidden_attention(model: nn.Module, batch: Batch, forward: Forward) -> list[str]:
    """Operations that look like attention in code that makes no torch call."""
    with _Operations() as operations:
        forward(model, batch)
    return sorted(set(operations.seen))


def _scripted(model: nn.Module) -> str:
    """The class of the first module that runs compiled code, or of the model."""
    scripted = (each for each in model.modules() if isinstance(each, torch.jit.ScriptModule))
    return type(next(scripted, model)).__name__
