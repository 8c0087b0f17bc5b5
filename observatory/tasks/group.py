"""Composition in a finite group: the answer to (x, y) is a word in x and y."""

from typing import Literal, final, get_args

import torch
from jaxtyping import Int
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.maths.examples import all_tuples, answers_or_random, random_split, why_negative
from observatory.maths.groups import Group

Expression = Literal["xy", "xyx^-1", "xyx"]


def evaluate(
    group: Group, pairs: Int[Tensor, "batch pos"], expression: Expression
) -> Int[Tensor, " batch"]:
    """The word at every pair (x, y).

    Source:
        arXiv:2201.02177, on S5.
    """
    x, y = pairs.unbind(dim=1)
    xy = group.table[x, y]
    match expression:
        case "xy":
            return xy
        case "xyx^-1":
            return group.table[xy, group.inverses[x]]
        case "xyx":
            return group.table[xy, x]


@final
class GroupComposition:
    """All ordered pairs of elements of a group.

    Args:
        group: A verified group; kept as the attribute `group`, for its irreps.
        expression: "xy", "xyx^-1" (conjugation; in an abelian group just y) or "xyx".
        random_labels: Replace the answers by uniform random ones drawn once per replica seed.
    """

    def __init__(self, *, group: Group, expression: Expression, random_labels: bool) -> None:
        if expression not in get_args(Expression):
            raise ConfigError(
                f"`expression` must be one of {list(get_args(Expression))}, got {expression!r}."
            )
        self.group = group
        self.n_symbols = self.n_classes = group.order
        self.negative = why_negative(None, random_labels=random_labels)
        self._random_labels = random_labels
        self._inputs = all_tuples(group.order, 2)
        self._answers = evaluate(group, self._inputs, expression)

    def inputs(self) -> Int[Tensor, "batch pos"]:
        """All pairs in lexicographic order."""
        return self._inputs

    def labels(self, rng: torch.Generator) -> Int[Tensor, " batch"]:
        """The answers, or random ones."""
        return answers_or_random(
            self._answers, self.n_classes, rng, random_labels=self._random_labels
        )

    def split(
        self, fraction: float, rng: torch.Generator
    ) -> tuple[Int[Tensor, " batch"], Int[Tensor, " sample"]]:
        """A uniform random split of the examples."""
        return random_split(len(self._inputs), fraction, rng)
