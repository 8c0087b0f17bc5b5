r"""Eigenvalues and trace of the Hessian of the training loss, and what the order of steps changes.

Letters: H the Hessian of the mean loss over the train examples looked at; P parameters.
H is never formed: a product H v is one gradient of a gradient.
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe, Rows
from observatory.core.layout import Params
from observatory.core.settings import Positive, Size, check_arguments
from observatory.core.view import EveryExample, FleetView
from observatory.maths.answer_logits import every_example
from observatory.maths.spectrum import eigenvalues

TOP = 3
_SMALL = 1e-12
Losses = Callable[[Rows], Float[Tensor, " replica"]]
Product = Callable[[Rows], Rows]
Gradient = Callable[[Rows], Rows]


def hessian_product(losses: Losses, rows: Rows) -> Product:
    """V -> H v of every replica at its own parameters; the graph of the gradient is kept.

    Args:
        losses: Mean loss of every replica, from its flat row.
        rows: Where.
    """
    with torch.enable_grad():
        leaf = rows.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(losses(leaf).sum(), leaf, create_graph=True)

    def product(vectors: Rows) -> Rows:
        with torch.enable_grad():
            (found,) = torch.autograd.grad(gradient, leaf, grad_outputs=vectors, retain_graph=True)
        return found.detach()

    return product


def lanczos(
    product: Product, start: Rows, steps: int
) -> tuple[Float[Tensor, "replica draw"], Float[Tensor, " replica"]]:
    """Ritz values of every replica, ascending, and how far the largest is from an eigenvalue.

    Every vector is made orthogonal to all before it, twice. Where a Krylov space ends early, the
    missing values are the first Rayleigh quotient, which lies between the others.

    Args:
        product: Of symmetric matrices, one per replica.
        start: First vectors.
        steps: Products, at most P.

    Returns:
        Ritz values; and the bound of the residual of the largest.
    """
    vectors = [start / start.norm(dim=1, keepdim=True)]
    diagonal, beside = list[Tensor](), list[Tensor]()
    ended = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    for step in range(steps):
        image = product(vectors[-1])
        quotient = (image * vectors[-1]).sum(dim=1)
        diagonal.append(quotient if step == 0 else diagonal[0].where(ended, quotient))
        basis = torch.stack(vectors, dim=1)
        for _ in range(2):
            image = image - ((basis @ image[:, :, None]).mT @ basis)[:, 0]
        size = image.norm(dim=1)
        scale = torch.stack(diagonal).abs().amax(dim=0)
        ended = ended | (size <= _SMALL * scale)
        beside.append(size.where(~ended, 0.0))
        safe = size.where(~ended, 1.0)[:, None]
        vectors.append((image / safe).where(~ended[:, None], 0.0))
    matrix = torch.diag_embed(torch.stack(diagonal, dim=1))
    if steps > 1:
        off = torch.diag_embed(torch.stack(beside[:-1], dim=1), offset=1)
        matrix = matrix + off + off.mT
    finite = matrix.isfinite().flatten(1).all(dim=1)
    last = torch.linalg.eigh(matrix.where(finite[:, None, None], 0.0)).eigenvectors[:, -1, -1]
    return eigenvalues(matrix), (last * beside[-1]).abs() + matrix.sum(dim=(1, 2)) * 0


def hutchinson(
    product: Product, like: Rows, draws: int, rng: torch.Generator
) -> tuple[Float[Tensor, " replica"], Float[Tensor, " replica"]]:
    """Trace of every replica's matrix from random signs, and its standard error.

    Args:
        product: Of symmetric matrices.
        like: Rows of their size.
        draws: Sign vectors, the same for every replica, 2 at least.
        rng: Draws them.
    """
    found = []
    for _ in range(draws):
        signs = 2.0 * torch.randint(2, (1, like.shape[1]), generator=rng).to(like) - 1
        signs = signs.expand_as(like)
        found.append((signs * product(signs)).sum(dim=1))
    each = torch.stack(found)
    return each.mean(dim=0), each.std(dim=0) / draws**0.5


def unflattened(rows: Rows, like: Params) -> Params:
    """Named parameters from a flat row per replica."""
    sizes = [stack[0].numel() for stack in like.values()]
    parts = rows.split(sizes, dim=1)
    return {
        name: part.unflatten(1, stack.shape[1:]) if stack.ndim > 2 else part
        for part, (name, stack) in zip(parts, like.items(), strict=True)
    }


def flattened(params: Params) -> Rows:
    """A flat row per replica, float64: the inverse of `unflattened`."""
    return torch.cat([stack.double().flatten(1) for stack in params.values()], dim=1)


def losses_on(
    everything: EveryExample, like: Params, chosen: Int[Tensor, "replica batch"]
) -> Losses:
    """Mean loss of every replica on examples of its own, from its flat row."""
    inputs, labels = everything.inputs[chosen], everything.labels.gather(1, chosen)

    def losses(rows: Rows) -> Float[Tensor, " replica"]:
        logits = everything.logits(unflattened(rows, like), inputs)
        return everything.losses(logits, labels).mean(dim=1)

    return losses


def some_train(in_train: Tensor, most: int, seed: int) -> Int[Tensor, "replica batch"]:
    """As many train examples of every replica, the first ones of an order that is always the same.

    As many as the replica with the fewest has, `most` at most.
    """
    order = torch.randperm(in_train.shape[1], generator=torch.Generator().manual_seed(seed))
    order = order.to(in_train.device)
    least = min(most, int(in_train.sum(dim=1).min()))
    return torch.stack([order[mine[order]][:least] for mine in in_train])


@final
class Curvature(Probe):
    """Writes the ends of the Hessian's spectrum and its trace.

    Args:
        steps: Products of Lanczos.
        draws: Sign vectors of the trace.
        seed: Of the first vector, the signs and the order of examples.
        most_examples: Train examples that the loss is the mean over.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        *(
            Column(name=f"eigenvalue_{k}", unit="1", meaning=f"eigenvalue {k} of the Hessian of "
                   "the train loss, the largest first")
            for k in range(1, TOP + 1)
        ),
        Column(name="eigenvalue_least", unit="1", meaning="smallest Ritz value of the Hessian: at "
               "least its smallest eigenvalue"),
        Column(name="residual", unit="1", meaning="bound of the distance of eigenvalue_1 from an "
               "eigenvalue"),
        Column(name="trace", unit="1", meaning="trace of the Hessian, by random signs"),
        Column(name="trace_se", unit="1", meaning="standard error of the trace"),
    )  # fmt: skip

    def __init__(self, *, steps: Size, draws: Size, seed: int, most_examples: Size) -> None:
        check_arguments(Curvature, steps=steps, draws=draws, most_examples=most_examples)
        self.steps, self.draws, self.seed = max(steps, TOP), max(draws, 2), seed
        self.most_examples = most_examples

    def measure(self, view: FleetView) -> Measurement:
        """See `lanczos` and `hutchinson`, in float64.

        Source:
            Lanczos on Hessians: Ghorbani et al. (2019), arXiv:1901.10159; trace: Hutchinson (1989).
        """
        everything = every_example(view, "curvature")
        chosen = some_train(everything.in_train, self.most_examples, self.seed)
        rows = flattened(view.params)
        losses = losses_on(everything, view.params, chosen)
        product = hessian_product(losses, rows)
        rng = torch.Generator().manual_seed(self.seed)
        first = torch.randn(1, rows.shape[1], generator=rng, dtype=torch.float64)
        first = first.to(rows).expand_as(rows)
        values, residual = lanczos(product, first, min(self.steps, rows.shape[1]))
        trace, se = hutchinson(product, rows, self.draws, rng)
        return {
            **{f"eigenvalue_{k}": values[:, -k].clone() for k in range(1, TOP + 1)},
            "eigenvalue_least": values[:, 0].clone(),
            "residual": residual,
            "trace": trace,
            "trace_se": se,
        }


