"""Sets of examples: all or some ordered tuples, random labels, and the split into train and val."""

from abc import ABC

import torch
from jaxtyping import Int
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator
from observatory.core.settings import Share, checked

_MAX_EXAMPLES = 1_000_000
"""Above it a task is refused: examples are held whole, and evaluated whole, by every replica."""

_RANDOM_LABELS_NEGATIVE = "random labels: nothing to generalise, so val accuracy stays at chance"


def all_tuples(n_symbols: int, n_operands: int) -> Int[Tensor, "batch pos"]:
    """Every ordered tuple of `n_operands` symbols 0..n_symbols-1, in lexicographic order.

    Raises:
        ConfigError: If there are more than `_MAX_EXAMPLES`.

    Example:
        >>> all_tuples(2, 2).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    if n_symbols**n_operands > _MAX_EXAMPLES:
        raise ConfigError(
            f"`task` must have at most {_MAX_EXAMPLES:,} examples, got {n_symbols}^{n_operands} = "
            f"{n_symbols**n_operands:,}. Choose fewer symbols (a smaller p) or fewer operands, or "
            "give `n_samples` where the task has it."
        )
    grids = torch.meshgrid([torch.arange(n_symbols)] * n_operands, indexing="ij")
    return torch.stack([grid.flatten() for grid in grids], dim=1)


def random_tuples(
    n_symbols: int, n_operands: int, n_samples: int, seed: int
) -> Int[Tensor, "batch pos"]:
    """Distinct ordered tuples, uniform among all; they depend on the arguments alone.

    Raises:
        ConfigError: If `n_samples` is below 2, above `_MAX_EXAMPLES` or above the number of tuples.

    Example:
        >>> random_tuples(2, 2, 4, seed=0).sort(dim=0).values.tolist()  # 4 of 4: each is there
        [[0, 0], [0, 0], [1, 1], [1, 1]]
    """
    most = min(_MAX_EXAMPLES, n_symbols**n_operands)
    if not 2 <= n_samples <= most:
        raise ConfigError(
            f"`n_samples` must be in 2..{most:,}, got {n_samples:,}. "
            f"There are {n_symbols}^{n_operands} different tuples."
        )
    rng = named_generator(seed, "inputs")
    drawn: dict[tuple[int, ...], None] = {}  # in order of first appearance: no tuple is favoured
    while len(drawn) < n_samples:
        draws = torch.randint(n_symbols, (n_samples, n_operands), generator=rng)
        drawn.update(dict.fromkeys(map(tuple, draws.tolist())))
    return torch.tensor(list(drawn)[:n_samples])


def _random_split(
    n_examples: int, fraction: float, rng: torch.Generator
) -> tuple[Int[Tensor, " batch"], Int[Tensor, " sample"]]:
    """Train and val indices from one permutation; the first `round(fraction * n_examples)` train.

    Raises:
        ConfigError: If `fraction` is outside (0, 1) or leaves one side empty.

    Example:
        >>> train, val = _random_split(10, 0.3, torch.Generator().manual_seed(0))
        >>> len(train), len(val), sorted(train.tolist() + val.tolist()) == list(range(10))
        (3, 7, True)
    """
    checked({"train_fraction": fraction}, {"train_fraction": Share})
    n_train = round(fraction * n_examples)
    if n_train in (0, n_examples):
        raise ConfigError(
            f"`train_fraction` = {fraction} of {n_examples} examples leaves one split empty. "
            "Choose a fraction that leaves at least one example on each side."
        )
    order = torch.randperm(n_examples, generator=rng)
    return order[:n_train], order[n_train:]


class AnsweredTask(ABC):  # noqa: B024 - what is missing is a constructor that makes examples
    """A task that is the list of its examples with their answers, and its random-label twin.

    Args:
        inputs: One row of operands per example.
        answers: The right answer of each.
        n_symbols: Number of distinct operand symbols.
        n_classes: Number of answers.
        negative: Why it is known not to grok, or None.
        random_labels: Replace the answers by uniform random ones drawn once per replica seed: the
            memorisation-only twin of the task.
        group: Table of the group in whose elements answers are composed, or None.
    """

    def __init__(
        self,
        inputs: Int[Tensor, "batch pos"],
        answers: Int[Tensor, " batch"],
        *,
        n_symbols: int,
        n_classes: int,
        negative: str | None,
        random_labels: bool,
        group: Int[Tensor, "element element"] | None = None,
    ) -> None:
        self.n_symbols, self.n_classes = n_symbols, n_classes
        self.negative = _RANDOM_LABELS_NEGATIVE if random_labels else negative
        self._inputs, self._answers, self._random_labels = inputs, answers, random_labels
        self._group = group

    def inputs(self) -> Int[Tensor, "batch pos"]:
        """All examples, in a fixed order."""
        return self._inputs

    def labels(self, rng: torch.Generator) -> Int[Tensor, " batch"]:
        """The answers, or random ones."""
        if self._random_labels:
            return torch.randint(self.n_classes, self._answers.shape, generator=rng)
        return self._answers

    def answers(self) -> Int[Tensor, " batch"]:
        """The right answers, whatever the labels are."""
        return self._answers

    def answer_group(self) -> Int[Tensor, "element element"] | None:
        """Table of the group in whose elements answers are composed, or None."""
        return self._group

    def split(
        self, fraction: float, rng: torch.Generator
    ) -> tuple[Int[Tensor, " batch"], Int[Tensor, " sample"]]:
        """A uniform random split of the examples."""
        return _random_split(len(self._inputs), fraction, rng)
