"""States of recurrent kernels, which give the last one alone: the sequence is fed step by step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from observatory.watch.reading.events import Event

State = Float[Tensor, "layer batch pos d_hidden"]
_TOLERANCE = 1e-4  # of the outputs beside those of the whole pass, relative to their largest


@final
@dataclass
class Sequences:
    """What recurrent modules were given in a pass, and what they returned.

    Args:
        modules: Recurrent modules of torch by path.
    """

    modules: Mapping[str, nn.RNNBase]
    given: dict[str, Tensor] = field(default_factory=dict)
    output: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        """Take in one event of the pass; of a module that is called often, the first call."""
        path = event.key.call.path
        if path not in self.modules or event.key.call.number:
            return
        if event.key.kind == "enter" and event.given is not None:
            self.given[path] = event.given
        elif event.key.kind == "leave" and event.output is not None:
            self.output[path] = event.output

    def states(self) -> dict[str, dict[str, State]]:
        """States by module, "hidden" and for an LSTM "cell"; of those that can be stepped.

        Left out: modules that read both ways, packed sequences, and those that began from a state
        of the owner's, whose outputs stepping from zero does not give.
        """
        found: dict[str, dict[str, State]] = {}
        for path, output in self.output.items():
            module = self.modules[path]
            if module.bidirectional or path not in self.given or self.given[path].ndim != 3:
                continue
            stepped, again = step_by_step(module, self.given[path])
            if (again - output).abs().max() <= _TOLERANCE * output.abs().max():
                found[path] = stepped
        return found


def recurrent_modules(model: nn.Module) -> dict[str, nn.RNNBase]:
    """The recurrent modules of torch in a model, by path."""
    return {path: each for path, each in model.named_modules() if isinstance(each, nn.RNNBase)}


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
