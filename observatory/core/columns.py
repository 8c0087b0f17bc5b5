"""What a table holds: one `Column` per quantity, with its unit and its meaning."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Dtype = Literal["float64", "float32", "int64", "bool", "string"]

AXES = frozenset(
    {
        *("replica", "batch", "pos", "d_model", "head", "d_head", "d_mlp", "d_vocab", "layer"),
        *("freq", "param", "sample", "chain", "draw", "cell", "group", "matrix", "transform"),
        *("method", "point", "quantile"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One quantity of a table.

    Attributes:
        name: Column name, lower case; unique in its table.
        unit: "1" for a dimensionless number, "nats", "steps", ...
        meaning: One line that a reader of the bare file understands.
        dtype: Type of one entry.
        dims: Axes of one cell, outermost first: `()` a scalar per row, `("layer",)` a list per row.
    """

    name: str
    unit: str
    meaning: str
    dtype: Dtype = "float64"
    dims: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.dims) - AXES
        if unknown:
            raise ValueError(f"`dims` must be among {sorted(AXES)}, got {sorted(unknown)}.")

    def to_json(self) -> dict[str, Any]:
        """The column as plain values, as the manifest holds it."""
        return {**asdict(self), "dims": list(self.dims)}

    @staticmethod
    def from_json(record: dict[str, Any]) -> "Column":
        """Inverse of `to_json`."""
        values: dict[str, Any] = {**record, "dims": tuple(record["dims"])}
        return Column(**values)
