"""One look: every quantity is taken from its tensor as the pass makes it, then the tensor goes.

What is sampled, and how: the representation is read at `ROWS` valid positions, logits at
`LOGIT_ROWS`, what a matrix reads at `READ_ROWS`, the patterns of `r_phi` at `R_PHI_ENTRIES`
entries; they are drawn once for a size from a generator of their own. Maxima, medians and all other
numbers of the patterns are those of all valid positions.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import final

from torch import Tensor

from observatory.probes.attention import Attention
from observatory.probes.logit_scale import LogitScale, logit_scale
from observatory.probes.representation import Representation, spectral_shape
from observatory.probes.softmax_collapse import SoftmaxCollapse, collapsed_share
from observatory.watch.heads import (
    HEAD_COLUMNS,
    R_PHI_ENTRIES,
    Heads,
    attention_row,
    heads_row,
    of_heads,
    of_layer,
    valid_flat,
)
from observatory.watch.reading.anatomy import Anatomy, Place, Site
from observatory.watch.reading.events import Event, Key
from observatory.watch.tables import (
    LOGIT_ROWS,
    READ_ROWS,
    ROWS,
    Located,
    Table,
    located,
    massive_name,
    massive_tables,
    sample_of,
    token_rows,
)
from observatory.watch.weights import of_weights


@final
@dataclass
class Look:
    """Takes in the events of one pass; `tables` then has what was measured.

    Args:
        anatomy: Of the model, from a trace.
        probes: Names among `PROBES`.
        rows: Valid positions by stack, "" for all that are not named.
        keep: Whether the patterns are kept as well.
        ids: Of the tokens, likewise; empty where they shall not be named.
    """

    anatomy: Anatomy
    probes: Collection[str]
    rows: Mapping[str, Tensor]
    keep: bool = False
    ids: Mapping[str, Tensor] = field(default_factory=dict)
    patterns: dict[str, Tensor] = field(default_factory=dict)
    heads: dict[str, dict[int, Heads]] = field(default_factory=dict)
    flats: dict[str, list[Tensor]] = field(default_factory=dict)
    massive: dict[tuple[str, Site], dict[int, Located]] = field(default_factory=dict)
    final: Tensor | None = None
    readout: Tensor | None = None
    read: dict[Place, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._turned = False
        self._most_rows: dict[Place, int] = {}
        for places, _ in self.anatomy.reads.values() if "lar" in self.probes else ():
            for place in places:
                self._most_rows[place] = max(1, READ_ROWS // len(places))
        places = {*self._most_rows, *self.anatomy.sites}
        self._keys = {place.key for place in places}

    def wants(self, key: Key) -> bool:
        """Whether the pattern of this attention is wanted."""
        asked = self.keep or not {"attention", "attention_heads"}.isdisjoint(self.probes)
        return asked and key in self.anatomy.attention

    def hears(self, key: Key) -> bool:
        """Whether what happens there is looked at."""
        return key in self._keys

    def __call__(self, event: Event) -> None:
        """Take in one event of the pass."""
        if event.pattern is not None:
            self._attention(event)
        if not self.hears(event.key):
            return
        for given, tensor in ((True, event.given), (False, event.output)):
            place = Place(event.key, given)
            if tensor is None:
                continue
            turned = place in self.anatomy.positions_first
            tensor = tensor.transpose(0, 1) if turned else tensor
            if (site := self.anatomy.sites.get(place)) is not None:
                self._site(*site, tensor.detach(), turned=turned)
                if site[1] == "final":
                    self.final, self.readout, self._turned = tensor, event.output, turned
            if (most := self._most_rows.get(place)) is not None:
                self.read[place] = token_rows(tensor, self._mask("", tensor), most)

    def _mask(self, stack: str, h: Tensor) -> Tensor | None:
        return _fitting(self.rows, stack, h)

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

    def _site(self, stack: str, site: Site, layer: int, h: Tensor, *, turned: bool) -> None:
        if "massive_activations" in self.probes and h.ndim >= 2 and h.numel() >= 3:
            ids = _fitting(self.ids, stack, h)
            if turned and ids is None:  # given as the activations are
                ids = _fitting({name: each.mT for name, each in self.ids.items()}, stack, h)
            found = located(h, self._mask(stack, h), ids)
            self.massive.setdefault((stack, site), {})[layer] = found

    def tables(self, params: Mapping[str, Tensor], logits: Tensor | None) -> dict[str, Table]:
        """Everything that was measured, by the name of its table.

        Args:
            params: The parameters of the model.
            logits: What it returned; None where that is unknown, then what its readout gave.
        """
        found: dict[str, Table] = {}
        for stack, by_layer in self.heads.items():
            layers = of_heads([by_layer[i] for i in sorted(by_layer)])
            suffix = f"_{stack}" if stack else ""
            if "attention" in self.probes:
                row = attention_row(layers, self.flats.get(stack, ()))
                found[f"attention{suffix}"] = Table(Attention.columns, row)
            if "attention_heads" in self.probes:
                found[f"attention_heads{suffix}"] = Table(HEAD_COLUMNS, heads_row(layers))
        sites = {
            massive_name(site, stack): [
                by_layer.get(i) for i in range(len(self.anatomy.labels(stack, site)))
            ]
            for (stack, site), by_layer in self.massive.items()
        }
        found |= massive_tables(sites, tokens=bool(self.ids))
        logits = self.readout if logits is None else logits
        if logits is not None and self._turned and self.final is not None:
            as_given = logits.shape[1::-1] == self.final.shape[:2]
            logits = logits.transpose(0, 1) if as_given else logits
        found |= self._of_outputs(logits)
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


def _fitting(by_stack: Mapping[str, Tensor], stack: str, h: Tensor) -> Tensor | None:
    """Of each position of a stack, where its positions are those of `h`."""
    found = by_stack.get("decoder" if stack.startswith("decoder") else "")
    fits = found is not None and h.shape[:2] == found.shape
    return found.to(h.device) if fits and found is not None else None
