"""A user's own Python function of a few symbols."""

from collections.abc import Callable
from operator import index
from typing import Any, final

import torch
from jaxtyping import Int
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.maths.examples import AnsweredTask, all_tuples


def _function_labels(
    function: Callable[..., Any], inputs: Int[Tensor, "batch pos"], n_classes: int
) -> Int[Tensor, " batch"]:
    """The value of the function at every row, called row by row with plain Python integers.

    Raises:
        ConfigError: If a value is no integer in 0..n_classes-1, or the function raises; it names
            the operands.

    Example:
        >>> from math import gcd
        >>> _function_labels(gcd, torch.tensor([[4, 6], [0, 3]]), 4)
        tensor([2, 3])
    """
    labels = []
    for operands in inputs.tolist():
        call = f"f({', '.join(map(str, operands))})"
        try:
            value = function(*operands)
        except Exception as error:
            raise ConfigError(
                f"`function` must have a value for all operands, got {error!r} from {call}. "
                "Define it there, or choose other symbols."
            ) from error
        try:
            label = index(value)
        except TypeError:
            label = None
        if label is None or not 0 <= label < n_classes:
            raise ConfigError(
                f"`function` must give integers in 0..{n_classes - 1}, got {call} = {value!r}. "
                "Change `n_classes`, or take the remainder."
            )
        labels.append(label)
    return torch.tensor(labels)


@final
class FunctionTask(AnsweredTask):
    """All ordered tuples of symbols 0..n_symbols-1 under a function of them.

    Args:
        function: Takes `n_operands` integers and gives one in 0..n_classes-1; called once for
            every tuple, when the task is made. It must always give the same answer.
        n_symbols: Number of symbols, at least 2.
        n_operands: Number of operands, at least 1.
        n_classes: Number of answers, at least 2.
        random_labels: Replace the answers by uniform random ones drawn once per replica seed.
    """

    def __init__(
        self,
        *,
        function: Callable[..., Any],
        n_symbols: int,
        n_operands: int,
        n_classes: int,
        random_labels: bool,
    ) -> None:
        sizes = {"n_symbols": (n_symbols, 2), "n_operands": (n_operands, 1)}
        for name, (size, least) in {**sizes, "n_classes": (n_classes, 2)}.items():
            if size < least:
                raise ConfigError(f"`{name}` must be at least {least}, got {size}.")
        tuples = all_tuples(n_symbols, n_operands)
        super().__init__(
            tuples,
            _function_labels(function, tuples, n_classes),
            n_symbols=n_symbols,
            n_classes=n_classes,
            negative=None,
            random_labels=random_labels,
        )
