r"""Entries of every weight matrix: what a shuffle of them would show, without a spectrum.

Letters: W of N x M entries, mean mu and standard deviation s of all of them.
A shuffle keeps mean and histogram. An eigenvalue outside of the Marchenko-Pastur bulk comes after
it from a mean with $\lvert \mu \rvert / s > (N M)^{-1/4}$, or from an entry beyond
$s (N M)^{1/4}$.
"""

from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.view import FleetView
from observatory.maths.matrices import of_matrices, varies

QUANTITIES = {
    "mean_ratio": "|mean| (N M)^(1/4) over the standard deviation",
    "giant_count": "number of entries beyond (N M)^(1/4) standard deviations",
    "expected_traps": "eigenvalues outside of the bulk after a shuffle: giant entries, and 1 for a "
    "mean_ratio above 1",
    "kurtosis": "fourth central moment over the squared variance (3 of a normal one)",
    "abs_entropy": "-sum |w| ln |w| over all entries w",
}


def entry_statistics(weight: Float[Tensor, "replica _ _"]) -> dict[str, Masked]:
    r"""`QUANTITIES` of one matrix of every replica.

    Returns:
        One float64 number per replica each, dimensionless; undefined where all entries are equal.

    Source:
        Correlation traps: arXiv:2605.12394. Deviation: no shuffle and no spectrum; the two scalars
        that decide are derived from the largest eigenvalue of a shifted or spiked random matrix.

    Example:
        >>> weight = torch.zeros(1, 4, 4, dtype=torch.float64)
        >>> weight[0, 0, 0] = 4.0
        >>> round(entry_statistics(weight)["giant_count"].values.item())
        1
    """
    entries = weight.double().flatten(start_dim=1)
    mean = entries.mean(dim=1, keepdim=True)
    centred = entries - mean
    variance = centred.square().mean(dim=1)
    s, fourth_root = variance.sqrt(), entries.shape[1] ** 0.25
    ratio = mean[:, 0].abs() * fourth_root / s
    giants = (entries.abs() > s[:, None] * fourth_root).double().sum(dim=1) + 0 * s
    sizes = entries.abs()
    found = {
        "mean_ratio": ratio,
        "giant_count": giants,
        "expected_traps": giants + (ratio > 1).double(),
        "kurtosis": centred.pow(4).mean(dim=1) / variance.square(),
        "abs_entropy": torch.special.entr(sizes).sum(dim=1),
    }
    return {name: Masked(values, varies(weight)) for name, values in found.items()}


@final
class EntryStatistics(Probe):
    """Writes `entry_statistics` of every weight that is no pointwise one."""

    columns: ClassVar[tuple[Column, ...]] = tuple(
        Column(
            name=name,
            unit="1",
            meaning=f"{meaning}, of each weight matrix, in the order of the manifest's `matrices`",
            dims=("matrix",),
        )
        for name, meaning in QUANTITIES.items()
    )

    def measure(self, view: FleetView) -> Measurement:
        """See `entry_statistics`."""
        return of_matrices(view.params, view.weights, entry_statistics)
