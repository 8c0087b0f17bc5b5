r"""Fourier spectrum of all logits as functions of both operands, and its distance to a flat one.

Letters: n elements of a cyclic group, in the order of their logarithm; (k, l) frequencies of the
first and of the second operand. As functions of the operands the right answers of a Latin square on
the group have all frequencies (k, k) alike, and no others.
"""

from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.view import FleetView
from observatory.maths.answer_logits import alone, centred, group_task


def logarithms(table: Int[Tensor, "element element"]) -> Int[Tensor, " element"] | None:
    """Of each element of a cyclic group the power of one generator that it is; None of others.

    Example:
        >>> logarithms(torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]]))
        tensor([0, 1, 2])
    """
    n = len(table)
    one = int((table == torch.arange(n, device=table.device)).all(dim=1).nonzero()[0])
    for generator in range(n):
        powers = [one]
        while (power := int(table[powers[-1], generator])) != one:
            powers.append(power)
        if len(powers) == n:
            return torch.argsort(torch.tensor(powers)).to(table.device)
    return None


def as_table(
    z: Float[Tensor, "sample d_vocab"],
    operands: Int[Tensor, "sample 2"],
    answers: Int[Tensor, " sample"],
    order: Int[Tensor, " element"],
) -> Float[Tensor, "element element d_vocab"]:
    """Logits by both operands, each in the order of the answers that it gives with another one.

    Args:
        z: Of every pair of a Latin square, once.
        operands: Symbols.
        answers: Right answers.
        order: Place of each element, as of `logarithms`.
    """
    n, places = len(order), list[Tensor]()
    for own, other in ((0, 1), (1, 0)):
        rows = operands[:, other] == operands[0, other]
        place = order.new_zeros(int(operands[:, own].max()) + 1)
        place[operands[rows, own]] = order[answers[rows]]
        places.append(place[operands[:, own]])
    made = z.new_zeros(n, n, z.shape[1])
    made[places[0], places[1]] = z
    return made


def spectrum(
    z: Float[Tensor, "element element d_vocab"],
) -> tuple[Float[Tensor, " freq"], Float[Tensor, " freq"]]:
    """Magnitudes of (k, k), (k, -k), (k, 0) and (0, k), summed over classes, k = 1 .. (n - 1) / 2.

    Returns:
        The sum of the four, and the first alone.

    Source:
        arXiv:2410.05050, whose spectrum of an image sums over directions. Deviation: of the
        directions these four, and frequencies of a finite group.
    """
    k = torch.arange(1, (len(z) - 1) // 2 + 1, device=z.device)
    size = torch.fft.fft2(z.double(), dim=(0, 1)).abs().sum(dim=2)
    both = size[k, k]
    return both + size[k, -k] + size[k, 0] + size[0, k], both


def distance(spectrum: Float[Tensor, " freq"], target: Float[Tensor, " freq"]) -> float:
    """Wasserstein distance of two spectra as shares of their sums, in places of the index.

    Source:
        arXiv:2410.05050. Deviation: none.

    Example:
        >>> round(distance(torch.tensor([3.0, 1.0, 0.5]), torch.ones(3)), 4)
        0.5556
    """
    shares = [each.double() / each.double().sum() for each in (spectrum, target)]
    return float((shares[0].cumsum(dim=0) - shares[1].cumsum(dim=0)).abs().sum())


@final
class OutputSpectrum(Probe):
    """The spectrum of the logits, how far it is from flat, and how much of it is in (k, k).

    Of groups that are not cyclic, and of logits that are all alike, there is none.
    """

    needs_group = True
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            name="output_spectrum",
            unit="1",
            meaning="magnitude of all logits at a frequency, of both operands or of one, summed "
            "over classes",
            dims=("freq",),
        ),
        Column(
            name="flat_distance",
            unit="1",
            meaning="Wasserstein distance of that spectrum to a flat one, in frequencies",
        ),
        Column(
            name="joint_share",
            unit="1",
            meaning="share of that spectrum at (k, k), where the right answers are, 0-1",
        ),
    )

    def measure(self, view: FleetView) -> Measurement:
        """The columns of every replica of the view, from all pairs of the task."""
        everything, table, answers = group_task(view, "output_spectrum")
        order = logarithms(table)
        if order is None or len(table) < 3:
            return dict.fromkeys(("output_spectrum", "flat_distance", "joint_share"))
        found, far, share = list[Tensor](), list[float | None](), list[float | None]()
        for r in range(len(view.replica)):
            logits = everything.activations(alone(view.params, r), everything.inputs)["logits"][0]
            z = as_table(centred(logits), everything.inputs[:, :2], answers, order)
            whole, both = spectrum(z)
            total, there = float(whole.sum()), bool(whole.sum() != 0)
            found.append(whole)
            far.append(distance(whole, torch.ones_like(whole)) if there else None)
            share.append(float(both.sum()) / total if there else None)
        return {
            "output_spectrum": torch.stack(found),
            "flat_distance": Masked.of(far, torch.float64, answers.device),
            "joint_share": Masked.of(share, torch.float64, answers.device),
        }
