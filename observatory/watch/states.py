"""States of recurrent kernels, which give the last one alone: the sequence is fed step by step."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from observatory.watch.reading.events import Event

State = Float[Tensor, "layer batch pos *d_state"]
_TOLERANCE = 1e-4  # of the outputs beside those of the whole pass, relative to their largest


@final
@dataclass
class Sequences:
    """What recurrent modules were given in a pass, and what they returned.

    Args:
        modules: Recurrent modules by path, see `recurrent_modules`.
    """

    modules: Mapping[str, nn.Module]
    given: dict[str, Tensor] = field(default_factory=dict)
    output: dict[str, Tensor] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        """Take in one event of the pass; of a module that is called often, the first call."""
        path = event.key.call.path
        if path not in self.modules or event.key.call.number:
            return
        if event.key.kind == "enter" and event.given is not None:
            self.given[path] = event.given
        elif event.key.kind == "leave" and event.output is not None:
            self.output[path] = event.output

    def states(self, rows: Bool[Tensor, "batch pos"] | None = None) -> dict[str, dict[str, State]]:
        """States by module: "hidden" and for an LSTM "cell", or "ssm".

        Left out: those that cannot be stepped; `unread` says why, by path.

        Args:
            rows: Which positions are no padding; None where all are.
        """
        found: dict[str, dict[str, State]] = {}
        for path, output in self.output.items():
            states, why = _checked(self.modules[path], self.given.get(path), output, rows)
            if why:
                self.unread[path] = why
            else:
                found[path] = states
        return found


def _checked(
    module: nn.Module, given: Tensor | None, output: Tensor, rows: Tensor | None
) -> tuple[dict[str, State], str]:
    """The states of a module, or why they cannot be read."""
    if getattr(module, "bidirectional", False):
        return {}, "it reads both ways"
    if given is None or given.ndim != 3:
        return {}, "its input is no [batch, pos, channel], such as a packed sequence"
    padded = rows is not None and rows.shape == given.shape[:2] and not bool(rows.all())
    masks = [rows, None] if padded and not isinstance(module, nn.RNNBase) else [None]
    largest = _TOLERANCE * output.abs().max()
    for mask in masks:  # whether the module was given one is out of sight: its outputs say so
        try:
            if isinstance(module, nn.RNNBase):
                states, again = step_by_step(module, given)
            else:
                states, again = step_by_cache(module, given, mask)
        except (AttributeError, IndexError, TypeError, ValueError, RuntimeError) as error:
            return {}, f"it cannot be fed step by step ({type(error).__name__}: {error})"
        if again.shape == output.shape and (again - output).abs().max() <= largest:
            return states, ""
    return {}, (
        "fed step by step from a state of zero it gives other outputs than in the pass: it "
        "began from a state of its own, or positions are hidden from it by another mask than the "
        "batch names"
    )


def recurrent_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Modules that hold a state, by path: torch's own, and state-space layers of transformers."""
    return {
        path: each
        for path, each in model.named_modules()
        if isinstance(each, nn.RNNBase) or _takes_a_cache(each)
    }


def _takes_a_cache(module: nn.Module) -> bool:
    """Whether it is a state-space layer that keeps its state in a cache that it is given."""
    return "A_log" in module._parameters and "cache" in inspect.signature(module.forward).parameters


def step_by_step(module: nn.RNNBase, sequence: Tensor) -> tuple[dict[str, State], Tensor]:
    """Every state of a recurrent module, from a state of zero, and its outputs.

    Args:
        module: An LSTM, GRU or RNN of torch that reads one way, in evaluation mode.
        sequence: What it is given, `[batch, pos, d_in]`, or `[pos, batch, d_in]` as it is set.

    Returns:
        States by name, `[layer, batch, pos, d_hidden]`, and outputs in the layout of `sequence`.
    """
    time = 1 if module.batch_first else 0
    state, outputs = None, list[Tensor]()
    trail: dict[str, list[Tensor]] = {}
    for piece in sequence.split(1, dim=time):
        output, state = module(piece) if state is None else module(piece, state)
        outputs.append(output)
        named = zip(
            ("hidden", "cell"), state if isinstance(state, tuple) else (state,), strict=False
        )
        for name, each in named:
            trail.setdefault(name, []).append(each)
    return {name: torch.stack(each, dim=2) for name, each in trail.items()}, torch.cat(
        outputs, time
    )


def step_by_cache(
    module: Any, sequence: Tensor, mask: Bool[Tensor, "batch pos"] | None = None
) -> tuple[dict[str, State], Tensor]:
    """Every state of a state-space layer of transformers, from a state of zero, and its outputs.

    Args:
        module: Such as a `MambaMixer`, in evaluation mode.
        sequence: What it is given, `[batch, pos, d_model]`.
        mask: Which positions it may see: of the others its input is zero, and the state stays.

    Returns:
        "ssm", `[1, batch, pos, ...]` as the cache has it after each position (of a Mamba
        `[d_inner, d_state]`), and outputs `[batch, pos, d_model]`.
    """
    from transformers import DynamicCache  # there: the module is one of theirs

    cache: Any = DynamicCache(config=module.config)
    outputs, trail = list[Tensor](), list[Tensor]()
    for position, piece in enumerate(sequence.split(1, dim=1)):
        seen = {} if mask is None else {"attention_mask": mask[:, position : position + 1]}
        outputs.append(module(piece, cache=cache, **seen))
        trail.append(cache.get_recurrent_state(module.layer_idx).clone())  # overwritten in place
    return {"ssm": torch.stack(trail, dim=1)[None]}, torch.cat(outputs, dim=1)
