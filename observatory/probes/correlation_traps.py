r"""Eigenvalues of shuffled weight matrices outside of the Marchenko-Pastur bulk, and their harm.

Letters: W of N x M entries, N >= M after a transpose, Q = N / M; s^2 the variance of all entries,
which a shuffle keeps. The bulk of $W^\top W / N$ ends at $\lambda_+ = s^2 (1 + Q^{-1/2})^2$.
"""

import math
from collections import defaultdict
from statistics import fmean as mean
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.layout import Params
from observatory.core.settings import Size, check_arguments
from observatory.core.view import EveryExample, FleetView
from observatory.maths.answer_logits import alone, every_example, some_examples
from observatory.maths.matrices import matrix_names, of_matrices, per_matrix, varies
from observatory.maths.spectrum import eigenvalues

_TRACY_WIDOM_99 = 2.0234
"""99% quantile of the Tracy-Widom law of order 1."""


def edges(variance: Float[Tensor, " replica"], n: int, m: int) -> dict[str, Tensor]:
    """Two ends of the bulk, beyond which an eigenvalue is a trap.

    Args:
        variance: Of all entries of each replica's matrix.
        n: Its longer side.
        m: Its shorter side.

    Returns:
        `margin`: the margin of WeightWatcher, a rule of thumb; `tracy_widom`: the 99% quantile of
        the largest eigenvalue of a normal matrix, centred and scaled after Johnstone (2001).
    """
    unit = (1 + (m / n) ** 0.5) ** 2  # the end of the bulk where the variance is 1
    margin = ((m / n) ** 0.5 * unit ** (2 / 3) * m ** (-2 / 3)) ** 0.5
    sides = (n - 1) ** 0.5 + m**0.5
    scale = sides * ((n - 1) ** -0.5 + m**-0.5) ** (1 / 3)
    quantile = sides**2 + _TRACY_WIDOM_99 * scale
    return {"margin": variance * (unit + margin), "tracy_widom": variance * quantile / n}


def correlation_traps(
    weight: Float[Tensor, "replica _ _"], shuffles: int, seed: int, least_side: int
) -> dict[str, Masked]:
    """Mean number of eigenvalues beyond either of `edges` after a shuffle of all entries.

    Args:
        weight: One matrix of every replica.
        shuffles: How many.
        seed: Of the shuffles, which are the same for every replica.
        least_side: Undefined for a matrix with a shorter side below it.

    Source:
        arXiv:2605.12394. Deviations: the variance is known, not fitted; seeded shuffles.
    """
    wide = weight.double() if weight.shape[1] >= weight.shape[2] else weight.double().mT
    _, n, m = wide.shape
    entries = wide.flatten(start_dim=1)
    variance = entries.var(dim=1, unbiased=False)
    rng = torch.Generator().manual_seed(seed)
    counts = {name: torch.zeros_like(variance) for name in ("margin", "tracy_widom")}
    defined = varies(weight) & (m >= least_side)
    for _ in range(shuffles if m >= least_side else 0):
        order = torch.randperm(n * m, generator=rng).to(entries.device)
        shuffled = entries[:, order].unflatten(1, (n, m))
        found = eigenvalues(shuffled.mT @ shuffled / n)
        for name, edge in edges(variance, n, m).items():
            counts[name] += (found > edge[:, None]).double().sum(dim=1) / shuffles + 0 * variance
    return {name: Masked(count, defined) for name, count in counts.items()}


@final
class CorrelationTraps(Probe):
    """Writes `correlation_traps` of every weight that is no pointwise one.

    Args:
        shuffles: Of every matrix.
        seed: Of the shuffles.
        least_side: Matrices with a shorter side below it are left out.
    """

    columns: ClassVar[tuple[Column, ...]] = tuple(
        Column(
            name=f"traps_{name}",
            unit="1",
            meaning=f"mean number of eigenvalues beyond {edge} after a shuffle of each weight "
            "matrix, in the order of the manifest's `matrices`",
            dims=("matrix",),
        )
        for name, edge in (
            ("margin", "the bulk's end with WeightWatcher's margin"),
            ("tracy_widom", "the 99% quantile of Tracy and Widom"),
        )
    )

    def __init__(self, *, shuffles: Size, seed: int, least_side: Size) -> None:
        check_arguments(CorrelationTraps, shuffles=shuffles, least_side=least_side)
        self.shuffles, self.seed, self.least_side = shuffles, seed, least_side

    def measure(self, view: FleetView) -> Measurement:
        """See `correlation_traps`."""

        def counts(weight: Tensor) -> dict[str, Masked]:
            found = correlation_traps(weight, self.shuffles, self.seed, self.least_side)
            return {f"traps_{name}": count for name, count in found.items()}

        return of_matrices(view.params, view.weights, counts)


def trap_part(
    weight: Float[Tensor, "_ _"], rng: torch.Generator
) -> tuple[Float[Tensor, "_ _"], Float[Tensor, " draw"]]:
    r"""The part of a matrix that makes its traps, and the singular values of the traps.

    Its entries are shuffled; the singular parts $s u v^\top$ beyond the quantile of `edges` are
    taken, and each of their entries goes back to where it came from.

    Args:
        weight: Finite, of entries that are not all alike.
        rng: Of the shuffle.

    Source:
        Traps that are taken out of a network: arXiv:2605.12394. Deviation: the variance is known,
        not fitted.
    """
    n, m = max(weight.shape), min(weight.shape)
    order = torch.randperm(n * m, generator=rng).to(weight.device)
    u, s, v = torch.linalg.svd(weight.flatten()[order].view(n, m), full_matrices=False)
    s = s[s.square() / n > edges(weight.var(unbiased=False)[None], n, m)["tracy_widom"]]
    part = torch.empty_like(order, dtype=weight.dtype)
    part[order] = ((u[:, : len(s)] * s) @ v[: len(s)]).flatten()
    return part.view(weight.shape), s


