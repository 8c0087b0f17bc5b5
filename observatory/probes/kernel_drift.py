r"""How the kernel of learning has changed since the start, and how it fits the labels.

Letters: f the logits, v random signs over classes, J_v `[batch, param]` the gradients of v.f at
every probe example, K = J_v J_v' the empirical neural tangent kernel up to the choice of v, which
is the same at every look; H centres over examples, Y one-hot labels. In a network of signs or
thresholds J_v is made with the slope of the surrogate, which stands in for one that is 0 or
infinite.
"""

from collections.abc import Iterable
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.layout import MATRICES, Params
from observatory.core.settings import Positive, Size, check_arguments
from observatory.core.view import EveryExample, FleetView
from observatory.maths.answer_logits import alone, every_example
from observatory.maths.spectrum import eigenvalues, entropy, shares
from observatory.nonlinearities.elementwise import steep_signs
from observatory.nonlinearities.wide_kernels import Kernel


def gradients(
    everything: EveryExample,
    params: Params,
    inputs: Int[Tensor, "batch pos"],
    signs: Float[Tensor, " d_vocab"],
) -> dict[str, Float[Tensor, "batch param"]]:
    """J_v of one replica, by parameter; one backward of as many copies as examples.

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
    return {name: each.flatten(1) for name, each in zip(leaves, found, strict=True)}


def kernels(
    everything: EveryExample,
    params: Params,
    inputs: Int[Tensor, "batch pos"],
    signs: Float[Tensor, " d_vocab"],
) -> dict[str, Kernel]:
    """K of one replica, a summand for every parameter; arguments are those of `gradients`."""
    rows = gradients(everything, params, inputs, signs)
    return {name: each @ each.mT for name, each in rows.items()}


def surrogate_kernels(
    everything: EveryExample,
    params: Params,
    inputs: Int[Tensor, "batch pos"],
    signs: Float[Tensor, " d_vocab"],
    steepness: float,
) -> dict[str, Kernel]:
    r"""The surrogate-gradient NTK $\tilde J_v J_v^\top$ of one replica, by parameter.

    Entry (i, j) is the change of v.f at example i after a small step along the surrogate gradient
    of v.f at example j. $\tilde J_v$ has the slope of the network itself, 0 or infinite for signs:
    that of a steep error function stands for it. Without signs it is K.

    Args:
        everything: How the network runs.
        params: A stack of one, float64.
        inputs: Examples.
        signs: v.
        steepness: Of the error function, see `steep_signs`.

    Source:
        arXiv:2405.15539. Deviation: one finite steepness in place of the limit, relative to the
        RMS over a layer's units at each example.
    """
    right = gradients(everything, params, inputs, signs)
    with steep_signs(steepness):
        left = gradients(everything, params, inputs, signs)
    return {name: left[name] @ right[name].mT for name in right}


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


def antisymmetric_share(kernel: Kernel) -> float | None:
    r"""$\lVert K - K^\top \rVert / (2 \lVert K \rVert)$, 0 to 1; None where K is zero.

    How far the change of one example by a step on another differs from that of the other by a step
    on the one.

    Example:
        >>> round(antisymmetric_share(torch.tensor([[1.0, 2.0], [0.0, 1.0]])), 4)
        0.5774
    """
    size = float(kernel.norm())
    return float((kernel - kernel.mT).norm()) / (2 * size) if size != 0 else None


DRIFTS = (
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
)  # fmt: skip
"""What is written of any kernel."""


@final
class KernelDrift(Probe):
    """Drift of the kernel from the start, in all and by role of weights; alignment; size and rank.

    Args:
        most_examples: Probe examples.
        seed: Of the signs over classes.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        *DRIFTS,
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
        inputs = view.inputs[: self.most_examples]
        signs = _signs(everything, view, self.seed)
        rows = []
        for r in range(len(view.replica)):
            now, before = (
                kernels(everything, alone(params, r, torch.float64), inputs, signs)
                for params in (view.params, everything.start)
            )
            kernel = _sum(now)
            rank = entropy(shares(eigenvalues(kernel))).exp()
            found = _of_one(view, r, now, before)
            rows.append({**found, "effective_rank": float(rank) if found["trace"] != 0 else None})
        return _measurement(self.columns, rows, view)


