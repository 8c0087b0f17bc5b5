"""Composition in a finite group: the answer to (x, y) is a word in x and y."""

from typing import Literal, final, get_args

from jaxtyping import Int
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.maths.examples import AnsweredTask, all_tuples
from observatory.maths.groups import Group

_Expression = Literal["xy", "xyx^-1", "xyx"]


def evaluate(
    group: Group, pairs: Int[Tensor, "batch pos"], expression: _Expression
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
class GroupComposition(AnsweredTask):
    """All ordered pairs of elements of a group.

    Args:
        group: A verified group; kept as the attribute `group`, for its irreps.
        expression: "xy", "xyx^-1" (conjugation; in an abelian group just y) or "xyx".
        random_labels: Replace the answers by uniform random ones drawn once per replica seed.
    """

    def __init__(self, *, group: Group, expression: _Expression, random_labels: bool) -> None:
        if expression not in get_args(_Expression):
            raise ConfigError(
                f"`expression` must be one of {list(get_args(_Expression))}, got {expression!r}."
            )
        self.group = group
        pairs = all_tuples(group.order, 2)
        super().__init__(
            pairs,
            evaluate(group, pairs, expression),
            n_symbols=group.order,
            n_classes=group.order,
            negative=None,
            random_labels=random_labels,
            group=group.table,
        )
