"""A table of all pairs of operands, in the order of the logarithms of a cyclic group."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def logarithms(table: Int[Tensor, "element element"]) -> Int[Tensor, " element"] | None:
    """Of each element of a cyclic group the power of one generator that it is; None of others.

    Example:
        >>> logarithms(torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]]))
        tensor([0, 1, 2])
    """
    n = len(table)
    one = int((table == torch.arange(n, device=table.device)).all(dim=1).nonzero()[0])
    for generator in range(n):
        powers = [one]
        while (power := int(table[powers[-1], generator])) != one:
            powers.append(power)
        if len(powers) == n:
            return torch.argsort(torch.tensor(powers)).to(table.device)
    return None


def as_table(
    z: Float[Tensor, "sample d_vocab"],
    operands: Int[Tensor, "sample 2"],
    answers: Int[Tensor, " sample"],
    order: Int[Tensor, " element"],
) -> Float[Tensor, "element element d_vocab"]:
    """Logits by both operands, each in the order of the answers that it gives with another one.

    Args:
        z: Of every pair of a Latin square, once.
        operands: Symbols.
        answers: Right answers.
        order: Place of each element, as of `logarithms`.
    """
    n, places = len(order), list[Tensor]()
    for own, other in ((0, 1), (1, 0)):
        rows = operands[:, other] == operands[0, other]
        place = order.new_zeros(int(operands[:, own].max()) + 1)
        place[operands[rows, own]] = order[answers[rows]]
        places.append(place[operands[:, own]])
    made = z.new_zeros(n, n, z.shape[1])
    made[places[0], places[1]] = z
    return made
