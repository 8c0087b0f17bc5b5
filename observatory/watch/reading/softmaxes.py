"""Softmaxes that are followed until something is averaged with them: then they were attention.

Letters: p what came out of a softmax, v what it is contracted with.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from observatory.watch.reading.calls import Call
from observatory.watch.reading.patterns import Pattern

# An operation keeps p what it is where it only moves, drops or scales entries.
MOVES = frozenset(
    {
        *("view", "reshape", "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis"),
        *("__getitem__", "narrow", "unsqueeze", "squeeze", "expand", "expand_as", "flatten"),
        *("unflatten", "contiguous", "clone", "view_as", "reshape_as", "repeat_interleave"),
    }
)
SCALES = frozenset(
    {
        *("dropout", "dropout_", "to", "type_as", "type", "float", "half", "bfloat16", "double"),
        *("mul", "__mul__", "__rmul__", "div", "__truediv__", "true_divide", "masked_fill"),
        *("where", "nan_to_num", "conv2d", "mul_", "masked_fill_", "detach"),
    }
)
FOLLOWED = MOVES | SCALES
_ROW_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Softmax:
    """One softmax and where its scores are by now.

    Attributes:
        call: Who made it.
        shape: Of its output, before anything was moved.
        scores: What it was given, moved as its output was; None once they cannot be followed.
    """

    call: Call
    shape: torch.Size
    scores: Tensor | None


def moved(function: Callable[..., Any], args: Any, kwargs: Any, tag: Softmax) -> Softmax:
    """The tag of what `function` made of a tagged first argument."""
    if tag.scores is None:
        return tag
    try:
        return replace(tag, scores=function(tag.scores, *args[1:], **kwargs))
    except (RuntimeError, TypeError, IndexError):
        return replace(tag, scores=None)


@dataclass(frozen=True)
class Operand:
    """An operand of a contraction as `[batch..., query..., key]`.

    Attributes:
        tensor: The operand itself.
        other: What it is contracted with.
        order: Its axes in that order.
        n_batch: How many of them are batch axes.
    """

    tensor: Tensor
    other: Tensor
    order: tuple[int, ...]
    n_batch: int


def operands(name: str, args: Any, kwargs: Any) -> tuple[Operand, ...]:
    """Both readings of a product: either side may be p; none where v carries the query."""
    if name == "einsum":
        return _of_einsum(args)
    tensors = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)]
    left, right = tensors[-2:] if len(tensors) >= 2 else (None, None)
    if name == "__rmatmul__":
        left, right = right, left
    if left is None or right is None or min(left.ndim, right.ndim) < 2:
        return ()
    n_left, n_right = left.ndim, right.ndim
    return (
        Operand(left, right, tuple(range(n_left)), n_left - 2),
        Operand(right, left, (*range(n_right - 2), n_right - 1, n_right - 2), n_right - 2),
    )


def _of_einsum(args: Any) -> tuple[Operand, ...]:
    equation, *tensors = args
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = list(tensors[0])
    if not isinstance(equation, str) or len(tensors) != 2:
        return ()
    inputs, _, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if "." in equation:
        letters = [_without_dots(t, x.ndim) for t, x in zip(terms, tensors, strict=True)]
        dots = max((x for x in letters), key=len)
        output = output.replace("...", "".join(c for c in dots if c.isupper() and c >= "P"))
        terms = letters
    found: list[Operand] = []
    for mine, theirs in ((0, 1), (1, 0)):
        p, v = terms[mine], terms[theirs]
        keys = [c for c in p if c in v and c not in output]
        batch = [c for c in p if c in v and c in output]
        query = [c for c in p if c not in v and c in output]
        if len(keys) != 1 or not query or len(p) != len({*keys, *batch, *query}):
            continue
        order = tuple(p.index(c) for c in (*batch, *query, *keys))
        found.append(Operand(tensors[mine], tensors[theirs], order, len(batch)))
    return tuple(found)


def _without_dots(term: str, n_axes: int) -> str:
    before, _, after = term.partition("...")
    if before == term:
        return term
    n_hidden = n_axes - len(before) - len(after)
    hidden = "PQRSTUVWXYZ"[max(0, 11 - n_hidden) :]
    return before + hidden + after


def is_parameter(tensor: Tensor) -> bool:
    """Whether a tensor is a parameter or a view of one."""
    base = tensor._base
    return isinstance(tensor, nn.Parameter) or isinstance(base, nn.Parameter)


def routes(tag: Softmax, operand: Operand) -> bool:
    """Whether p chooses among parts of the same token: its query axis was made a batch axis."""
    shape = operand.tensor.shape
    return (
        len(tag.shape) >= 3
        and len(shape) == len(tag.shape) + 1
        and shape[operand.order[-2]] == 1
        and tag.shape[-2] != 1
    )


def rows_sum_to_one(tensor: Tensor, order: tuple[int, ...]) -> bool:
    """Whether no entry is negative and every row is 1 in sum (or zero), as after a softmax."""
    if tensor.ndim < 3 or not tensor.is_floating_point() or tensor.shape[order[-1]] < 2:
        return False
    sums = tensor.sum(dim=order[-1])
    near = ((sums - 1).abs() < _ROW_SUM_TOLERANCE) | (sums == 0)
    return bool((tensor >= 0).all() and near.all() and (sums != 0).any())


def pattern_of(operand: Operand, tag: Softmax | None, n_batch: int) -> Pattern:
    """The pattern `[batch, head, query, key]` of an operand that was p.

    Args:
        operand: Of the contraction.
        tag: Its softmax; None where it was recognised by its rows.
        n_batch: Number of sequences: what batch axes hold beyond it are heads.
    """
    values = _four_axes(operand.tensor.permute(operand.order).float(), operand.n_batch, n_batch)
    scores = tag.scores if tag is not None else None
    largest = None
    if scores is not None and scores.ndim == operand.tensor.ndim:
        ordered = scores.permute(operand.order).float().amax(dim=-1, keepdim=True)
        largest = _four_axes(ordered, operand.n_batch, n_batch)[..., 0]
    return Pattern(values, largest)


def _four_axes(values: Tensor, n_axes: int, n_batch: int) -> Tensor:
    """Batch axes as `[batch, head]`, query axes as one."""
    batch, keys = values.shape[:n_axes], values.shape[-1]
    flat = values.reshape(batch.numel(), -1, keys)
    first = n_batch if batch.numel() % n_batch == 0 and len(batch) < 2 else None
    if len(batch) >= 2:
        first = batch[0]
    if first is None or first == 0:
        return flat[:, None]
    return flat.reshape(first, -1, *flat.shape[-2:])
