"""Settings of a fleet: its layout, its evaluations, and when a replica leaves. Imports no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from observatory.core.schedule import Schedule
from observatory.core.settings import Count, Size, checked, declared

if TYPE_CHECKING:
    from observatory.fleet.replicas import Dataset

Precision = Literal["float32", "float64"]
"""Precisions of parameters, activations and losses."""
FEW = 64
"""Probe examples that every task may be asked for, also one that has fewer."""
SERIES = ("train_acc", "val_acc")
"""What evaluation records at every look, and an event may look at."""


@dataclass(frozen=True)
class FleetSettings:
    """How the stack is laid out and in what precision it computes.

    Attributes:
        size: Number of slots R; fewer, by fours, once nobody waits for an empty one.
        batch_size: Examples per step, or None for the whole train split.
        dtype: Precision of parameters and activations, "float32" or "float64".
        loss_dtype: Precision of the loss.
        path: "fast" or "generic" forward.
        compile: Whether loss and gradient of the whole stack are compiled, "on" or "off".
        decay: Which weights decay: "all", or "matrices": all but the pointwise ones.
        device: A torch device.
        probe_examples: Examples that probes look at, drawn once per study from all examples; of a
            task with fewer, `FEW` and less mean all.
        probe_buffer: Copied parameters (replicas times entries) that may wait to be measured
            together, at most 5 looks of a stack; 0 measures every look at once.
        study_seed: Root of the study's "probe" generator.
    """

    size: Size
    batch_size: Size | None
    dtype: Precision
    loss_dtype: Precision
    path: Literal["fast", "generic"]
    compile: Literal["on", "off"]
    decay: Literal["all", "matrices"]
    device: str
    probe_examples: Size
    probe_buffer: Count
    study_seed: int

    def __post_init__(self) -> None:
        checked(vars(self), declared(FleetSettings))


@dataclass(frozen=True)
class EvaluationSettings:
    """When evaluation looks, and at what.

    Attributes:
        every: Steps between regular looks; the horizon must be a multiple.
        subset: Examples of each split at a regular look, drawn once per replica; None for all.
        full: When all examples are looked at besides, where `subset` is given.
        chunk: Examples per forward, a bound on memory unless the loss is coupled.
    """

    every: Size
    subset: Size | None
    full: Schedule | None
    chunk: Size

    def looked_at(self, dataset: "Dataset") -> tuple[int, int]:
        """Train and val examples of one replica at a regular look."""
        most = self.subset or len(dataset)
        return min(most, dataset.n_train), min(most, dataset.n_val)

    def __post_init__(self) -> None:
        checked(vars(self), declared(EvaluationSettings), "evaluation")


@dataclass(frozen=True)
class RetirementRules:
    """The rules by which replicas leave, every number from the configuration.

    Attributes:
        horizon_steps: Steps after which a replica leaves whatever it has done.
        settle: Whether a settled replica leaves before the horizon.
        tail_steps: Steps watched after the first touch before a replica counts as settled.
        collapse_level: Train accuracy below which a look counts towards collapse.
        collapse_looks: Consecutive such looks that make a collapse.
        collapse_after: Steps granted before looks count.
        lost_level: Val accuracy below which a look in the tail counts towards "lost".
        lost_looks: Consecutive such looks that make it lost.
    """

    horizon_steps: Size
    settle: bool
    tail_steps: Count
    collapse_level: float
    collapse_looks: Size
    collapse_after: int
    lost_level: float
    lost_looks: Size

    def __post_init__(self) -> None:
        checked(vars(self), declared(RetirementRules))
