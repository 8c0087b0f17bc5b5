"""Activations that are computed when a probe first asks for one, and once for all probes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from observatory.core.contracts import Recorder
from observatory.core.layout import Params


@final
class LazyActivations(Mapping[str, Tensor]):
    """The recorded forwards of a view, each run when first needed.

    Args:
        recorders: Recording forwards, the cheapest first; the last one gives every name.
        params: Stacked parameters.
        inputs: Examples, shared by all replicas.
        names: What the recording will hold.
    """

    def __init__(
        self,
        recorders: Sequence[Recorder],
        params: Params,
        inputs: Int[Tensor, "batch pos"],
        names: tuple[str, ...],
    ) -> None:
        self._waiting, self._params, self._inputs, self._names = (
            list(recorders),
            params,
            inputs,
            names,
        )
        self._recorded: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(f"no activation {name!r}; the model declares {', '.join(self._names)}")
        while name not in self._recorded:
            record = self._waiting.pop(0)
            with torch.no_grad():
                self._recorded = {**record(self._params, self._inputs), **self._recorded}
        return self._recorded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
