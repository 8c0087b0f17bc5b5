"""Sets of examples: all ordered tuples, random labels, and the split into train and val."""

import torch
from jaxtyping import Int
from torch import Tensor

from observatory.core.errors import ConfigError


def all_pairs(n_symbols: int) -> Int[Tensor, "batch pos"]:
    """Every ordered pair (a, b) with 0 <= a, b < n_symbols; row a * n_symbols + b holds (a, b)."""
    symbols = torch.arange(n_symbols)
    return torch.cartesian_prod(symbols, symbols)


def random_labels(n_examples: int, n_classes: int, rng: torch.Generator) -> Int[Tensor, " batch"]:
    """Independent uniform labels: the twin of a task in which there is nothing to generalise."""
    return torch.randint(n_classes, (n_examples,), generator=rng)


def random_split(
    n_examples: int, fraction: float, rng: torch.Generator
) -> tuple[Int[Tensor, " batch"], Int[Tensor, " sample"]]:
    """Train and val indices from one permutation; the first `round(fraction * n_examples)` train.

    Raises:
        ConfigError: If `fraction` is outside (0, 1) or leaves one side empty.

    Example:
        >>> train, val = random_split(10, 0.3, torch.Generator().manual_seed(0))
        >>> len(train), len(val), sorted(train.tolist() + val.tolist()) == list(range(10))
        (3, 7, True)
    """
    if not 0 < fraction < 1:
        raise ConfigError(
            f"`train_fraction` must be in (0, 1), got {fraction}. "
            "Give the fraction, not the percentage."
        )
    n_train = round(fraction * n_examples)
    if n_train in (0, n_examples):
        raise ConfigError(
            f"`train_fraction` = {fraction} of {n_examples} examples leaves one split empty. "
            "Choose a fraction that leaves at least one example on each side."
        )
    order = torch.randperm(n_examples, generator=rng)
    return order[:n_train], order[n_train:]
