"""The data of a fleet: the examples that all share, and what each replica's seed gives it."""

import hashlib
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from observatory.core.contracts import Task
from observatory.core.rng import named_generator


@dataclass(frozen=True)
class Dataset:
    """All examples of a task, shared by the fleet, and the sizes of every split."""

    task: Task
    inputs: Int[Tensor, "sample pos"]
    train_fraction: float
    n_train: int

    @staticmethod
    def of(task: Task, train_fraction: float) -> "Dataset":
        """Build the examples once; the split sizes are the same for every seed."""
        inputs = task.inputs()
        train, _ = task.split(train_fraction, torch.Generator().manual_seed(0))
        return Dataset(task, inputs, train_fraction, len(train))

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def n_val(self) -> int:
        """Number of val examples."""
        return len(self) - self.n_train

    def digest(self) -> str:
        """SHA-256 of all inputs and of the labels that seed 0 gives."""
        labels = self.task.labels(named_generator(0, "labels"))
        return hashlib.sha256(self.inputs.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()

    def draw(self, seed: int) -> "Split":
        """The labels and the split of one replica, each from a generator of its own.

        A random-label twin is so trained on the examples of its real run.
        """
        labels = self.task.labels(named_generator(seed, "labels"))
        train, val = self.task.split(self.train_fraction, named_generator(seed, "data"))
        return Split(labels, train, val)


@dataclass(frozen=True)
class Split:
    """One replica's labels and its train and val examples."""

    labels: Int[Tensor, " sample"]
    train: Int[Tensor, " batch"]
    val: Int[Tensor, " draw"]

    def in_train(self) -> Bool[Tensor, " sample"]:
        """Whether each example is in the train split."""
        mask = torch.zeros(len(self.labels), dtype=torch.bool)
        mask[self.train] = True
        return mask


def probe_examples(n_examples: int, wanted: int, study_seed: int) -> Int[Tensor, " batch"]:
    """Which examples probes look at: drawn once per study, the same for every replica."""
    rng = named_generator(study_seed, "probe")
    return torch.randperm(n_examples, generator=rng)[:wanted]
