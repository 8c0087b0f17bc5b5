"""The tables of a look: which there are, their columns, and what is drawn of what is large."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement
from observatory.probes.massive_activations import MassiveActivations, massive_activations
from observatory.watch.heads import LayerValues, joined

ROWS, READ_ROWS, LOGIT_ROWS = 1024, 256, 64
_SEED = 20411
_SEQUENCE = Column(
    name="sequence",
    unit="index",
    meaning="sequence of the largest |h|, counted from 0, of each block",
    dtype="int64",
    dims=("layer",),
)
MASSIVE_COLUMNS = (*MassiveActivations.columns, _SEQUENCE)
PROBES = (
    "attention",
    "attention_heads",
    "massive_activations",
    "representation",
    "logit_scale",
    "softmax_collapse",
    "weight_norm",
    "weight_spectrum",
    "lar",
    "states",
)


COSTLY = frozenset({"weight_spectrum", "lar", "states"})
"""Probes that cost several times what the others cost together."""


@dataclass(frozen=True)
class Table:
    """One row of a table of the run store: its columns, and a value of each for one replica."""

    columns: tuple[Column, ...]
    values: Measurement


@lru_cache(maxsize=64)
def sample_of(n: int, most: int) -> Tensor:
    """At most `most` of n indices, in order, the same whenever they are asked for."""
    if n <= most:
        return torch.arange(n)
    rng = torch.Generator().manual_seed(_SEED)
    return torch.randperm(n, generator=rng)[:most].sort().values


def token_rows(
    h: Tensor, rows: Bool[Tensor, "batch pos"] | None, most: int | None = None
) -> Tensor:
    """Activations `[sample, channel]` of valid positions; of at most `most` of them."""
    masked = rows is not None and h.shape[:2] == rows.shape
    flat = h[rows] if masked else h.reshape(-1, h.shape[-1])
    return flat if most is None else flat[sample_of(len(flat), most).to(flat.device)]


def massive_of(h: Tensor, rows: Bool[Tensor, "batch pos"] | None) -> LayerValues:
    """`massive_activations` of the valid positions of one tensor, and the sequence of the largest.

    Args:
        h: `[batch, pos, channel]`, or `[sample, channel]` where positions are out of sight.
        rows: Valid positions; None where all are.
    """
    if h.ndim > 3:
        h = h.flatten(start_dim=2)
    flat = token_rows(h, rows)
    found = massive_activations(flat[None, None, None])
    place, n_ctx = found["position"], h.shape[1] if h.ndim == 3 else None
    assert isinstance(place, Masked)
    if n_ctx is None:
        return {**found, "position": None, "sequence": None}
    index = place.values
    if rows is not None and h.shape[:2] == rows.shape:
        index = rows.flatten().nonzero()[:, 0][index]
    return {
        **found,
        "position": Masked(index % n_ctx, place.defined),
        "sequence": Masked(index // n_ctx, place.defined),
    }


def of_states(states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Table]:
    """Maxima of recurrent states, a layer for each layer of each module: "massive_cell_state"."""
    layers: dict[str, list[LayerValues]] = {}
    for by_name in states.values():
        for name, state in by_name.items():
            layers.setdefault(name, []).extend(massive_of(each, None) for each in state)
    return {
        f"massive_{name}_state": Table(
            MASSIVE_COLUMNS,
            {c.name: joined([layer[c.name] for layer in found]) for c in MASSIVE_COLUMNS},
        )
        for name, found in layers.items()
    }
