"""What one look at a model found."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd
from torch import Tensor

from observatory.core.contracts import Masked
from observatory.core.errors import ConfigError
from observatory.watch.figure import attention_figure, massive_figure
from observatory.watch.reading.trace import Found
from observatory.watch.tables import TOKEN, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LARGEST = ("ratio", "top1", "max_logit")  # of all layers and heads, among the scalars


@final
@dataclass(frozen=True)
class Snapshot:
    """What one look found.

    Attributes:
        tables: A row of every table, by its name, as the run store keeps it.
        found: Every attention of the model: where, how it was seen, its shape.
        patterns: Patterns `[batch, head, query, key]` by name, "blocks.3.attn_pattern"; float32,
            rows of padding included.
        layers: Path of each layer by stack; that of attentions and that of blocks.
        matrices: Names of the weight matrices, in the order of the tables.
        groups: Names of the groups of parameters, in the order of the tables.
        without_attention: Layers that hold no attention though others do.
        output: What the model returned.
        unread: Why the states of a recurrent module could not be read, by its path.
        texts: Text of the tokens at the maxima, by id, where a tokenizer was given.
    """

    tables: dict[str, Table]
    found: tuple[Found, ...]
    patterns: dict[str, Tensor]
    layers: dict[str, tuple[str, ...]]
    matrices: tuple[str, ...]
    groups: tuple[str, ...]
    without_attention: tuple[str, ...]
    output: Any
    unread: dict[str, str] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """Every number as a row: table, quantity, layer, head (or matrix, group) and value.

        Undefined numbers are left out. `name` is the path of the layer or the name of the matrix.
        Where a tokenizer was given, `text` is that of a row of the quantity "token".
        """
        rows = [row for name, table in self.tables.items() for row in self._rows(name, table)]
        names = ["table", "quantity", "layer", "head", "name", "value", "unit"]
        if self.texts:
            names.append("text")
            for row in rows:
                row["text"] = self.texts[row["value"]] if row["quantity"] == TOKEN.name else None
        return pd.DataFrame(rows, columns=names).astype({"layer": "Int64", "head": "Int64"})

    def _rows(self, name: str, table: Table) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for column in table.columns:
            value = table.values[column.name]
            if value is None or isinstance(value, Sequence):
                continue
            for place, number in _entries(value):
                row = {"table": name, "quantity": column.name, "unit": column.unit, "value": number}
                for axis, index in zip(column.dims, place, strict=True):
                    row["layer" if axis in ("matrix", "group") else axis] = index
                rows.append({**row, "name": self._label(name, column.dims, place)})
        return rows

    def _label(self, table: str, dims: tuple[str, ...], place: tuple[int, ...]) -> str | None:
        if not dims:
            return None
        named = {"matrix": self.matrices, "group": self.groups}.get(dims[0])
        named = self.layers.get(table, ()) if named is None else named
        return named[place[0]] if place[0] < len(named) else None

    def scalars(self) -> dict[str, float]:
        """The numbers that fit a logger: "attention/s_bar"; the largest over layers of a few."""
        found: dict[str, float] = {}
        for name, table in self.tables.items():
            for column in table.columns:
                value = table.values[column.name]
                if value is None or isinstance(value, Sequence):
                    continue
                numbers = [number for _, number in _entries(value)]
                if numbers and not column.dims:
                    found[f"{name}/{column.name}"] = numbers[0]
                elif numbers and column.name in _LARGEST:
                    found[f"{name}/{column.name}_max"] = float(np.max(numbers))
        return found

    def plot(self, what: str = "attention") -> "Figure":
        """A picture: "attention", a panel per head, or "massive", maxima along the layers.

        Raises:
            ConfigError: If `what` is unknown, or was not looked at.
            MissingExtraError: If matplotlib is not installed.
        """
        if what == "massive":
            return massive_figure(self.frame())
        if what != "attention":
            raise ConfigError(f'`what` must be "attention" or "massive", got {what!r}.')
        names: dict[str, str] = {}
        for each in self.found:
            prefix = f"{each.stack}." if each.stack else ""
            names[f"{prefix}blocks.{each.layer}.attn_pattern"] = each.path
        return attention_figure(self.patterns, names)

    def __repr__(self) -> str:
        kinds = sorted({each.how for each in self.found})
        read = f"{len(self.found)} attentions ({', '.join(kinds)})" if kinds else "no attention"
        unread = f"; states not read of {', '.join(self.unread)}" if self.unread else ""
        return f"Snapshot({read}; tables {', '.join(self.tables)}{unread})"


def _entries(value: Tensor | Masked) -> list[tuple[tuple[int, ...], float]]:
    """Place and value of every defined number of the one replica."""
    numbers = (value.values if isinstance(value, Masked) else value)[0].cpu().numpy()
    there = np.ones(numbers.shape, dtype=bool)
    if isinstance(value, Masked):
        there = np.broadcast_to(value.defined[0].cpu().numpy(), numbers.shape)
    return [(tuple(map(int, at)), float(numbers[tuple(at)])) for at in np.argwhere(there)]
