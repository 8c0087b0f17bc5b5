"""The tables of a look: which there are, their columns, and what is drawn of what is large."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement
from observatory.probes.massive_activations import (
    Extremes,
    MassiveActivations,
    extremes,
    of_extremes,
)
from observatory.watch.heads import joined

ROWS, READ_ROWS, LOGIT_ROWS = 1024, 256, 64
_SEED = 20411
_SEQUENCE = Column(
    name="sequence",
    unit="index",
    meaning="sequence of the largest |h|, counted from 0, of each block",
    dtype="int64",
    dims=("layer",),
)
TOKEN = Column(
    name="token",
    unit="index",
    meaning="id of the token at which the largest |h| of each block is; its text is in the "
    "manifest, `token_texts`",
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
    """Activations `[sample, channel]` of valid positions; of at most `most` of them.

    Args:
        h: `[batch, pos, ...]` where there are `rows`.
        rows: Valid positions; None where all are.
        most: None: no bound.
    """
    flat = h.reshape(-1, h.shape[-1]) if rows is None else h[rows]
    return flat if most is None else flat[sample_of(len(flat), most).to(flat.device)]


@dataclass(frozen=True)
class Located:
    """The largest entries of one tensor, and where the largest is.

    Attributes:
        found: Of all valid positions, one replica and one layer.
        sequence: None where positions are out of sight, as `position`.
        position: Within the sequence.
        channel: Axes after the positions flattened.
        token: Id of the token there; None where that is unknown, as the position.
    """

    found: Extremes
    sequence: Tensor | None
    position: Tensor | None
    channel: Tensor
    token: Tensor | None


def located(
    h: Tensor, rows: Bool[Tensor, "batch pos"] | None, ids: Int[Tensor, "batch pos"] | None = None
) -> Located:
    """The largest entries of the valid positions of one tensor.

    Args:
        h: `[batch, pos, channel, ...]`, or `[sample, channel]` where positions are out of sight.
        rows: Valid positions; None where all are.
        ids: Of the tokens; None where they are unknown.
    """
    flat = token_rows(h.flatten(start_dim=2) if h.ndim > 3 else h, rows)
    found = extremes(flat.abs().reshape(1, 1, -1))
    index, channel = found.place // flat.shape[1], found.place % flat.shape[1]
    if h.ndim < 3:
        return Located(found, None, None, channel, None)
    if rows is not None:
        index = rows.flatten().nonzero()[:, 0][index]
    token = None if ids is None else ids.flatten()[index].long()
    return Located(found, index // h.shape[1], index % h.shape[1], channel, token)


def massive_name(site: str, stack: str) -> str:
    """The table of a site of a stack.

    Example:
        >>> massive_name("resid_post", ""), massive_name("attn_out", "decoder")
        ('massive_activations', 'massive_attn_out_decoder')
    """
    suffix = f"_{stack}" if stack else ""
    return f"massive_{'activations' if site == 'resid_post' else site}{suffix}"


def massive_table(layers: Sequence[Located | None], *, tokens: bool = False) -> Table:
    """`massive_activations` of the layers of a stack, and the sequence of the largest of each.

    Args:
        layers: Of every layer; None of one that has none, though another has.
        tokens: Whether the token there is a column too.
    """
    columns = (*MASSIVE_COLUMNS, TOKEN) if tokens else MASSIVE_COLUMNS
    there = torch.tensor([each is not None for each in layers])
    any_of = next(each for each in layers if each is not None)
    found = Extremes(
        *(
            torch.cat([getattr((each or any_of).found, part.name) for each in layers], dim=1)
            for part in fields(Extremes)
        )
    )
    every = there.to(found.place.device).expand(found.place.shape)
    number = Masked(found.place, every & ~found.largest[..., -1].isnan())
    row: dict[str, Masked | None] = {}
    for name, value in of_extremes(found).items():
        value = Masked(value, every) if isinstance(value, Tensor) else value
        row[name] = value and Masked(value.values, value.defined & every)
    for name in ("sequence", "position", "channel", *(["token"] if tokens else [])):
        places = joined([each and getattr(each, name) for each in layers])
        row[name] = places and Masked(places.values, places.defined & number.defined)
    return Table(columns, row)


def of_states(
    states: Mapping[str, Mapping[str, Tensor]],
    rows: Bool[Tensor, "batch pos"] | None = None,
    ids: Int[Tensor, "batch pos"] | None = None,
) -> dict[str, Table]:
    """Maxima of recurrent states, a layer for each layer of each module: "massive_cell_state".

    Args:
        states: `[layer, batch, pos, ...]` by name, by path of the module.
        rows: Valid positions; None where all are.
        ids: Of the tokens; None where they are unknown.
    """
    layers: dict[str, list[Located]] = {}
    for by_name in states.values():
        for name, state in by_name.items():
            fits = [each if each is not None and each.shape == state.shape[1:3] else None
                    for each in (rows, ids)]  # fmt: skip
            layers.setdefault(name, []).extend(located(each, *fits) for each in state)
    return {
        f"massive_{name}_state": massive_table(found, tokens=ids is not None)
        for name, found in layers.items()
    }