def commutator(first: Gradient, second: Gradient, rows: Rows, lr: float) -> Masked:
    r"""$\lVert \theta_{AB} - \theta_{BA} \rVert / (\lVert \eta g_A \rVert \lVert \eta g_B \rVert)$.

    Steps of gradient descent on A and then B, and on B and then A. For small steps it is the norm
    of $H_B g_A - H_A g_B$ over those of the gradients.

    Args:
        first: Gradients of every replica on A, at given parameters.
        second: On B.
        rows: Where both begin.
        lr: Eta.

    Returns:
        In units of curvature; undefined where a gradient is zero.

    Source:
        arXiv:2602.16967. Deviation: none.
    """
    a, b = first(rows), second(rows)
    after_a, after_b = rows - lr * a, rows - lr * b
    apart = (after_a - lr * second(after_a)) - (after_b - lr * first(after_b))
    sizes = lr * a.norm(dim=1) * lr * b.norm(dim=1)
    return Masked(apart.norm(dim=1) / sizes, sizes != 0)


@final
class Commutator(Probe):
    """Writes `commutator` of pairs of batches of train examples: its median and its quartiles.

    Args:
        pairs: Pairs of batches, the same at every look.
        batch: Examples of a batch; where there are fewer than two batches, half of all.
        lr: Of the two steps.
        seed: Of the batches.
    """

    columns: ClassVar[tuple[Column, ...]] = tuple(
        Column(name=f"commutator{suffix}", unit="1", meaning=f"{what} over pairs of batches of the "
               "distance between their steps in either order, over the product of both steps")
        for suffix, what in (("", "median"), ("_low", "lower quartile"),
                             ("_high", "upper quartile"))
    )  # fmt: skip

    def __init__(self, *, pairs: Size, batch: Size, lr: Positive, seed: int) -> None:
        check_arguments(Commutator, pairs=pairs, batch=batch, lr=lr)
        self.pairs, self.batch, self.lr, self.seed = pairs, batch, lr, seed

    def measure(self, view: FleetView) -> Measurement:
        """See `commutator`, in float64; undefined where a gradient is zero."""
        everything = every_example(view, "commutator")
        rows = flattened(view.params)

        def gradient(losses: Losses, at: Rows) -> Rows:
            with torch.enable_grad():
                leaf = at.detach().requires_grad_()
                return torch.autograd.grad(losses(leaf).sum(), leaf)[0]

        found = []
        for pair in range(self.pairs):
            chosen = some_train(everything.in_train, 2 * self.batch, self.seed + pair)
            half = max(1, chosen.shape[1] // 2)
            parts = (chosen[:, :half], chosen[:, -half:])
            on = [partial(gradient, losses_on(everything, view.params, part)) for part in parts]
            found.append(commutator(on[0], on[1], rows, self.lr))
        each = torch.stack([one.values for one in found])
        defined = torch.stack([one.defined for one in found]).all(dim=0)
        shares = torch.tensor([0.5, 0.25, 0.75], dtype=each.dtype, device=each.device)
        quantiles = zip(self.columns, each.quantile(shares, dim=0), strict=True)
        return {column.name: Masked(value.clone(), defined) for column, value in quantiles}
