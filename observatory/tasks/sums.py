"""The sum of several residues modulo p."""

from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.maths.examples import (
    all_tuples,
    answers_or_random,
    random_split,
    random_tuples,
    why_negative,
)


@final
class ModularSum:
    """Ordered tuples of `k` residues modulo `p`: all p^k, or distinct random ones.

    Args:
        p: Modulus, at least 2.
        k: Number of operands, at least 2; with 2 and all tuples this is addition.
        n_samples: Number of random tuples, the same for every replica; None for all tuples,
            refused above a million.
        inputs_seed: From which they are drawn; no matter where all are there.
        random_labels: Replace the answers by uniform random ones drawn once per replica seed.
    """

    def __init__(
        self, *, p: int, k: int, n_samples: int | None, inputs_seed: int, random_labels: bool
    ) -> None:
        for name, size in (("p", p), ("k", k)):
            if size < 2:
                raise ConfigError(f"`{name}` must be at least 2, got {size}.")
        self.n_symbols = self.n_classes = p
        self.negative = why_negative(None, random_labels=random_labels)
        self._random_labels = random_labels
        self._inputs = (
            all_tuples(p, k) if n_samples is None else random_tuples(p, k, n_samples, inputs_seed)
        )
        self._answers = self._inputs.sum(dim=1) % p

    def inputs(self) -> Int[Tensor, "batch pos"]:
        """All tuples in lexicographic order, or some in the order of drawing."""
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
