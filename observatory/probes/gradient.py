r"""The gradient of the training loss on the whole train split, and where the loss has rounded.

Letters: g the gradient, theta the parameters, z logits. Once train examples are answered rightly,
the loss falls when the logits grow: then -g points along theta, and a step scales the network
instead of changing what it computes (naive loss minimisation).
"""

from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.layout import Params
from observatory.core.settings import Positive, check_arguments
from observatory.core.view import EveryExample, FleetView
from observatory.maths.answer_logits import alone, every_example, margins
from observatory.maths.matrices import matrix_names

_PER_MATRIX = "nlm_cosine_matrix"


def train_gradient(
    everything: EveryExample,
    params: Params,
    inputs: Int[Tensor, "replica batch pos"],
    labels: Int[Tensor, "replica batch"],
    dtype: torch.dtype,
) -> tuple[Params, Float[Tensor, "replica batch d_vocab"]]:
    """Gradient of the mean loss of every replica, by name, and the logits.

    Both as the training has them: in the precision of the parameters, the loss in `dtype`.
    """
    with torch.enable_grad():
        leaves = {name: stack.detach().requires_grad_() for name, stack in params.items()}
        logits = everything.logits(leaves, inputs).to(dtype)
        losses = everything.losses(logits, labels).mean(dim=1)
        found = torch.autograd.grad(losses.sum(), list(leaves.values()))
    return dict(zip(leaves, found, strict=True)), logits.detach()


def cosine(one: Tensor, other: Tensor) -> float | None:
    """Of two flat vectors; None where either is zero."""
    size = float(one.norm() * other.norm())
    return float(one @ other) / size if size != 0 else None


def rounded(
    everything: EveryExample,
    logits: Float[Tensor, "batch d_vocab"],
    labels: Int[Tensor, " batch"],
    large_margin: float,
) -> dict[str, float]:
    r"""Where the loss has rounded, in the precision of `logits`.

    Returns:
        `zero_loss_share`: share of examples whose loss is exactly 0; `large_margin_share`: whose
        margin is above `large_margin`; `class_gradient_defect`: mean of
        $\lvert \sum_k \partial L / \partial z_k \rvert$, which is 0 in exact arithmetic for any
        loss that a shift of all logits leaves as it is.

    Source:
        arXiv:2501.04697 (zero terms), arXiv:2605.06152 (class gradients).
    """
    with torch.enable_grad():
        leaf = logits.detach()[None].requires_grad_()
        losses = everything.losses(leaf, labels[None])
        (by_logit,) = torch.autograd.grad(losses.sum(), leaf)
    spoilt = float(losses.detach().double().sum()) * 0.0
    large = margins(logits.double(), labels) > large_margin
    return {
        "zero_loss_share": float((losses == 0).double().mean()) + spoilt,
        "large_margin_share": float(large.double().mean()) + spoilt,
        "class_gradient_defect": float(by_logit.sum(dim=-1).abs().double().mean()) + spoilt,
    }


@final
class Gradient(Probe):
    """Size and direction of the gradient on all train examples, and where the loss has rounded.

    Args:
        large_margin: Margin above which float32 adds nothing to the largest exponential.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="gradient_norm", unit="1", meaning="L2 norm of the gradient on all train "
               "examples, without weight decay"),
        Column(name="nlm_cosine", unit="1", meaning="cosine of minus the gradient with all "
               "parameters: 1 = a step scales them"),
        Column(name=_PER_MATRIX, unit="1", meaning="the same of each weight matrix, in the order "
               "of the manifest's `matrices`", dims=("matrix",)),
        Column(name="zero_loss_share", unit="1", meaning="share of train examples whose loss is "
               "exactly 0 in the precision of the training loss"),
        Column(name="large_margin_share", unit="1", meaning="share of train examples whose margin "
               "is above the set one"),
        Column(name="class_gradient_defect", unit="1", meaning="mean over train examples of the "
               "absolute sum over classes of the loss's gradient, 0 but for rounding"),
    )  # fmt: skip

    def __init__(self, *, large_margin: Positive) -> None:
        check_arguments(Gradient, large_margin=large_margin)
        self.large_margin = large_margin

    def measure(self, view: FleetView) -> Measurement:
        """See `train_gradient` and `rounded`, one replica at a time."""
        everything = every_example(view, "gradient")
        names = matrix_names(view.params, view.weights)
        rows, matrices = list[dict[str, float | None]](), list[list[float | None]]()
        dtype = torch.float64 if view.loss_dtype == "float64" else torch.float32
        for r in range(len(view.replica)):
            mine = everything.in_train[r]
            if not bool(mine.any()):
                rows.append({})
                matrices.append([None] * len(names))
                continue
            inputs, labels = everything.inputs[mine][None], everything.labels[r][mine]
            params = alone(view.params, r)
            found, logits = train_gradient(everything, params, inputs, labels[None], dtype)
            wide, g = (
                {name: stack.double().flatten() for name, stack in each.items()}
                for each in (params, found)
            )
            flat, theta = torch.cat(list(g.values())), torch.cat(list(wide.values()))
            rows.append({
                "gradient_norm": float(flat.norm()),
                "nlm_cosine": cosine(-flat, theta),
                **rounded(everything, logits[0], labels, self.large_margin),
            })  # fmt: skip
            matrices.append([cosine(-g[n], wide[n]) for n in names])
        device = everything.inputs.device
        per_matrix = [Masked.of(list(m), torch.float64, device) for m in matrices]
        return {
            c.name: Masked.of([row.get(c.name) for row in rows], torch.float64, device)
            if c.name != _PER_MATRIX
            else Masked(
                torch.stack([m.values for m in per_matrix]),
                torch.stack([m.defined for m in per_matrix]),
            )
            for c in self.columns
        }
