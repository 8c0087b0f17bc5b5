"""What a task, a model, a loss, an optimizer and a probe must offer; components do nothing more."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.layout import Index, Layout, Params, Weight
from observatory.core.view import FleetView

Inputs = Int[Tensor, "replica batch pos"]
Logits = Float[Tensor, "replica batch d_vocab"]
Labels = Int[Tensor, "replica batch"]
PerExample = Float[Tensor, "replica batch"]
"""One number per replica and example."""
Rows = Float[Tensor, "replica param"]
"""The parameters of every replica, or what belongs to each of them, a flat row per replica."""


@runtime_checkable
class Task(Protocol):
    """A finite set of labelled examples and how it is split."""

    n_symbols: int
    """Number of distinct operand symbols, `d_vocab` without a query token."""
    n_classes: int
    """Number of answers."""
    negative: str | None
    """Why it is known not to grok, with the source; None where that is not known."""

    def inputs(self) -> Int[Tensor, "batch pos"]:
        """All examples: one row of operands each, in a fixed order."""
        ...

    def labels(self, rng: torch.Generator) -> Int[Tensor, " batch"]:
        """The answer of every example; `rng` is drawn from only where labels are random."""
        ...

    def split(
        self, fraction: float, rng: torch.Generator
    ) -> tuple[Int[Tensor, " train"], Int[Tensor, " val"]]:
        """Disjoint, exhaustive indices of the train and val examples."""
        ...


@runtime_checkable
class HasAnswers(Protocol):
    """A task that knows its right answers, whatever the labels are."""

    def answers(self) -> Int[Tensor, " batch"]:
        """The right answer of every example."""
        ...

    def answer_group(self) -> Int[Tensor, "element element"] | None:
        """Table of the group in whose elements answers are composed; None where there is none."""
        ...


@runtime_checkable
class HasModulus(Protocol):
    """A task whose answer may be a sum or difference of residues."""

    modulus: int | None
    """Of residues 0..modulus-1 that it only adds and subtracts; None where it does else."""


@runtime_checkable
class Model(Protocol):
    """One network: an `nn.Module` from operands `[batch, pos]` to logits `[batch, d_vocab]`."""

    def initialise(self, rng: torch.Generator) -> None:
        """Draw every weight anew from `rng`, in a fixed order."""
        ...

    def hooks(self) -> dict[str, str]:
        """Activations by path of their `HookPoint`, with their axes: "batch head pos pos"."""
        ...

    def weights(self) -> dict[str, Weight]:
        """Every parameter by name, with its role and the activation that it multiplies."""
        ...


@runtime_checkable
class StackedForward(Protocol):
    """Many networks at once, written out by hand; equals the vmapped `forward`."""

    def __call__(self, params: Params, inputs: Inputs) -> Logits:
        """Logits of every replica on its own examples."""
        ...


@runtime_checkable
class Recorder(Protocol):
    """Many networks at once on shared examples, with every activation that has a name."""

    def __call__(self, params: Params, inputs: Int[Tensor, "batch pos"]) -> dict[str, Tensor]:
        """The logits and every hooked activation by name, each `[replica, batch, ...]`."""
        ...


@runtime_checkable
class FastPath(StackedForward, Protocol):
    """Stacked forwards written out by hand; each equals vmapping the network's `forward`."""

    def record(self, params: Params, inputs: Int[Tensor, "batch pos"]) -> dict[str, Tensor]:
        """The logits and the hooked activations that come cheap; others are vmapped when needed."""
        ...


@runtime_checkable
class RecordsOnDemand(Protocol):
    """A fast path that records the kinds of activations that are asked for, at the least cost."""

    recordable: frozenset[str]
    """These kinds can be asked for: "logits", "attn_pattern", ..."""

    def record_for(
        self, params: Params, inputs: Int[Tensor, "batch pos"], kinds: Collection[str]
    ) -> dict[str, Tensor]:
        """The activations of these kinds, as the plain module has them, and maybe others."""
        ...


@runtime_checkable
class HasFastPath(Protocol):
    """A model that knows faster stacked forwards than vmapping itself."""

    def fast_path(self) -> FastPath | None:
        """The fast path, or None where the present settings rule it out."""
        ...


@runtime_checkable
class HasParts(Protocol):
    """A model with parts that are no whole weights, such as heads."""

    def parts(self) -> dict[str, dict[str, Index]]:
        """By name of a part, which entries of which weights it has."""
        ...


@runtime_checkable
class Loss(Protocol):
    """What is made small: the loss of a replica is the mean over the examples that count."""

    unit: str
    """Unit of the loss: "nats", or "1" where it has none."""
    coupled: bool
    """Whether an example's loss depends on which other examples count."""

    def each(self, logits: Logits, labels: Labels, counted: PerExample | None) -> PerExample:
        """The loss of every example, in the precision of `logits`.

        Args:
            logits: Logits.
            labels: Labels.
            counted: 1 where an example counts, else 0; None where all do. Of use to a `coupled`
                loss only; what it says of examples that do not count is not looked at.
        """
        ...


@dataclass(frozen=True)
class Hyper:
    """Hyperparameters that may differ between replicas.

    Attributes:
        lr: Learning rates.
        weight_decay: Decay rates; decoupled or added to gradients, as the optimizer has it.
        decays: 1 where a parameter of the flat row decays, else 0.
        layout: Which weight lies where in the flat row, for optimizers that look at matrices.
    """

    lr: Float[Tensor, " replica"]
    weight_decay: Float[Tensor, " replica"]
    decays: Float[Tensor, " param"]
    layout: Layout


@runtime_checkable
class Optimizer(Protocol):
    """A stacked optimizer: every row of `flat` is one replica's parameters."""

    def init(self, flat: Rows) -> Params:
        """State of fresh replicas, one row each."""
        ...

    def update(self, flat: Rows, grads: Rows, state: Params, hyper: Hyper) -> None:
        """One step, written into `flat` and `state`; `grads` is left as it was."""
        ...


@dataclass(frozen=True)
class Masked:
    """Values that exist for some replicas only; the others are stored as null."""

    values: Tensor
    defined: Bool[Tensor, "replica ..."]

    @staticmethod
    def of(
        values: Sequence[float | None], dtype: torch.dtype, device: torch.device | None = None
    ) -> "Masked":
        """A column from one number per replica, None where it does not exist."""
        defined = torch.tensor([value is not None for value in values], device=device)
        return Masked(torch.tensor([v or 0 for v in values], dtype=dtype, device=device), defined)


Measurement = Mapping[str, Tensor | Masked | Sequence[str | None] | None]
"""One entry per declared column, first axis = replicas; None = undefined, stored as null."""


class Probe(ABC):
    """Looks at a `FleetView` and writes its columns; changes nothing, draws no random number."""

    columns: ClassVar[tuple[Column, ...]]
    needs: tuple[tuple[str, ...], ...] = ()
    """Last words of the names of activations that it needs, such as (("attn_pattern",),): of each
    entry the first one that the model declares."""
    needs_group: ClassVar[bool] = False
    """Whether the answers must fill a Latin square on a group: `EveryExample.group`."""

    @abstractmethod
    def measure(self, view: FleetView) -> Measurement:
        """Measure every replica of the view at once, in float64, without mixing replicas."""
