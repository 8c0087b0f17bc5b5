"""What every weight of a network is, and where it lies in a replica's flat row."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

Params = dict[str, Tensor]
"""Stacked parameters by name, each `[replica, *shape of the weight]`."""

Index = tuple[slice, ...]
"""Which entries of a weight, a slice for each of its axes."""

Role = Literal["embedding", "hidden", "readout", "pointwise"]
"""Tables looked up by a token; matrices between activations; the matrix that gives the logits;
and what acts on every channel by itself: biases, gains, time constants, depthwise filters."""

MATRICES: tuple[Role, ...] = ("embedding", "hidden", "readout")


@dataclass(frozen=True)
class Weight:
    """What a model declares of one of its parameters.

    Attributes:
        role: What kind of weight it is.
        reads: Name of the hooked activation `x` that it multiplies, as in `x @ W`; None where it
            multiplies none.
    """

    role: Role
    reads: str | None = None

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise ValueError(f"`role` must be one of {list(get_args(Role))}, got {self.role!r}.")


def matrices(names: Iterable[str], weights: Mapping[str, Weight]) -> tuple[str, ...]:
    """The names whose weight is no pointwise one, in order: as tables list them."""
    return tuple(name for name in names if weights[name].role in MATRICES)


@dataclass(frozen=True)
class Layout:
    """Where each named weight lies in a replica's flat row.

    Attributes:
        names: Names in order.
        shapes: Shape of each in one network; a matrix maps rows, `x @ W`: `[fan-in, fan-out]`.
        roles: Role of each.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    roles: tuple[Role, ...]

    @property
    def sizes(self) -> list[int]:
        """Number of entries of each weight."""
        return [shape.numel() for shape in self.shapes]

    def views(self, flat: Float[Tensor, "replica param"]) -> Params:
        """Named views into `flat`, each `[replica, *shape]`; one split: its backward is one cat."""
        parts = torch.split(flat, self.sizes, dim=1)
        return {
            name: part if len(shape) == 1 else part.unflatten(1, shape)
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }

    def mask(self, roles: Collection[Role]) -> Float[Tensor, " param"]:
        """1.0 where a flat entry belongs to a weight of one of the `roles`, else 0.0 (float64)."""
        pieces = [
            torch.full((size,), float(role in roles), dtype=torch.float64)
            for role, size in zip(self.roles, self.sizes, strict=True)
        ]
        return torch.cat(pieces)