def random_part(
    like: Float[Tensor, "_ _"], values: Float[Tensor, " draw"], rng: torch.Generator
) -> Float[Tensor, "_ _"]:
    """As many rank-one matrices of these sizes, of random directions, added up."""
    sides = []
    for side in like.shape:
        drawn = torch.randn(side, len(values), generator=rng, dtype=like.dtype).to(like.device)
        sides.append(drawn / drawn.norm(dim=0))
    return (sides[0] * values) @ sides[1].mT


def divergence(
    one: Float[Tensor, "batch d_vocab"], other: Float[Tensor, "batch d_vocab"]
) -> Float[Tensor, " batch"]:
    """Jensen-Shannon divergence of the answers that logits give, in nats, 0 to ln 2.

    Example:
        >>> divergence(torch.tensor([[99.0, 0.0]]), torch.tensor([[0.0, 99.0]]))
        tensor([0.6931])
    """
    p, q = one.softmax(dim=1), other.softmax(dim=1)
    parts = torch.special.entr(torch.stack([(p + q) / 2, p, q])).sum(dim=2)
    return parts[0] - (parts[1] + parts[2]) / 2


def harm(
    whole: tuple[Tensor, Tensor],
    without: tuple[Tensor, Tensor],
    labels: Int[Tensor, " batch"],
    val: Bool[Tensor, " batch"],
) -> dict[str, float]:
    """What `HARM` says, from logits and losses of every example, with all parts and without some.

    There are no changes of loss and accuracy where there is no val example.
    """
    (z, before), (z_without, after) = whole, without
    found = {"divergence": float(divergence(z, z_without).mean())}
    if not val.any():
        return found
    right = [(each.argmax(dim=1) == labels)[val].double().mean() for each in (z, z_without)]
    return {
        "loss_change": float((after - before)[val].mean()),
        "acc_change": float(right[1] - right[0] + z_without.sum() * 0),  # not finite: no accuracy
        **found,
    }


HARM = {
    "loss_change": ("1", "loss of the val examples looked at, without them less with them"),
    "acc_change": ("1", "accuracy on the val examples looked at, without them less with them"),
    "divergence": ("nats", "mean over the examples looked at of the Jensen-Shannon divergence of "
                   "the answers without and with them"),
}  # fmt: skip


@final
class TrapHarm(Probe):
    """What a network does without the traps of each weight matrix, and without random parts.

    Args:
        shuffles: Of every matrix; means are over those that find a trap.
        seed: Of the shuffles and of the random parts.
        least_side: Matrices with a shorter side below it are left out.
        most_examples: Examples of the task that are looked at.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="traps", unit="1", meaning="mean number of traps taken out of each weight "
               "matrix, in the order of the manifest's `matrices`; null for a small one and one "
               "whose entries are all alike", dims=("matrix",)),
        *(
            Column(name=f"{which}{name}", unit=unit, meaning=f"{meaning}: {what} of each weight "
                   "matrix; null where it has no trap or there is no such example",
                   dims=("matrix",))
            for which, what in (("", "the traps"),
                                ("random_", "random parts of the traps' number and size"))
            for name, (unit, meaning) in HARM.items()
        ),
    )  # fmt: skip

    def __init__(self, *, shuffles: Size, seed: int, least_side: Size, most_examples: Size) -> None:
        check_arguments(TrapHarm, shuffles=shuffles, least_side=least_side)
        check_arguments(TrapHarm, most_examples=most_examples)
        self.shuffles, self.seed = shuffles, seed
        self.least_side, self.most_examples = least_side, most_examples

    def measure(self, view: FleetView) -> Measurement:
        """See `trap_part`, `random_part` and `divergence`, in float64."""
        everything = every_example(view, "trap_harm")
        some = some_examples(everything, self.most_examples, self.seed)
        names = matrix_names(view.params, view.weights)
        rows = [
            [self._of_matrix(view.params, everything, r, name, some) for name in names]
            for r in range(len(view.replica))
        ]
        return {
            column.name: per_matrix(
                [Masked.of([row[at].get(column.name) for row in rows], torch.float64, some.device)
                 for at in range(len(names))]
            )
            for column in self.columns
        }  # fmt: skip

    def _of_matrix(
        self, stack: Params, everything: EveryExample, r: int, name: str, some: Tensor
    ) -> dict[str, float]:
        alone_at = alone(stack, r, torch.float64)
        weight = alone_at[name][0]
        if min(weight.shape) < self.least_side or not varies(weight[None]):
            return {}
        if not weight.isfinite().all():
            return {column.name: math.nan for column in self.columns}
        labels, val = everything.labels[r, some], ~everything.in_train[r, some]

        def without(taken: Float[Tensor, "_ _"]) -> tuple[Tensor, Tensor]:
            params = {**alone_at, name: (weight - taken)[None]}
            logits = everything.logits(params, everything.inputs[some][None])
            return logits[0], everything.losses(logits, labels[None], val[None])[0]

        whole, rng = without(torch.zeros_like(weight)), torch.Generator().manual_seed(self.seed)
        counts, found = list[int](), defaultdict[str, list[float]](list)
        for _ in range(self.shuffles):
            part, sizes = trap_part(weight, rng)
            counts.append(len(sizes))
            if len(sizes):
                for which, taken in (("", part), ("random_", random_part(weight, sizes, rng))):
                    for quantity, value in harm(whole, without(taken), labels, val).items():
                        found[f"{which}{quantity}"].append(value)
        return {"traps": mean(counts), **{key: mean(each) for key, each in found.items()}}
