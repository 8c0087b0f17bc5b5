"""The frozen window on the fleet that a probe receives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.layout import Params, Weight


class EveryExample(ABC):
    """All examples of the task, and the network as functions of parameters and examples.

    For probes that run the network themselves. Nothing is computed before it is asked for.
    """

    @property
    @abstractmethod
    def inputs(self) -> Int[Tensor, "sample pos"]:
        """Operands of all examples."""

    @property
    @abstractmethod
    def labels(self) -> Int[Tensor, "replica sample"]:
        """What each replica is trained on."""

    @property
    @abstractmethod
    def in_train(self) -> Bool[Tensor, "replica sample"]:
        """Whether an example is in the replica's own train split."""

    @property
    @abstractmethod
    def group(self) -> Int[Tensor, "element element"] | None:
        """Table of the group of the answers, where they fill a Latin square on it; else None."""

    @property
    @abstractmethod
    def answers(self) -> Int[Tensor, " sample"] | None:
        """The right answer of every example, whatever the labels; None without a `group`."""

    @property
    @abstractmethod
    def start(self) -> Params:
        """The parameters of every replica at step 0, or at `since`, stacked."""

    @property
    @abstractmethod
    def since(self) -> int | None:
        """The step of the kept states that `start` has in place of step 0; None where it is 0."""

    @abstractmethod
    def logits(
        self, params: Params, inputs: Int[Tensor, "replica batch pos"]
    ) -> Float[Tensor, "replica batch d_vocab"]:
        """Logits of stacked networks, each on its own examples; can be differentiated twice."""

    @abstractmethod
    def patched(
        self,
        params: Params,
        inputs: Int[Tensor, "replica batch pos"],
        given: Mapping[str, Float[Tensor, "replica batch ..."]],
        only: Mapping[str, Bool[Tensor, "replica _ ..."]],
        *,
        relevance: bool,
    ) -> Float[Tensor, "replica batch d_vocab"]:
        """Logits where each activation of `given` takes the place of the one that was computed.

        Of those in `only` just the entries that are True do; a batch of 1 there is that of all.
        With `relevance` derivatives follow the rules of RelP; logits are the same up to rounding.
        """

    @abstractmethod
    def losses(
        self,
        logits: Float[Tensor, "replica batch d_vocab"],
        labels: Int[Tensor, "replica batch"],
        counted: Bool[Tensor, "replica batch"] | None = None,
    ) -> Float[Tensor, "replica batch"]:
        """The loss of the training of every example, in the precision of `logits`.

        `counted` is that of `Loss.each`: where only some examples belong to the mean that is asked
        for, such as those of one split, it says which.
        """

    @abstractmethod
    def activations(
        self, params: Params, inputs: Int[Tensor, "batch pos"]
    ) -> Mapping[str, Float[Tensor, "replica batch ..."]]:
        """As `FleetView.activations`, of stacked networks on examples that they share."""


@dataclass(frozen=True)
class FleetView:
    """The fleet at one moment, for the replicas whose probe is due.

    All tensors are detached; writing into them is forbidden (the contract tests check).

    Attributes:
        replica: Identity of each replica in its run.
        step: Optimizer updates each replica has made.
        params: Stacked parameters.
        weights: What the model declares of each of them: its role, the activation it multiplies.
        inputs: Operands of the probe examples, the same for every replica of the study.
        labels: Labels of the probe examples (they differ between replicas only for random labels).
        in_train: Whether a probe example is in the replica's own train split.
        activations: Recorded on the probe examples when first asked for; `logits` and every name of
            the model's `hooks()`, each `[replica, batch, ...]`.
        loss_dtype: Precision in which the training loss is computed: "float32" or "float64".
        everything: All examples of the task; None where there is no task of ours.
    """

    replica: Int[Tensor, " replica"]
    step: Int[Tensor, " replica"]
    params: Params
    weights: Mapping[str, Weight]
    inputs: Int[Tensor, "batch pos"]
    labels: Int[Tensor, "replica batch"]
    in_train: Bool[Tensor, "replica batch"]
    activations: Mapping[str, Float[Tensor, "replica batch ..."]]
    loss_dtype: str
    everything: EveryExample | None = None
