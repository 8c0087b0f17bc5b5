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
    """The largest entries of one tensor, and what says where the largest is.

    Attributes:
        found: Of all valid positions, one replica and one layer.
        n_channels: Axes after the positions flattened.
        n_positions: Within a sequence; None where positions are out of sight.
        valid: Place of each valid position among all; None where all are valid.
        ids: Of the tokens, all sequences in one; None where they are unknown.
    """

    found: Extremes
    n_channels: int
    n_positions: int | None
    valid: Int[Tensor, " position"] | None
    ids: Int[Tensor, " every"] | None


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
    if h.ndim < 3:
        return Located(found, flat.shape[1], None, None, None)
    valid = None if rows is None else rows.flatten().nonzero()[:, 0]
    return Located(found, flat.shape[1], h.shape[1], valid, None if ids is None else ids.flatten())


def massive_name(site: str, stack: str) -> str:
    """The table of a site of a stack.

    Example:
        >>> massive_name("resid_post", ""), massive_name("attn_out", "decoder")
        ('massive_activations', 'massive_attn_out_decoder')
    """
    suffix = f"_{stack}" if stack else ""
    return f"massive_{'activations' if site == 'resid_post' else site}{suffix}"


def massive_tables(
    sites: Mapping[str, Sequence[Located | None]], *, tokens: bool = False
) -> dict[str, Table]:
    """`massive_activations` of the layers of every site, and the sequence of the largest of each.

    Args:
        sites: Every layer of each, by the name of its table; None of a layer that has none, though
            another has.
        tokens: Whether the token there is a column too.
    """
    columns = (*MASSIVE_COLUMNS, TOKEN) if tokens else MASSIVE_COLUMNS
    by_device: dict[torch.device, list[str]] = {}
    for name, layers in sites.items():
        by_device.setdefault(_any_of(layers).found.place.device, []).append(name)
    rows: dict[str, dict[str, Masked | None]] = {}
    for names in by_device.values():
        row = _massive_row([each for name in names for each in sites[name]], tokens=tokens)
        sizes = [len(sites[name]) for name in names]
        parts = {c.name: _parts(row[c.name], sizes) for c in columns}
        for place, name in enumerate(names):
            rows[name] = {column: part[place] for column, part in parts.items()}
            rows[name] |= dict.fromkeys(_out_of_sight(sites[name], tokens=tokens))
    return {name: Table(columns, rows[name]) for name in sites}


def _parts(entries: Masked, sizes: list[int]) -> list[Masked]:
    """Entries `[1, layer]` of several tables, a part of the layers for each."""
    both = zip(entries.values.split(sizes, dim=1), entries.defined.split(sizes, dim=1), strict=True)
    return [Masked(*each) for each in both]


def _any_of(layers: Sequence[Located | None]) -> Located:
    return next(each for each in layers if each is not None)


def _out_of_sight(layers: Sequence[Located | None], *, tokens: bool) -> list[str]:
    """Columns that no layer has."""
    there = [each for each in layers if each is not None]
    placed = any(each.n_positions is not None for each in there)
    named = any(each.ids is not None for each in there)
    absent = [] if placed else ["sequence", "position"]
    return absent if named or not tokens else [*absent, "token"]


def _massive_row(layers: Sequence[Located | None], *, tokens: bool) -> dict[str, Masked]:
    """All columns of some layers, `[1, layer]` each."""
    any_of = _any_of(layers)
    there = [each or any_of for each in layers]
    found = Extremes(
        *(
            torch.cat([getattr(each.found, f.name) for each in there], dim=1)
            for f in fields(Extremes)
        )
    )
    device = found.place.device

    def of_each(entries: Sequence[int]) -> Tensor:
        return torch.tensor([entries], device=device)

    every = of_each([each is not None for each in layers])
    number = every & ~found.largest[..., -1].isnan()
    row: dict[str, Masked] = {}
    for name, value in of_extremes(found).items():
        assert value is not None
        each = value if isinstance(value, Masked) else Masked(value, every)
        row[name] = Masked(each.values, each.defined & every)
    channels = of_each([each.n_channels for each in there])
    index = found.place // channels
    row["channel"] = Masked(found.place % channels, number)
    index = _of_layers(index, [each.valid for each in there])
    positions = of_each([each.n_positions or 1 for each in there])
    placed = number & of_each([each.n_positions is not None for each in there])
    row |= {
        "sequence": Masked(index // positions, placed),
        "position": Masked(index % positions, placed),
    }
    if tokens:
        known = number & of_each([each.ids is not None for each in there])
        row["token"] = Masked(_of_layers(index, [each.ids for each in there]).long(), known)
    return row


def _of_layers(index: Int[Tensor, "1 layer"], lists: Sequence[Tensor | None]) -> Tensor:
    """The entry of each layer's list at its index; the index itself where there is none."""
    if all(each is None for each in lists):
        return index
    entries = [
        at if each is None else each[at].to(at.dtype)
        for each, at in zip(lists, index.split(1, dim=1), strict=True)
    ]
    return torch.cat(entries, dim=1)


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
    found = {f"massive_{name}_state": each for name, each in layers.items()}
    return massive_tables(found, tokens=ids is not None)
