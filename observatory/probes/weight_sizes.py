"""How the sizes of weights are spread: log-normal ones have a normal logarithm."""

from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.view import FleetView
from observatory.maths.matrices import of_matrices

TINY = 1e-6
QUANTITIES = {
    "log_std": "standard deviation of ln|w|, w the entries that are not 0",
    "log_skewness": "skewness of ln|w|, 0 where sizes are log-normal",
    "share_tiny": "share of entries of at most 1e-6 in size, 0-1,",
    "share_positive": "share of positive entries, 0-1,",
}


def weight_sizes(weight: Float[Tensor, "replica _ _"]) -> dict[str, Masked]:
    """Spread and skewness of ln|w|, and the shares of tiny and of positive entries.

    Moments are biased (divided by their number) and leave out zeros. Normal weights have a
    skewness of -1.54, since many are near 0.

    Args:
        weight: One matrix of every replica.

    Returns:
        One float64 number per replica each; the spread is undefined where all entries are 0, and
        the skewness where all sizes are equal.

    Source:
        The log-normal weights of arXiv:2510.02730; quantities of this project.

    Example:
        >>> import torch
        >>> found = weight_sizes(torch.tensor([[[1.0, -torch.e], [-torch.e, torch.e**2]]]))
        >>> [round(entry.values.item(), 3) for entry in found.values()]
        [0.707, 0.0, 0.0, 0.5]
    """
    w = weight.double().flatten(start_dim=1)
    there = w != 0
    n = there.sum(dim=1)
    logs = w.abs().where(there, 1.0).log()  # ln 1 = 0 adds nothing to a sum
    count = n.clamp(min=1)
    mean = logs.sum(dim=1) / count
    centred = (logs - mean.unsqueeze(1)) * there
    variance = centred.square().sum(dim=1) / count
    spread = variance.sqrt()
    moves = variance != 0
    third = centred.pow(3).sum(dim=1) / count
    skewness = third / (variance * spread).where(moves, 1.0)
    everywhere = n >= 0
    number = (w * 0).sum(dim=1)  # NaN where an entry is not finite
    return {
        "log_std": Masked(spread, n > 0),
        "log_skewness": Masked(skewness, (n > 0) & moves),
        "share_tiny": Masked((w.abs() <= TINY).double().mean(dim=1) + number, everywhere),
        "share_positive": Masked((w > 0).double().mean(dim=1) + number, everywhere),
    }


@final
class WeightSizes(Probe):
    """Writes `weight_sizes` of every weight that is no pointwise one."""

    columns: ClassVar[tuple[Column, ...]] = tuple(
        Column(
            name=name,
            unit="1",
            meaning=f"{meaning} of each weight matrix, in the order of the manifest's `matrices`",
            dims=("matrix",),
        )
        for name, meaning in QUANTITIES.items()
    )

    def measure(self, view: FleetView) -> Measurement:
        """See `weight_sizes`."""
        return of_matrices(view.params, view.weights, weight_sizes)
