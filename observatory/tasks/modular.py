"""Modular arithmetic on ordered pairs (a, b) of residues: a + b, a - b, a * b, a / b modulo p."""

from typing import Literal, final, get_args

import torch
from jaxtyping import Int
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.maths.examples import all_pairs, random_labels, random_split

Operation = Literal["add", "sub", "mul", "div"]


def is_prime(n: int) -> bool:
    """Whether `n` is a prime number, by trial division."""
    return n >= 2 and all(n % d for d in range(2, int(n**0.5) + 1))


def modular_labels(
    pairs: Int[Tensor, "batch pos"], p: int, operation: Operation
) -> Int[Tensor, " batch"]:
    """The answer of every pair, in 0..p-1.

    Division is by multiplication with the inverse b^(p-2), which exists for prime p and b != 0.

    Args:
        pairs: Columns a and b.
        p: The modulus.
        operation: "add", "sub", "mul" or "div".

    Example:
        >>> modular_labels(torch.tensor([[1, 3]]), 5, "div")  # 3 * 2 = 6 = 1 modulo 5
        tensor([2])
    """
    a, b = pairs.unbind(dim=1)
    match operation:
        case "add":
            return (a + b) % p
        case "sub":
            return (a - b) % p
        case "mul":
            return (a * b) % p
        case "div":
            inverses = torch.tensor([pow(int(x), p - 2, p) for x in range(p)])
            return (a * inverses[b]) % p


@final
class Modular:
    """All ordered pairs of residues modulo `p` under one operation.

    For division p must be prime, and pairs with b = 0 are left out before the split.

    Args:
        p: Modulus, at least 2.
        operation: "add", "sub", "mul" or "div".
        random_labels: Replace the answers by uniform random ones drawn once per replica seed: the
            memorisation-only twin of the task.
    """

    def __init__(self, *, p: int, operation: Operation, random_labels: bool) -> None:
        if p < 2:
            raise ConfigError(
                f"`p` must be at least 2, got {p}. A modulus of 1 has a single answer."
            )
        if operation not in get_args(Operation):
            raise ConfigError(
                f"`operation` must be one of {list(get_args(Operation))}, got {operation!r}."
            )
        if operation == "div" and not is_prime(p):
            raise ConfigError(
                f"`p` must be prime for division, got {p}. "
                "Choose a prime, such as 97, or another operation."
            )
        self.p, self.random = p, random_labels
        self.operation: Operation = operation
        self.n_symbols = self.n_classes = p
        pairs = all_pairs(p)
        self._pairs = pairs[pairs[:, 1] != 0] if operation == "div" else pairs

    def inputs(self) -> Int[Tensor, "batch pos"]:
        """All pairs in lexicographic order."""
        return self._pairs

    def labels(self, rng: torch.Generator) -> Int[Tensor, " batch"]:
        """The answers, or random ones."""
        if self.random:
            return random_labels(len(self._pairs), self.n_classes, rng)
        return modular_labels(self._pairs, self.p, self.operation)

    def split(
        self, fraction: float, rng: torch.Generator
    ) -> tuple[Int[Tensor, " batch"], Int[Tensor, " sample"]]:
        """A uniform random split of the pairs."""
        return random_split(len(self._pairs), fraction, rng)
