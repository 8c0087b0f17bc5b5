"""Labels and split of every slot's replica, and the examples that its evaluations look at."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from observatory.fleet.replicas import Dataset, Split
from observatory.fleet.settings import EvaluationSettings


class Splits:
    """One row per slot.

    Args:
        size: Number of slots.
        inputs: All examples, where the rows are wanted.
        dataset: What is split.
        evaluation: How many examples of either split a regular look takes.
        probed: Which examples the probes look at.
    """

    def __init__(
        self,
        size: int,
        inputs: Int[Tensor, "batch pos"],
        dataset: Dataset,
        evaluation: EvaluationSettings,
        probed: Int[Tensor, " probed"],
    ) -> None:
        n, device = len(dataset), inputs.device
        self.inputs, self._probed = inputs, probed
        self.labels = torch.zeros(size, n, dtype=torch.int64, device=device)
        self.in_train = torch.zeros(size, n, dtype=torch.bool, device=device)
        # Copies: picked out of the rows at every look, they would cost as much as a probe.
        self.probe_labels = self.labels[:, probed]
        self.probe_in_train = self.in_train[:, probed]
        self._n_looked = None if evaluation.subset is None else evaluation.looked_at(dataset)
        n_subset = sum(self._n_looked or ())
        self._subset = torch.zeros(size, n_subset, dtype=torch.int64, device=device)

    def seat(self, slot: int, split: Split) -> None:
        """Another replica takes `slot`."""
        self.labels[slot] = split.labels.to(self.labels.device)
        self.in_train[slot] = split.in_train().to(self.labels.device)
        self.probe_labels[slot] = self.labels[slot, self._probed]
        self.probe_in_train[slot] = self.in_train[slot, self._probed]
        if self._n_looked is not None:
            n_train, n_val = self._n_looked
            subset = torch.cat([split.train[:n_train], split.val[:n_val]])
            self._subset[slot] = subset.to(self.labels.device)

    def looked_at(
        self, rows: slice | Int[Tensor, " replica"], *, full: bool
    ) -> tuple[
        Int[Tensor, "replica batch pos"],
        Int[Tensor, "replica batch"],
        Bool[Tensor, "replica batch"],
    ]:
        """Inputs, labels and membership in the train split that an evaluation takes.

        Args:
            rows: Of which slots.
            full: All examples, not each replica's subset.
        """
        labels, in_train = self.labels[rows], self.in_train[rows]
        if full or self._n_looked is None:
            return self.inputs.expand(len(labels), -1, -1), labels, in_train
        subset = self._subset[rows]
        return self.inputs[subset], labels.gather(1, subset), in_train.gather(1, subset)
