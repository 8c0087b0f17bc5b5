"""Modular arithmetic on ordered pairs (a, b) of residues: those of arXiv:2201.02177, and a b.

| name        | answer modulo p                            | pairs  | p     |
|-------------|--------------------------------------------|--------|-------|
| add         | a + b                                      | all    | any   |
| sub         | a - b                                      | all    | any   |
| mul         | a b                                        | all    | any   |
| div         | a / b                                      | b != 0 | prime |
| div_sub     | a / b where b is odd, a - b where b is even | all    | prime |
| sum_squares | a^2 + b^2                                  | all    | any   |
| quadratic   | a^2 + a b + b^2                            | all    | any   |
| quadratic_x | a^2 + a b + b^2 + a                        | all    | any   |
| cubic_xy    | a^3 + a b                                  | all    | any   |
| cubic_xyy_y | a^3 + a b^2 + b                            | all    | any   |

Multiplication keeps zero. Without it and for prime p it would be addition modulo p - 1 under other
names (logarithms to a primitive root): for that task take add with p - 1.
"""

from typing import Literal, final, get_args

import torch
from jaxtyping import Int
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.maths.examples import AnsweredTask, all_tuples
from observatory.maths.groups import cyclic_table

_Operation = Literal[
    "add", "sub", "mul", "div", "div_sub",
    "sum_squares", "quadratic", "quadratic_x", "cubic_xy", "cubic_xyy_y",
]  # fmt: skip

_NEGATIVES: dict[_Operation, str] = {
    "quadratic": "no grokking at train_fraction 0.3, p 97 within 7500 steps (arXiv:2602.16746)",
    "cubic_xy": "no grokking at train_fraction 0.3, p 97 within 7500 steps (arXiv:2602.16746)",
    "cubic_xyy_y": "no grokking at any train_fraction up to 0.95, p 97 (arXiv:2201.02177)",
}


def is_prime(n: int) -> bool:
    """Whether `n` is a prime number, by trial division."""
    return n >= 2 and all(n % d for d in range(2, int(n**0.5) + 1))


def _modular_labels(
    pairs: Int[Tensor, "batch pos"], p: int, operation: _Operation
) -> Int[Tensor, " batch"]:
    """The answer of every pair, in 0..p-1.

    Division is by multiplication with the inverse b^(p-2), which exists for prime p and b != 0.

    Args:
        pairs: Columns a and b.
        p: The modulus.
        operation: One of the table above.

    Example:
        >>> _modular_labels(torch.tensor([[1, 3]]), 5, "div")  # 3 * 2 = 6 = 1 modulo 5
        tensor([2])
    """
    a, b = pairs.unbind(dim=1)
    inverses = torch.tensor([pow(x, max(p - 2, 1), p) for x in range(p)])
    match operation:
        case "add":
            answers = a + b
        case "sub":
            answers = a - b
        case "mul":
            answers = a * b
        case "div":
            answers = a * inverses[b]
        case "div_sub":
            answers = torch.where(b % 2 == 1, a * inverses[b], a - b)
        case "sum_squares":
            answers = a**2 + b**2
        case "quadratic":
            answers = a**2 + a * b + b**2
        case "quadratic_x":
            answers = a**2 + a * b + b**2 + a
        case "cubic_xy":
            answers = a**3 + a * b
        case "cubic_xyy_y":
            answers = a**3 + a * b**2 + b
    return answers % p


@final
class Modular(AnsweredTask):
    """All ordered pairs of residues modulo `p` under one operation.

    For division p must be prime, and pairs with b = 0 are left out before the split. `div_sub`
    keeps them: zero counts as even.

    Args:
        p: Modulus, at least 2.
        operation: One of the table above.
        random_labels: Replace the answers by uniform random ones drawn once per replica seed: the
            memorisation-only twin of the task.
    """

    def __init__(self, *, p: int, operation: _Operation, random_labels: bool) -> None:
        if p < 2:
            raise ConfigError(
                f"`p` must be at least 2, got {p}. A modulus of 1 has a single answer."
            )
        if operation not in get_args(_Operation):
            raise ConfigError(
                f"`operation` must be one of {list(get_args(_Operation))}, got {operation!r}."
            )
        if operation in ("div", "div_sub") and not is_prime(p):
            raise ConfigError(
                f"`p` must be prime for division, got {p}. "
                "Choose a prime, such as 97, or another operation."
            )
        pairs = all_tuples(p, 2)
        pairs = pairs[pairs[:, 1] != 0] if operation == "div" else pairs
        super().__init__(
            pairs,
            _modular_labels(pairs, p, operation),
            n_symbols=p,
            n_classes=p,
            negative=_NEGATIVES.get(operation),
            random_labels=random_labels,
            group=cyclic_table(p) if operation in ("add", "sub") else None,
        )
        self.modulus = p if operation in ("add", "sub") else None
