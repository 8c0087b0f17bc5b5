r"""How the kernel of learning has changed since the start, and how it fits the labels.

Letters: f the logits, v random signs over classes, J_v `[batch, param]` the gradients of v.f at
every probe example, K = J_v J_v' the empirical neural tangent kernel up to the choice of v, which
is the same at every look; H centres over examples, Y one-hot labels.
"""

from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.layout import MATRICES, Params
from observatory.core.settings import Size, check_arguments
from observatory.core.view import EveryExample, FleetView
from observatory.maths.answer_logits import alone, every_example
from observatory.maths.spectrum import eigenvalues, entropy, shares

Kernel = Float[Tensor, "batch batch"]


def kernels(
    everything: EveryExample,
    params: Params,
    inputs: Int[Tensor, "batch pos"],
    signs: Float[Tensor, " d_vocab"],
) -> dict[str, Kernel]:
    """K of one replica, a summand for every parameter; one backward of as many copies as examples.

    Args:
        everything: How the network runs.
        params: A stack of one, float64.
        inputs: Examples.
        signs: v.
    """
    n = len(inputs)
    with torch.enable_grad():
        leaves = {
            name: stack.detach().expand(n, *stack.shape[1:]).clone().requires_grad_()
            for name, stack in params.items()
        }
        logits = everything.logits(leaves, inputs[:, None])
        found = torch.autograd.grad((logits[:, 0] @ signs).sum(), list(leaves.values()))
    rows = {name: each.flatten(1) for name, each in zip(leaves, found, strict=True)}
    return {name: each @ each.mT for name, each in rows.items()}


def kernel_cosine(one: Kernel, other: Kernel) -> float | None:
    r"""$\langle K, K' \rangle / (\lVert K \rVert \lVert K' \rVert)$; None where either is zero."""
    size = float(one.norm() * other.norm())
    return float((one * other).sum()) / size if size != 0 else None


def label_alignment(kernel: Kernel, labels: Int[Tensor, " batch"]) -> float | None:
    """Cosine of HKH with the centred YY'; None where either is zero.

    Both are centred: without it any kernel with a positive mean looks aligned.
    """
    same = (labels[:, None] == labels).to(kernel.dtype)
    return kernel_cosine(_centred(kernel), _centred(same))


def _centred(kernel: Kernel) -> Kernel:
    by_row = kernel - kernel.mean(dim=0, keepdim=True)
    return by_row - by_row.mean(dim=1, keepdim=True)


@final
class KernelDrift(Probe):
    """Drift of the kernel from the start, in all and by role of weights; alignment; size and rank.

    Args:
        most_examples: Probe examples.
        seed: Of the signs over classes.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="drift", unit="1", meaning="1 less the cosine of the tangent kernel with that "
               "at the start"),
        *(
            Column(name=f"drift_{role}", unit="1", meaning=f"the same of the summand of the {role} "
                   "weights")
            for role in MATRICES
        ),
        Column(name="alignment", unit="1", meaning="cosine of the centred kernel with that of the "
               "labels"),
        Column(name="trace", unit="1", meaning="trace of the kernel over the number of examples"),
        Column(name="effective_rank", unit="1", meaning="exp of the entropy of the kernel's "
               "eigenvalues"),
    )  # fmt: skip

    def __init__(self, *, most_examples: Size, seed: int) -> None:
        check_arguments(KernelDrift, most_examples=most_examples)
        self.most_examples, self.seed = most_examples, seed

    def measure(self, view: FleetView) -> Measurement:
        """See `kernels`, in float64; undefined where a kernel is zero.

        Source:
            Lazy to rich: arXiv:2310.06110. Deviation: one random sign vector over the classes in
            place of their sum, which it equals in expectation.
        """
        everything = every_example(view, "kernel_drift")
        inputs, start = view.inputs[: self.most_examples], everything.start
        rng = torch.Generator().manual_seed(self.seed)
        n_classes = everything.logits(alone(view.params, 0), inputs[None, :1]).shape[2]
        signs = 2.0 * torch.randint(2, (n_classes,), generator=rng).double() - 1
        rows = []
        for r in range(len(view.replica)):
            now, before = (
                kernels(
                    everything,
                    alone(params, r, torch.float64),
                    inputs,
                    signs.to(inputs.device),
                )
                for params in (view.params, start)
            )
            rows.append(self._of_one(view, r, now, before))
        return {
            c.name: Masked.of([row[c.name] for row in rows], torch.float64, inputs.device)
            for c in self.columns
        }

    def _of_one(
        self, view: FleetView, r: int, now: dict[str, Kernel], before: dict[str, Kernel]
    ) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for role in (None, *MATRICES):
            names = [n for n in now if role is None or view.weights[n].role == role]
            cosine = kernel_cosine(_sum(now, names), _sum(before, names)) if names else None
            column = "drift" if role is None else f"drift_{role}"
            found[column] = None if cosine is None else 1 - cosine
        kernel = _sum(now, list(now))
        size = float(kernel.diagonal().mean())
        rank = entropy(shares(eigenvalues(kernel))).exp()
        labels = view.labels[r, : self.most_examples]
        return {
            **found,
            "alignment": label_alignment(kernel, labels),
            "trace": size,
            "effective_rank": float(rank) if size != 0 else None,
        }


def _sum(kernels_: dict[str, Kernel], names: list[str]) -> Kernel:
    return torch.stack([kernels_[name] for name in names]).sum(dim=0)