@final
class SurrogateKernel(Probe):
    """As `KernelDrift`, for the surrogate-gradient NTK.

    And how far that is from symmetric and from `KernelDrift`'s kernel.

    Args:
        most_examples: Probe examples.
        steepness: Of the error function whose slope stands for that of the network's own steps, in
            units of the root mean square over a layer's units.
        seed: Of the signs over classes.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        *DRIFTS,
        Column(name="antisymmetric_share", unit="1", meaning="norm of the antisymmetric part of "
               "the kernel over that of the kernel"),
        Column(name="surrogate_cosine", unit="1", meaning="cosine of the kernel with the one that "
               "has the surrogate slope on both sides"),
    )  # fmt: skip

    def __init__(self, *, most_examples: Size, steepness: Positive, seed: int) -> None:
        check_arguments(SurrogateKernel, most_examples=most_examples, steepness=steepness)
        self.most_examples, self.steepness, self.seed = most_examples, steepness, seed

    def measure(self, view: FleetView) -> Measurement:
        """See `surrogate_kernels`, in float64; undefined where a kernel is zero."""
        everything = every_example(view, "surrogate_kernel")
        inputs = view.inputs[: self.most_examples]
        signs = _signs(everything, view, self.seed)
        rows = []
        for r in range(len(view.replica)):
            params = alone(view.params, r, torch.float64)
            now, before = (
                surrogate_kernels(everything, each, inputs, signs, self.steepness)
                for each in (params, alone(everything.start, r, torch.float64))
            )
            symmetric = _sum(kernels(everything, params, inputs, signs))
            rows.append(
                {
                    **_of_one(view, r, now, before),
                    "antisymmetric_share": antisymmetric_share(_sum(now)),
                    "surrogate_cosine": kernel_cosine(_sum(now), symmetric),
                }
            )
        return _measurement(self.columns, rows, view)


def _signs(everything: EveryExample, view: FleetView, seed: int) -> Float[Tensor, " d_vocab"]:
    rng = torch.Generator().manual_seed(seed)
    n_classes = everything.logits(alone(view.params, 0), view.inputs[None, :1]).shape[2]
    signs = 2.0 * torch.randint(2, (n_classes,), generator=rng).double() - 1
    return signs.to(view.inputs.device)


def _of_one(
    view: FleetView, r: int, now: dict[str, Kernel], before: dict[str, Kernel]
) -> dict[str, float | None]:
    """The columns of `DRIFTS` of one replica."""
    found: dict[str, float | None] = {}
    for role in (None, *MATRICES):
        names = [n for n in now if role is None or view.weights[n].role == role]
        cosine = kernel_cosine(_sum(now, names), _sum(before, names)) if names else None
        column = "drift" if role is None else f"drift_{role}"
        found[column] = None if cosine is None else 1 - cosine
    kernel = _sum(now)
    labels = view.labels[r, : len(kernel)]
    return {
        **found,
        "alignment": label_alignment(kernel, labels),
        "trace": float(kernel.diagonal().mean()),
    }


def _sum(kernels_: dict[str, Kernel], names: Iterable[str] | None = None) -> Kernel:
    chosen = kernels_ if names is None else names
    return torch.stack([kernels_[name] for name in chosen]).sum(dim=0)


def _measurement(
    columns: Iterable[Column], rows: list[dict[str, float | None]], view: FleetView
) -> Measurement:
    device = view.inputs.device
    return {c.name: Masked.of([row[c.name] for row in rows], torch.float64, device)
            for c in columns}  # fmt: skip
