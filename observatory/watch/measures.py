"""One look: every quantity is taken from its tensor as the pass makes it, then the tensor goes.

What is sampled, and how: the representation is read at `ROWS` valid positions, logits at
`LOGIT_ROWS`, what a matrix reads at `READ_ROWS`, the patterns of `r_phi` at `R_PHI_ENTRIES`
entries; they are drawn once for a size from a generator of their own. Maxima, medians and all other
numbers of the patterns are those of all valid positions.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import final

import torch
from jaxtyping import Bool
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement
from observatory.core.layout import matrices
from observatory.maths.matrices import per_matrix
from observatory.maths.norms import group_norms
from observatory.probes.attention import Attention
from observatory.probes.lar import Lar, lar, unread
from observatory.probes.logit_scale import LogitScale, logit_scale
from observatory.probes.massive_activations import MassiveActivations, massive_activations
from observatory.probes.representation import Representation, spectral_shape
from observatory.probes.softmax_collapse import SoftmaxCollapse, collapsed_share
from observatory.probes.weight_norm import WeightNorm, total_norm
from observatory.probes.weight_spectrum import WeightSpectrum, weight_spectrum
from observatory.watch.anatomy import Anatomy, Place
from observatory.watch.events import Event, Key
from observatory.watch.heads import (
    EXACT_ENTRIES,
    HEAD_COLUMNS,
    R_PHI_ENTRIES,
    LayerValues,
    attention_row,
    heads_row,
    joined,
    of_layer,
    valid_flat,
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
)


COSTLY = frozenset({"weight_spectrum", "lar"})
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


@final
@dataclass
class Look:
    """Takes in the events of one pass; `tables` then has what was measured.

    Args:
        anatomy: Of the model, from a trace.
        probes: Names among `PROBES`.
        rows: Valid positions by stack, "" for all that are not named.
        keep: Whether the patterns are kept as well.
    """

    anatomy: Anatomy
    probes: Collection[str]
    rows: Mapping[str, Tensor]
    keep: bool = False
    patterns: dict[str, Tensor] = field(default_factory=dict)
    heads: dict[str, dict[int, LayerValues]] = field(default_factory=dict)
    flats: dict[str, list[Tensor]] = field(default_factory=dict)
    massive: dict[tuple[str, str], dict[int, LayerValues]] = field(default_factory=dict)
    final: Tensor | None = None
    readout: Tensor | None = None
    read: dict[Place, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._most_rows: dict[Place, int] = {}
        for places, _ in self.anatomy.reads.values() if "lar" in self.probes else ():
            for place in places:
                self._most_rows[place] = max(1, READ_ROWS // len(places))

    def wants(self, key: Key) -> bool:
        """Whether the pattern of this attention is wanted."""
        asked = self.keep or not {"attention", "attention_heads"}.isdisjoint(self.probes)
        return asked and key in self.anatomy.attention

    def __call__(self, event: Event) -> None:
        """Take in one event of the pass."""
        if event.pattern is not None:
            self._attention(event)
        for given, tensor in ((True, event.given), (False, event.output)):
            place = Place(event.key, given)
            if tensor is None:
                continue
            if (site := self.anatomy.sites.get(place)) is not None:
                self._site(*site, tensor.detach())
                if site[1] == "final":
                    self.final, self.readout = tensor, event.output
            if (most := self._most_rows.get(place)) is not None:
                self.read[place] = token_rows(tensor, self._mask("", tensor), most)

    def _mask(self, stack: str, h: Tensor) -> Tensor | None:
        rows = self.rows.get("decoder" if stack.startswith("decoder") else "")
        fits = rows is not None and h.shape[:2] == rows.shape
        return rows.to(h.device) if fits and rows is not None else None

    def _attention(self, event: Event) -> None:
        pattern = event.pattern
        assert pattern is not None
        stack, layer = self.anatomy.attention[event.key]
        rows = self._mask(stack, pattern.values[:, 0])
        if self.keep:
            prefix = f"{stack}." if stack else ""
            self.patterns[f"{prefix}blocks.{layer}.attn_pattern"] = pattern.values
        if {"attention", "attention_heads"}.isdisjoint(self.probes):
            return
        flat, answer = valid_flat(pattern.values, rows)
        self.heads.setdefault(stack, {})[layer] = of_layer(pattern, rows, flat, answer)
        if "attention" in self.probes:
            some = sample_of(flat.shape[-1], R_PHI_ENTRIES).to(flat.device)
            self.flats.setdefault(stack, []).append(flat[..., some].double())

    def _site(self, stack: str, site: str, layer: int, h: Tensor) -> None:
        if "massive_activations" in self.probes and h.ndim >= 2 and h.numel() >= 3:
            found = massive_of(h, self._mask(stack, h))
            self.massive.setdefault((stack, site), {})[layer] = found

    def tables(self, params: Mapping[str, Tensor], logits: Tensor | None) -> dict[str, Table]:
        """Everything that was measured, by the name of its table.

        Args:
            params: The parameters of the model.
            logits: What it returned; None where that is unknown, then what its readout gave.
        """
        found: dict[str, Table] = {}
        for stack, by_layer in self.heads.items():
            layers = [by_layer[i] for i in sorted(by_layer)]
            suffix = f"_{stack}" if stack else ""
            if "attention" in self.probes:
                row = attention_row(layers, self.flats.get(stack, ()))
                found[f"attention{suffix}"] = Table(Attention.columns, row)
            if "attention_heads" in self.probes:
                found[f"attention_heads{suffix}"] = Table(HEAD_COLUMNS, heads_row(layers))
        for (stack, site), by_layer in self.massive.items():
            name = "activations" if site == "resid_post" else site
            row = {
                c.name: joined([by_layer[i][c.name] for i in sorted(by_layer)])
                for c in MASSIVE_COLUMNS
            }
            found[f"massive_{name}{f'_{stack}' if stack else ''}"] = Table(MASSIVE_COLUMNS, row)
        found |= self._of_outputs(self.readout if logits is None else logits)
        return found | of_weights(params, self.anatomy, self.probes, self.read)

    def _of_outputs(self, logits: Tensor | None) -> dict[str, Table]:
        found: dict[str, Table] = {}
        if "representation" in self.probes and self.final is not None:
            points = token_rows(self.final, self._mask("", self.final), ROWS).double()[None]
            absent = dict.fromkeys(c.name for c in Representation.columns)
            row = {**absent, **spectral_shape(points - points[:, :1])}
            found["representation"] = Table(Representation.columns, row)
        if logits is None:
            return found
        z = token_rows(logits.detach(), self._mask("", logits), LOGIT_ROWS)[None]
        if "logit_scale" in self.probes:
            row = {"logit_scale": logit_scale(z)}
            found["logit_scale"] = Table(LogitScale.columns, row)
        if "softmax_collapse" in self.probes:
            row = {"collapsed_share": collapsed_share(z, "float32")}
            found["softmax_collapse"] = Table(SoftmaxCollapse.columns, row)
        return found


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
