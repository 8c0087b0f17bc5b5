"""The frozen window on the fleet that a probe receives."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.layout import Params, Weight


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
