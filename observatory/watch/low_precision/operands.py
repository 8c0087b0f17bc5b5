"""A product with a parameter as rows times a matrix, `x @ w`, whatever torch function made it.

Axes are named as in einsum: "k" is what is summed over, an axis of both operands that stays in the
result counts matrices (heads, experts), every other one counts rows or outputs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from observatory.watch.reading.functions import GROUPED, OPERANDS

PRODUCTS = frozenset(OPERANDS)
Axes = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One matrix and the rows that it multiplies, `x @ w`.

    Attributes:
        x: `[row, channel]`.
        w: `[channel, output]`.
    """

    x: Tensor
    w: Tensor


@dataclass(frozen=True)
class Cut:
    """How a tensor is cut into matrices, and put together again."""

    apart: Callable[[Tensor], list[Tensor]]
    together: Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class Operands:
    """A call of a torch function that multiplies an activation by a parameter.

    Attributes:
        x: The activation, as the function takes it.
        w: The parameter, or a view of it.
        x_cut: Cuts what has the shape of `x` into `[row, channel]`.
        w_cut: Cuts what has the shape of `w` into `[channel, output]`.
        call: Calls the function with another `x` and `w`.
    """

    x: Tensor
    w: Tensor
    x_cut: Cut
    w_cut: Cut
    call: Callable[[Tensor, Tensor], Tensor]

    def parts(self) -> list[Part]:
        """Rows and matrices: one pair, or one for each head or expert."""
        rows, matrices = self.x_cut.apart(self.x), self.w_cut.apart(self.w)
        return [Part(x, w) for x, w in zip(rows, matrices, strict=True)]

    def run(self, parts: Sequence[Part] | None = None) -> Tensor:
        """The result; of these rows and matrices in place of its own."""
        if parts is None:
            return self.call(self.x, self.w)
        x = self.x_cut.together([part.x for part in parts]).to(self.x.dtype)
        w = self.w_cut.together([part.w for part in parts]).to(self.w.dtype)
        return self.call(x, w)


def operands_of(
    func: Callable[..., Tensor],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    is_parameter: Callable[[Tensor], bool],
) -> Operands | None:
    """The operands of a call; None where it is no product of an activation and one parameter."""
    name = getattr(func, "__name__", "")
    if name not in OPERANDS:
        return None
    if name == "einsum" and len(args) == 2 and isinstance(args[1], list | tuple):
        args = (args[0], *args[1])
    left, right = (_taken(args, kwargs, place) for place in OPERANDS[name])
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return None
    owned = [is_parameter(each) and each.ndim >= 2 for each in (left, right)]
    if owned[0] == owned[1]:
        return None
    first = owned[1]  # whether the activation stands first
    x, w = (left, right) if first else (right, left)
    if not x.is_floating_point():
        return None

    def call(x: Tensor, w: Tensor) -> Tensor:
        pair = (x, w) if first else (w, x)
        given, named = list(args), dict(kwargs)
        for (at, key), value in zip(OPERANDS[name], pair, strict=True):
            if at < len(given):
                given[at] = value
            else:
                named[key] = value
        return func(*given, **named)

    if name in GROUPED:
        cuts = _grouped(x, w, _taken(args, kwargs, (2, "offs"))) if first else None
    else:
        axes = _axes(name, x, w, args, first=first)
        cuts = None if axes is None else _cuts(x, w, *axes)
    return None if cuts is None else Operands(x, w, *cuts, call)


def _taken(args: Sequence[Any], kwargs: Mapping[str, Any], place: tuple[int, str]) -> Any:
    at, name = place
    return args[at] if at < len(args) else kwargs.get(name)


def _axes(
    name: str, x: Tensor, w: Tensor, args: Sequence[Any], *, first: bool
) -> tuple[Axes, Axes, frozenset[str]] | None:
    """Names of the axes of `x` and `w`, and which of them are summed over."""
    if name == "einsum":
        return _einsum_axes(args, first=first) if len(args) == 3 else None
    if name == "linear":
        return (*map(str, range(x.ndim - 1)), "k"), ("o", "k"), frozenset("k")
    inner, outer = (("r", "k"), ("k", "o")) if first else (("k", "r"), ("o", "k"))
    x_axes = (*_batch(x, w, "x"), *inner) if x.ndim > 1 else ("k",)
    return x_axes, (*_batch(w, x, "w"), *outer), frozenset("k")


def _batch(tensor: Tensor, other: Tensor, owner: str) -> Axes:
    """Names of the leading axes of a batched product, shared where both operands have them."""
    names = []
    for place in range(tensor.ndim - 2, 0, -1):
        at = -2 - place
        shared = other.ndim >= -at and tensor.shape[at] == other.shape[at]
        names.append(f"{place}" if shared else f"{owner}{place}")
    return tuple(names)


def _einsum_axes(args: Sequence[Any], *, first: bool) -> tuple[Axes, Axes, frozenset[str]] | None:
    equation = str(args[0]).replace(" ", "")
    terms, arrow, result = equation.partition("->")
    pair = terms.split(",")
    if "." in equation or len(pair) != 2 or any(len(set(term)) < len(term) for term in pair):
        return None
    both = {*pair[0]} & {*pair[1]}
    summed = frozenset(both - {*result}) if arrow else frozenset(both)
    x, w = pair if first else pair[::-1]
    return (tuple(x), tuple(w), summed) if summed else None


def _cuts(x: Tensor, w: Tensor, x_axes: Axes, w_axes: Axes, summed: frozenset[str]) -> (
    tuple[Cut, Cut]
):  # fmt: skip
    counted = [axis for axis in w_axes if axis in x_axes and axis not in summed]
    inner = [axis for axis in w_axes if axis in summed]
    rows = [axis for axis in x_axes if axis not in (*counted, *inner)]
    outputs = [axis for axis in w_axes if axis not in (*counted, *inner)]
    return (
        _cut(x, x_axes, [counted, rows, inner]),
        _cut(w, w_axes, [counted, inner, outputs]),
    )


def _cut(tensor: Tensor, axes: Axes, groups: Sequence[Sequence[str]]) -> Cut:
    """Into as many matrices as the first group of axes counts."""
    order = [axes.index(axis) for group in groups for axis in group]
    back = [order.index(place) for place in range(len(order))]
    permuted = [tensor.shape[place] for place in order]
    sizes = [math.prod(tensor.shape[axes.index(axis)] for axis in group) for group in groups]
    return Cut(
        apart=lambda like: list(like.permute(order).reshape(sizes)),
        together=lambda parts: torch.stack([*parts]).reshape(permuted).permute(back),
    )


def _grouped(x: Tensor, w: Tensor, ends: Tensor | None) -> tuple[Cut, Cut] | None:
    """Rows that are sorted by expert, each with a matrix of its own."""
    if ends is None or x.ndim != 2 or w.ndim != 3:
        return None
    sizes = ends.diff(prepend=ends.new_zeros(1)).tolist()
    rest = len(x) - sum(sizes)  # rows of no expert stay as they are
    rows = Cut(
        apart=lambda like: list(like.split([*sizes, rest])[:-1]),
        together=lambda parts: torch.cat([*parts, x[len(x) - rest :]]),
    )
    return rows, Cut(lambda like: list(like.unbind()), lambda parts: torch.stack([*parts]))
