"""What every table of a run has in common: its keys, its Arrow types, the version of the store."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from observatory.core.columns import Column
from observatory.core.errors import StoreError
from observatory.store.identity import SCHEMA_VERSION

RUN_ID = Column(name="run_id", unit="1", meaning="the run of the replica", dtype="string")
REPLICA = Column(name="replica", unit="1", meaning="the replica in its run", dtype="int64")
STEP = Column(
    name="step", unit="steps", meaning="optimizer updates the replica has made", dtype="int64"
)
KEYS = (RUN_ID, REPLICA, STEP)

REPLICA_COLUMNS = (
    RUN_ID,
    REPLICA,
    Column(name="shard", unit="1", meaning="the shard that trains the replica", dtype="int64"),
    Column(name="seed", unit="1", meaning="root of the replica's generators", dtype="int64"),
    Column(name="weight_decay", unit="1", meaning="decoupled decay rate"),
    Column(name="lr", unit="1", meaning="learning rate"),
)
"""The columns that every `replicas.parquet` has; other swept settings may follow."""

PROVENANCE = ("parent", "parent_run", "parent_replica", "parent_step")
"""Columns of `replicas.parquet` that say whence a replica comes: of an arm its replica, of a fork
run, replica and step of its state. They are no settings."""

EVENT_COLUMNS = (
    Column(
        name="kind",
        unit="-",
        dtype="string",
        meaning="what happened: started, parted, retired, diverged, resumed, thinned",
    ),
    Column(name="detail", unit="-", dtype="string", meaning="the particulars, as JSON"),
)
"""The columns of what happened to a replica: a row per event."""

WEIGHTS = "weights"
"""The table of final weights: a row per replica that has left."""
STATES = "states"
"""The table of kept states: a row per replica and step at which all of it was kept."""

NEVER_PARTED = "never_parted"
"""Why an arm was never a network: its replica had left before the moment to part came."""

_TYPES: dict[str, pa.DataType] = {
    "float64": pa.float64(),
    "float32": pa.float32(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


def to_arrow_field(column: Column, *, nullable: bool = True) -> pa.Field:
    """One column as an Arrow field, its unit, meaning and axes in the field's metadata.

    Args:
        column: Scalars per row become plain columns, one axis a list, two axes a list of lists.
        nullable: Whether rows may hold null (not measured).

    Raises:
        StoreError: If a cell has more than two axes.
    """
    if len(column.dims) > 2:
        raise StoreError(
            f"`dims` of column `{column.name}` may name at most 2 axes, got {column.dims}. "
            "Write one column per slice."
        )
    kind = _TYPES[column.dtype]
    for _ in column.dims:
        kind = pa.list_(kind)
    if column == RUN_ID:
        kind = pa.dictionary(pa.int32(), pa.string())
    described = {"unit": column.unit, "meaning": column.meaning, "dims": " ".join(column.dims)}
    return pa.field(column.name, kind, nullable=nullable, metadata=described)


def to_arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Schema of a table: the keys, never null, then `columns`, which may be.

    Raises:
        StoreError: If two columns share a name, or one has the name of a key.

    Example:
        >>> column = Column(name="norm", unit="1", meaning="one norm per layer", dims=("layer",))
        >>> to_arrow_schema([column]).names
        ['run_id', 'replica', 'step', 'norm']
        >>> to_arrow_schema([column]).field("norm").metadata[b"unit"]
        b'1'
    """
    names = [column.name for column in (*KEYS, *columns)]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise StoreError(f"Column names must be unique and not a key's, got {repeated} twice.")
    keys = [to_arrow_field(column, nullable=False) for column in KEYS]
    return pa.schema([*keys, *(to_arrow_field(column) for column in columns)])


def check_version(manifest: Mapping[str, Any]) -> None:
    """Refuse a run that another version of the store wrote.

    Raises:
        StoreError: If `schema_version` of the manifest is missing or not `SCHEMA_VERSION`.
    """
    found = manifest.get("schema_version")
    if found != SCHEMA_VERSION:
        raise StoreError(
            f"Run `{manifest.get('run_id')}` has `schema_version` {found!r}, this version of "
            f"observatory reads and writes {SCHEMA_VERSION} (run written by package version "
            f"{manifest.get('package_version')}). Nothing was changed. Use that version, or give "
            "another results folder."
        )
