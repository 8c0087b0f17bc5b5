"""The tables of the weights alone, and of what each matrix reads."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from observatory.core.contracts import Masked, Measurement
from observatory.core.layout import matrices
from observatory.maths.matrices import per_matrix
from observatory.maths.norms import group_norms
from observatory.probes.lar import Lar, lar, unread
from observatory.probes.weight_norm import WeightNorm, total_norm
from observatory.probes.weight_spectrum import WeightSpectrum, weight_spectrum
from observatory.watch.heads import EXACT_ENTRIES
from observatory.watch.reading.anatomy import Anatomy, Place
from observatory.watch.tables import Table


def shortened(weight: Tensor) -> Tensor:
    """The weight as one replica, or for a large one the norms of its rows: they have its norm.

    Rows are summed in float32, which moves the norm by 1e-7 of it at a tenth of the time.
    """
    if weight.numel() <= EXACT_ENTRIES or weight.ndim < 2:
        return weight.detach()[None]
    return torch.linalg.vector_norm(weight.detach().flatten(start_dim=1).float(), dim=1)[None]


def matrix_rows(params: Mapping[str, Tensor], anatomy: Anatomy) -> dict[str, Tensor]:
    """Every weight matrix by name; of a stack of experts each one; filters flattened."""
    found: dict[str, Tensor] = {}
    for name in matrices(params, anatomy.weights):
        weight = params[name].detach()
        if weight.ndim == 3 and name in anatomy.reads:
            found |= {f"{name}[{index}]": each for index, each in enumerate(weight)}
        elif weight.ndim >= 2:
            found[name] = weight.flatten(start_dim=1)
    return found


def of_weights(
    params: Mapping[str, Tensor],
    anatomy: Anatomy,
    probes: Collection[str],
    read: Mapping[Place, Tensor],
) -> dict[str, Table]:
    """The tables of the weights alone, and of what they read."""
    found: dict[str, Table] = {}
    if "weight_norm" in probes:
        norms = group_norms({name: shortened(each) for name, each in params.items()})
        row: Measurement = {"l2": total_norm(norms), "l2_group": norms}
        found["weight_norm"] = Table(WeightNorm.columns, row)
    if {"weight_spectrum", "lar"}.isdisjoint(probes):
        return found
    rows = matrix_rows(params, anatomy)
    if "weight_spectrum" in probes and rows:
        spectra = [weight_spectrum(matrix[None]) for matrix in rows.values()]
        row = {c.name: per_matrix([s[c.name] for s in spectra]) for c in WeightSpectrum.columns}
        found["weight_spectrum"] = Table(WeightSpectrum.columns, row)
    if "lar" in probes and rows:
        pairs = [_alignment(name, matrix, anatomy, read) for name, matrix in rows.items()]
        ratios, directions = zip(*pairs, strict=True)
        row = {"lar": per_matrix(ratios), "k_eff": per_matrix(directions)}
        found["lar"] = Table(Lar.columns, row)
    return found


def _alignment(
    name: str, matrix: Tensor, anatomy: Anatomy, read: Mapping[Place, Tensor]
) -> tuple[Masked, Masked]:
    places, transposed = anatomy.reads.get(name, ((), False))
    weight = (matrix.mT if transposed else matrix)[None].double()
    rows = [read[each] for each in places if each in read]
    if not rows or any(each.shape[-1] != weight.shape[1] for each in rows):
        return unread(weight)
    return lar(torch.cat(rows)[None].double(), weight)
