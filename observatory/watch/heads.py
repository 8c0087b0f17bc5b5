"""What each attention head does: its sharpness, its largest logit, its sinks, its group of keys.

Letters: R rows (valid queries of all sequences), S keys, H query heads.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement
from observatory.maths.spectrum import cosines
from observatory.probes.attention import (
    Attention,
    head_entropies,
    head_quantities,
    mean_over_layers,
    r_phi,
)
from observatory.watch.reading.patterns import Pattern

EXACT_ENTRIES = 2**16  # what has more is reduced in float32: 1e-6 of a cosine
R_PHI_ENTRIES, R_PHI_HEADS = 4096, 256  # entries of the patterns and most heads of `r_phi`
_PER_HEAD = {  # name: (unit, meaning)
    "entropy_head": ("nats", "mean entropy of the rows of each head"),
    "max_logit": ("1", "largest score before the softmax, after scale and mask, of each head"),
    "max_logit_median": ("1", "median over rows of the largest score of the row, of each head"),
    "max_logit_q99": ("1", ".99 quantile over rows of the largest score of the row, of each head"),
    "sink_mass": ("1", "mean probability on the first valid key, of each head"),
    "outside_mass": ("1", "mean probability that a sink outside the keys takes, of each head"),
}
_PER_LAYER = {
    "s_bar_within": "mean cosine of two heads that share their keys, of each layer",
    "s_bar_between": "mean cosine of two heads that do not share their keys, of each layer",
}
HEAD_COLUMNS = (
    *(
        Column(name=name, unit=unit, meaning=meaning, dims=("layer", "head"))
        for name, (unit, meaning) in _PER_HEAD.items()
    ),
    *(
        Column(name=name, unit="1", meaning=meaning, dims=("layer",))
        for name, meaning in _PER_LAYER.items()
    ),
    Column(
        name="key_heads",
        unit="1",
        meaning="number of different key heads, of each layer",
        dtype="int64",
        dims=("layer",),
    ),
)

LayerValues = dict[str, Tensor | Masked | None]
"""Quantities of one layer of one network, each `[1, 1, ...]`."""


def valid_flat(
    values: Float[Tensor, "batch head pos _"], rows: Bool[Tensor, "batch pos"] | None
) -> tuple[Float[Tensor, "1 1 head sample"], Float[Tensor, "1 1 head _"]]:
    """One vector per head of its valid rows, and that of the last valid row of each sequence."""
    kind = torch.float64 if values.numel() <= EXACT_ENTRIES else torch.float32
    n_heads, n_keys = values.shape[1], values.shape[3]
    by_row = values.permute(0, 2, 1, 3)  # [batch, pos, head, key]
    if rows is None:
        chosen, last = by_row.reshape(-1, n_heads, n_keys), by_row[:, -1]
    else:
        at = (rows * torch.arange(1, rows.shape[1] + 1, device=rows.device)).argmax(dim=1)
        some = rows.any(dim=1)
        chosen, last = by_row[rows], by_row[torch.arange(len(rows), device=at.device), at][some]
    flat, answer = (
        x.transpose(0, 1).to(kind, memory_format=torch.contiguous_format).reshape(1, 1, n_heads, -1)
        for x in (chosen, last)
    )
    return flat, answer


def of_layer(
    pattern: Pattern,
    rows: Bool[Tensor, "batch pos"] | None,
    flat: Float[Tensor, "1 1 head sample"],
    answer: Float[Tensor, "1 1 head _"],
) -> LayerValues:
    """Every quantity of one attention, those of `Attention` and of `HEAD_COLUMNS`.

    Args:
        pattern: What it did.
        rows: Valid queries; None where all are.
        flat: And the two that `valid_flat` made of it.
        answer: The second of them.
    """
    values = pattern.values
    n_keys = values.shape[3]
    n_rows, entropies = flat.shape[-1] // n_keys, head_entropies(flat, n_keys)
    by_row = flat[0, 0].unflatten(1, (n_rows, n_keys))
    first = torch.zeros(len(values), dtype=torch.long, device=values.device)
    if rows is not None and rows.shape[1] == n_keys:
        first = rows.float().argmax(dim=1)
    on_first = values.gather(3, first[:, None, None, None].expand(-1, *values.shape[1:3], 1))[
        ..., 0
    ]
    weights = torch.ones_like(on_first[:, 0]) if rows is None else rows.to(on_first.dtype)
    sink = (on_first * weights[:, None]).sum(dim=(0, 2)) / weights.sum()
    found: LayerValues = {
        **head_quantities(flat, answer, entropies),
        "entropy_head": entropies,
        "sink_mass": sink[None, None].double(),
        "outside_mass": (1 - by_row.sum(dim=2)).clamp(min=0).mean(dim=1)[None, None].double(),
        **_logits(pattern, rows),
        **_groups(flat, pattern.key_heads),
    }
    return {name: _double(value) for name, value in found.items()}


def _logits(pattern: Pattern, rows: Tensor | None) -> LayerValues:
    names = ("max_logit", "max_logit_median", "max_logit_q99")
    if pattern.max_logit is None:
        return dict.fromkeys(names)
    largest = pattern.max_logit.transpose(0, 1)  # [head, batch, pos]
    chosen = largest.flatten(1) if rows is None else largest[:, rows]
    ordered = chosen.double().sort(dim=1).values
    last = ordered.shape[1] - 1
    places = (last, last // 2, -(-last * 99 // 100))
    return {n: ordered[:, at][None, None] for n, at in zip(names, places, strict=True)}


def _groups(flat: Tensor, key_heads: int | None) -> LayerValues:
    n_heads = flat.shape[2]
    found: LayerValues = {"s_bar_within": None, "s_bar_between": None, "key_heads": None}
    if key_heads is None:
        return found
    found["key_heads"] = torch.full((1, 1), key_heads)
    if n_heads % key_heads:
        return found
    group = torch.arange(n_heads, device=flat.device) // (n_heads // key_heads)
    same = group[:, None] == group
    above = torch.ones_like(same).triu(diagonal=1)
    similarity = cosines(flat)[0, 0]
    for name, pairs in (("s_bar_within", same & above), ("s_bar_between", ~same & above)):
        if bool(pairs.any()):
            found[name] = similarity[pairs].mean()[None, None]
    return found


def _double(value: Tensor | Masked | None) -> Tensor | Masked | None:
    if isinstance(value, Masked):
        return Masked(value.values.double(), value.defined)
    return value if value is None or not value.is_floating_point() else value.double()


def joined(layers: Sequence[Tensor | Masked | None]) -> Masked | None:
    """One quantity of all layers as `[1, layer, ...]`; undefined where a layer has none.

    Layers with fewer heads than others are filled up with undefined ones.
    """
    there = [x.values if isinstance(x, Masked) else x for x in layers if x is not None]
    if not there:
        return None
    widest = tuple(max(sizes) for sizes in zip(*(x.shape[2:] for x in there), strict=True))
    shape = (1, len(layers), *widest)
    values = there[0].new_zeros(shape)
    defined = torch.zeros(shape, dtype=torch.bool, device=values.device)
    for index, layer in enumerate(layers):
        if layer is None:
            continue
        entries = layer.values if isinstance(layer, Masked) else layer
        mask = layer.defined if isinstance(layer, Masked) else torch.ones_like(entries).bool()
        place = (slice(None), slice(index, index + 1), *(slice(n) for n in entries.shape[2:]))
        values[place], defined[place] = entries, mask
    return Masked(values, defined)


def attention_row(layers: Sequence[LayerValues], sampled: Sequence[Tensor]) -> Measurement:
    """The row of the table of `Attention`; `sampled` are flat patterns for `r_phi`, or none."""
    names = [c.name for c in Attention.columns if not c.dims and c.name != "r_phi"]
    by_layer = {name: joined([layer[name] for layer in layers]) for name in names}
    n_heads = sum(flat.shape[2] for flat in sampled)
    alike = len({flat.shape[3] for flat in sampled}) == 1
    all_heads = torch.cat(list(sampled), dim=2) if sampled and alike else None
    return {
        **{name: mean_over_layers(value) for name, value in by_layer.items()},
        **{f"{name}_layer": value for name, value in by_layer.items()},
        "r_phi": r_phi(all_heads) if all_heads is not None and n_heads <= R_PHI_HEADS else None,
    }


def heads_row(layers: Sequence[LayerValues]) -> Measurement:
    """The row of the table of `HEAD_COLUMNS`."""
    return {c.name: joined([layer[c.name] for layer in layers]) for c in HEAD_COLUMNS}
