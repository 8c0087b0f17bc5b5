r"""Eigenvalues of shuffled weight matrices that lie outside of the Marchenko-Pastur bulk.

Letters: W of N x M entries, N >= M after a transpose, Q = N / M; s^2 the variance of all entries,
which a shuffle keeps. The bulk of $W^\top W / N$ ends at $\lambda_+ = s^2 (1 + Q^{-1/2})^2$.
"""

from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.settings import Size, check_arguments
from observatory.core.view import FleetView
from observatory.maths.matrices import of_matrices
from observatory.maths.spectrum import eigenvalues

_TRACY_WIDOM_99 = 2.0234
"""99 % quantile of the Tracy-Widom law of order 1."""


def edges(variance: Float[Tensor, " replica"], n: int, m: int) -> dict[str, Tensor]:
    """Two ends of the bulk, beyond which an eigenvalue is a trap.

    Args:
        variance: Of all entries of each replica's matrix.
        n: Its longer side.
        m: Its shorter side.

    Returns:
        `margin`: the margin of WeightWatcher, a rule of thumb; `tracy_widom`: the 99 % quantile of
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
    defined = (variance != 0) & (m >= least_side)
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
            ("tracy_widom", "the 99 % quantile of Tracy and Widom"),
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
