r"""Fourier spectrum of all logits as functions of both operands, and the algorithm it belongs to.

Letters: n elements of a cyclic group, in the order of their logarithm; (k, l) frequencies of the
first and of the second operand. As functions of the operands the right answers of a Latin square on
the group have all frequencies (k, k) alike, and no others.
"""

from collections.abc import Iterable
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.layout import Params
from observatory.core.settings import Size, check_arguments
from observatory.core.view import EveryExample, FleetView
from observatory.maths.activations import block_names
from observatory.maths.answer_logits import all_logits, alone, group_task
from observatory.maths.irreps import isotypic
from observatory.maths.operands import token_table
from observatory.maths.pairs.families import (
    FAMILIES,
    circularity,
    distance_irrelevance,
    gradient_symmetricity,
    mode_families,
    rounding,
)
from observatory.maths.pairs.order import as_table, logarithms

EMBEDDED = ("resid_pre", "mlp_in", "input")
"""Activations of the first block that hold the embedded operands, the preferred one first."""


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
            z = all_logits(everything, alone(view.params, r))
            z = as_table(z, everything.inputs[:, :2], answers, order)
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


def embedded_operands(names: Iterable[str]) -> str | None:
    """The activation that holds them, see `EMBEDDED`; None where there is none."""
    known = list(names)
    if not {name.rsplit(".", 1)[-1] for name in known}.intersection(EMBEDDED):
        return None
    return block_names(known, *EMBEDDED)[0]


def operand_gradients(
    everything: EveryExample,
    params: Params,
    name: str,
    inputs: Int[Tensor, "batch pos"],
    classes: Int[Tensor, " batch"],
) -> Float[Tensor, "batch 2 d_model"]:
    """Derivatives of one logit of each example, centred over classes, by both embedded operands.

    Args:
        everything: The network.
        params: A stack of one.
        name: Of the activation that holds them, beside each other or at positions of their own.
        inputs: Examples.
        classes: Which logit of each.
    """
    leaf = everything.activations(params, inputs)[name].detach().clone()
    with torch.enable_grad():
        leaf.requires_grad_()
        z = everything.patched(params, inputs[None], {name: leaf}, {}, relevance=False)[0]
        chosen = z.gather(1, classes[:, None])[:, 0] - z.mean(dim=1)
        (found,) = torch.autograd.grad(chosen.sum(), leaf)
    return found[0].unflatten(1, (2, -1)) if found.ndim == 3 else found[0, :, :2]


@final
class AlgorithmFamily(Probe):
    """Measures that tell a clock from a pizza, and the partition of the logits' frequencies.

    Args:
        most_triples: Of two operands and a class, of which derivatives are taken, at most.
        components: As of `circularity`.
        seed: Of the triples, which are the same for every replica.
    """

    needs_group = True
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            name="gradient_symmetricity",
            unit="1",
            meaning="mean cosine of the derivatives of a logit by either operand's embedding, -1 "
            "to 1; null without an embedding, or where no derivative differs from 0",
        ),
        Column(
            name="distance_irrelevance",
            unit="1",
            meaning="spread of the right logit among pairs of one difference over that among all, "
            "0-1; null where all right logits are alike, or the group is not cyclic",
        ),
        Column(
            name="circularity",
            unit="1",
            meaning="share of the embedding's first principal components in the largest irrep of "
            "each, 0-1; null without an embedding, or where all rows are alike",
        ),
        *(
            Column(
                name=f"{name}_share",
                unit="1",
                meaning=f"share of the power of the logits at frequencies {which} of both "
                "operands, 0-1; null where the group is not cyclic, or all logits are alike",
            )
            for name, which in FAMILIES.items()
        ),
    )

    def __init__(self, *, most_triples: Size, components: Size, seed: int) -> None:
        check_arguments(AlgorithmFamily, most_triples=most_triples, components=components)
        self.most_triples, self.components, self.seed = most_triples, components, seed

    def measure(self, view: FleetView) -> Measurement:
        """The columns of every replica of the view, in float64."""
        everything, group, answers = group_task(view, "algorithm_family")
        order, least, parts = logarithms(group), rounding(view.params.values()), isotypic(group)
        tables = token_table(view.params, view.weights, len(parts.basis))
        rows = list[dict[str, float | None]]()
        for r in range(len(view.replica)):
            params = alone(view.params, r, torch.float64)
            z = all_logits(everything, params)
            row = dict[str, float | None]()
            if tables is not None:
                row["circularity"] = circularity(tables[r], parts, self.components, least)
                found = self._symmetricity(view, everything, params, len(group))
                row["gradient_symmetricity"] = found
            if order is not None:
                pairs = everything.inputs[:, :2], answers, order
                right = as_table(z.gather(1, answers[:, None]), *pairs)
                row["distance_irrelevance"] = distance_irrelevance(right[:, :, 0], least)
                shares = mode_families(as_table(z, *pairs))
                row |= {f"{name}_share": share for name, share in shares.items()}
            rows.append(row)
        return {
            name: Masked.of([row.get(name) for row in rows], torch.float64, answers.device)
            for name in (column.name for column in self.columns)
        }

    def _symmetricity(
        self, view: FleetView, everything: EveryExample, params: Params, n: int
    ) -> float | None:
        if (name := embedded_operands(view.activations)) is None:
            return None
        inputs = everything.inputs
        rng = torch.Generator().manual_seed(self.seed)
        some = torch.randperm(len(inputs) * n, generator=rng)[: self.most_triples].to(inputs.device)
        gradients = operand_gradients(everything, params, name, inputs[some // n], some % n)
        return gradient_symmetricity(gradients)
