"""What each attention head does: its sharpness, its largest logit, its sinks, its group of keys.

Letters: R rows (valid queries of all sequences), S keys, H query heads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement
from observatory.maths.spectrum import cosines_of
from observatory.probes.attention import (
    Attention,
    HeadProducts,
    head_entropies,
    head_products,
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


@dataclass(frozen=True)
class Heads:
    """What is kept of the heads of one attention, or of several with as many heads.

    Attributes:
        products: Of their patterns.
        entropies: Mean of each head's rows.
        sink: Mean probability on the first valid key.
        outside: Mean probability that rows lack to 1.
        logits: Largest score of each row; None where scores are out of sight.
        key_heads: Number of different key heads, None where the keys are out of sight.
    """

    products: HeadProducts
    entropies: Float[Tensor, "1 layer head"]
    sink: Float[Tensor, "1 layer head"]
    outside: Float[Tensor, "1 layer head"]
    logits: Float[Tensor, "1 layer head row"] | None
    key_heads: int | None


def valid_flat(
    values: Float[Tensor, "batch head pos _"], rows: Bool[Tensor, "batch pos"] | None
) -> tuple[Float[Tensor, "1 1 head sample"], Float[Tensor, "1 1 head _"]]:
    """One vector per head of its valid rows, and that of the last valid row of each sequence."""
    kind = torch.float64 if values.numel() <= EXACT_ENTRIES else torch.float32
    n_heads = values.shape[1]
    if rows is None:
        chosen, last = values.transpose(0, 1), values[:, :, -1].transpose(0, 1)
    else:
        by_row = values.permute(0, 2, 1, 3)  # [batch, pos, head, key]
        at = (rows * torch.arange(1, rows.shape[1] + 1, device=rows.device)).argmax(dim=1)
        some = rows.any(dim=1)
        last = by_row[torch.arange(len(rows), device=at.device), at][some].transpose(0, 1)
        chosen = by_row[rows].transpose(0, 1)
    flat, answer = (
        x.to(kind, memory_format=torch.contiguous_format).reshape(1, 1, n_heads, -1)
        for x in (chosen, last)
    )
    return flat, answer


def of_layer(
    pattern: Pattern,
    rows: Bool[Tensor, "batch pos"] | None,
    flat: Float[Tensor, "1 1 head sample"],
    answer: Float[Tensor, "1 1 head _"],
) -> Heads:
    """What is kept of one attention.

    Args:
        pattern: What it did.
        rows: Valid queries; None where all are.
        flat: And the two that `valid_flat` made of it.
        answer: The second of them.
    """
    n_keys = pattern.values.shape[3]
    in_row = flat.unflatten(3, (-1, n_keys)).sum(dim=4)
    return Heads(
        products=head_products(flat, answer),
        entropies=head_entropies(flat, n_keys),
        sink=_on_first(pattern.values, rows)[None, None],
        outside=(1 - in_row).clamp(min=0).mean(dim=3),
        logits=_row_logits(pattern, rows),
        key_heads=pattern.key_heads,
    )


def _on_first(
    values: Float[Tensor, "batch head pos key"], rows: Bool[Tensor, "batch pos"] | None
) -> Float[Tensor, " head"]:
    """Mean probability on the first valid key."""
    if rows is None:
        return values[..., 0].contiguous().mean(dim=(0, 2))
    first = torch.zeros(len(values), dtype=torch.long, device=values.device)
    if rows.shape[1] == values.shape[3]:
        first = rows.float().argmax(dim=1)
    at = first[:, None, None, None].expand(-1, *values.shape[1:3], 1)
    weights = rows[:, None].float()
    return (values.gather(3, at)[..., 0] * weights).sum(dim=(0, 2)) / weights.sum()


def _row_logits(pattern: Pattern, rows: Tensor | None) -> Tensor | None:
    if pattern.max_logit is None:
        return None
    largest = pattern.max_logit.transpose(0, 1)  # [head, batch, pos]
    return (largest.flatten(1) if rows is None else largest[:, rows])[None, None]


def _logit_quantiles(heads: Heads) -> LayerValues:
    """The largest score of each head, and median and .99 quantile of those of its rows."""
    names = ("max_logit", "max_logit_median", "max_logit_q99")
    if heads.logits is None:
        return dict.fromkeys(names)
    ordered = heads.logits.sort(dim=3).values
    last = ordered.shape[3] - 1
    places = (last, last // 2, -(-last * 99 // 100))
    return {name: ordered[..., at] for name, at in zip(names, places, strict=True)}


def of_heads(layers: Sequence[Heads]) -> Mapping[str, Masked | None]:
    """Every quantity of a stack, of those of `Attention` and of `HEAD_COLUMNS`, by layer."""
    logits = [None if each.logits is None else each.logits.shape[3] for each in layers]
    heads = [(each.entropies.shape[2], each.key_heads) for each in layers]
    alike = set(zip(heads, logits, strict=True))
    batches = [_together(layers)] if len(alike) == 1 else layers
    found = [_quantities(each) for each in batches]
    return {name: joined([each[name] for each in found]) for name in found[0]}


def _together(layers: Sequence[Heads]) -> Heads:
    """Layers that are alike as one."""

    def cat(of: Callable[[Heads], Tensor]) -> Tensor:
        return torch.cat([of(each) for each in layers], dim=1)

    logits = [each.logits for each in layers if each.logits is not None]
    return Heads(
        products=HeadProducts(
            cat(lambda each: each.products.patterns),
            cat(lambda each: each.products.answers),
            cat(lambda each: each.products.centred),
        ),
        entropies=cat(lambda each: each.entropies),
        sink=cat(lambda each: each.sink),
        outside=cat(lambda each: each.outside),
        logits=torch.cat(logits, dim=1) if logits else None,
        key_heads=layers[0].key_heads,
    )


def _quantities(heads: Heads) -> LayerValues:
    found: LayerValues = {
        **head_quantities(heads.products, heads.entropies),
        "entropy_head": heads.entropies,
        "sink_mass": heads.sink,
        "outside_mass": heads.outside,
        **_logit_quantiles(heads),
        **_groups(heads),
    }
    return {name: _double(value) for name, value in found.items()}


def _groups(heads: Heads) -> LayerValues:
    _, n_layers, n_heads = heads.entropies.shape
    key_heads = heads.key_heads
    found: LayerValues = {"s_bar_within": None, "s_bar_between": None, "key_heads": None}
    if key_heads is None:
        return found
    device = heads.entropies.device
    found["key_heads"] = torch.full((1, n_layers), key_heads, device=device)
    if n_heads % key_heads:
        return found
    group = torch.arange(n_heads, device=device) // (n_heads // key_heads)
    same = group[:, None] == group
    above = torch.ones_like(same).triu(diagonal=1)
    similarity = cosines_of(heads.products.patterns)
    for name, pairs in (("s_bar_within", same & above), ("s_bar_between", ~same & above)):
        if bool(pairs.any()):
            found[name] = similarity[..., pairs].mean(dim=2)
    return found


def _double(value: Tensor | Masked | None) -> Tensor | Masked | None:
    if isinstance(value, Masked):
        return Masked(value.values.double(), value.defined)
    return value if value is None or not value.is_floating_point() else value.double()


def joined(layers: Sequence[Tensor | Masked | None]) -> Masked | None:
    """One quantity of all layers as `[1, layer, ...]`; undefined where a layer has none.

    Layers with fewer heads than others are filled up with undefined ones.

    Args:
        layers: Each `[1, layer, ...]` of one or more layers; None is one layer that has none.
    """
    there = [x.values if isinstance(x, Masked) else x for x in layers if x is not None]
    if not there:
        return None
    if len(there) == len(layers) and len({x.shape[2:] for x in there}) == 1:
        values, masks = torch.cat(there, dim=1), [_defined(x) for x in layers if x is not None]
        return Masked(values, torch.cat(masks, dim=1))
    widest = tuple(max(sizes) for sizes in zip(*(x.shape[2:] for x in there), strict=True))
    shape = (1, sum(1 if x is None else _n_layers(x) for x in layers), *widest)
    values = there[0].new_zeros(shape)
    defined = torch.zeros(shape, dtype=torch.bool, device=values.device)
    start = 0
    for layer in layers:
        if layer is None:
            start += 1
            continue
        entries = layer.values if isinstance(layer, Masked) else layer
        stop = start + entries.shape[1]
        place = (slice(None), slice(start, stop), *(slice(n) for n in entries.shape[2:]))
        values[place] = entries
        defined[place] = layer.defined if isinstance(layer, Masked) else True
        start = stop
    return Masked(values, defined)


def _defined(layer: Tensor | Masked) -> Tensor:
    if isinstance(layer, Masked):
        return layer.defined.expand_as(layer.values)
    return torch.ones_like(layer, dtype=torch.bool)


def _n_layers(layer: Tensor | Masked) -> int:
    return (layer.values if isinstance(layer, Masked) else layer).shape[1]


def attention_row(by_layer: Mapping[str, Masked | None], sampled: Sequence[Tensor]) -> Measurement:
    """The row of the table of `Attention`.

    Args:
        by_layer: As of `of_heads`.
        sampled: Flat patterns for `r_phi`, or none.
    """
    names = [c.name for c in Attention.columns if not c.dims and c.name != "r_phi"]
    n_heads = sum(flat.shape[2] for flat in sampled)
    alike = len({flat.shape[3] for flat in sampled}) == 1
    all_heads = _differing(torch.cat(list(sampled), dim=2)) if sampled and alike else None
    return {
        **{name: mean_over_layers(by_layer[name]) for name in names},
        **{f"{name}_layer": by_layer[name] for name in names},
        "r_phi": r_phi(all_heads) if all_heads is not None and n_heads <= R_PHI_HEADS else None,
    }


def _differing(flat: Float[Tensor, "1 1 head sample"]) -> Float[Tensor, "1 1 head _"]:
    """The entries in which heads differ: `r_phi` of them is that of all; most others are masked."""
    differ = (flat != flat[:, :, :1]).any(dim=2)[0, 0]
    return flat[..., differ] if bool(differ.any()) else flat


def heads_row(by_layer: Mapping[str, Masked | None]) -> Measurement:
    """The row of the table of `HEAD_COLUMNS`; `by_layer` as of `of_heads`."""
    return {c.name: by_layer[c.name] for c in HEAD_COLUMNS}
