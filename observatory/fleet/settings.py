"""Settings of a fleet: its layout, its evaluations, and when a replica leaves. Imports no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from observatory.core.schedule import Schedule
from observatory.core.settings import Count, Fraction, Size, checked, declared

if TYPE_CHECKING:
    from observatory.fleet.replicas import Dataset

Precision = Literal["float32", "float64"]
"""Precisions of parameters, activations and losses."""
Matmul = Literal["full", "tf32", "bf16"]
"""Precisions of the matrix products of a step; see `LossAndGradient`."""
FEW = 64
"""Probe examples that every task may be asked for, also one that has fewer."""
SERIES = ("train_acc", "val_acc")
"""What evaluation records at every look, and an event may look at."""


@dataclass(frozen=True)
class FleetSettings:
    """How the stack is laid out and in what precision it computes."""

    size: Size  # number of slots R; fewer, by fours, once nobody waits for an empty one
    batch_size: Size | None  # examples per step, or None for the whole train split
    dtype: Precision  # precision of parameters and activations, "float32" or "float64"
    loss_dtype: Precision  # precision of the loss
    matmul: Matmul  # precision of the matrix products of a step: "full" is that of `dtype`
    path: Literal["fast", "generic"]  # "fast" or "generic" forward
    # whether loss and gradient of the whole stack are compiled, "on" or "off"
    compile: Literal["on", "off"]
    graphs: Literal["on", "off"]  # whether the step is recorded as a CUDA graph, "on" or "off"
    # which weights decay: "all", or "matrices": all but the pointwise ones
    decay: Literal["all", "matrices"]
    device: str  # a torch device
    # examples that probes look at, drawn once per study from all examples; of a task with fewer,
    # `FEW` and less mean all
    probe_examples: Size
    # copied parameters (replicas times entries) that may wait to be measured together, at most 5
    # looks of a stack; 0 measures every look at once
    probe_buffer: Count
    study_seed: int  # root of the study's "probe" generator

    def __post_init__(self) -> None:
        checked(vars(self), declared(FleetSettings))


@dataclass(frozen=True)
class EvaluationSettings:
    """When evaluation looks, and at what."""

    every: Size  # steps between regular looks; the horizon must be a multiple
    # examples of each split at a regular look, drawn once per replica; None for all
    subset: Size | None
    full: Schedule | None  # when all examples are looked at besides, where `subset` is given
    chunk: Size  # examples per forward, a bound on memory unless the loss is coupled

    def looked_at(self, dataset: "Dataset") -> tuple[int, int]:
        """Train and val examples of one replica at a regular look."""
        most = self.subset or len(dataset)
        return min(most, dataset.n_train), min(most, dataset.n_val)

    def __post_init__(self) -> None:
        checked(vars(self), declared(EvaluationSettings), "evaluation")


@dataclass(frozen=True)
class RetirementRules:
    """The rules by which replicas leave, every number from the configuration."""

    horizon_steps: Size  # steps after which a replica leaves whatever it has done
    settle: bool  # whether a settled replica leaves before the horizon
    tail_steps: Count  # steps watched after the first touch before a replica counts as settled
    collapse_level: Fraction  # train accuracy below which a look counts towards collapse
    collapse_looks: Size  # consecutive such looks that make a collapse
    collapse_after: Count  # steps granted before looks count
    lost_level: Fraction  # val accuracy below which a look in the tail counts towards "lost"
    lost_looks: Size  # consecutive such looks that make it lost

    def __post_init__(self) -> None:
        checked(vars(self), declared(RetirementRules))
