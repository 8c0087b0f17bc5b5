"""What is read is what was written: values, nulls, NaN, infinities, lists of any length."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from observatory.core.columns import Column
from observatory.core.contracts import Masked
from observatory.store.reader import Run
from observatory.store.writer import ShardWriter, create_run

NUMPY = {"float64": np.float64, "float32": np.float32, "int64": np.int64, "bool": np.bool_}
DIMS = ((), ("layer",), ("layer", "head"))


@st.composite
def measurements(draw: st.DrawFn, column: Column, n_rows: int) -> tuple[Any, list[Any]]:
    """One column as a writer gives it, and as a reader must find it."""
    if column.dtype == "string":
        words = draw(st.lists(st.none() | st.text(), min_size=n_rows, max_size=n_rows))
        return draw(st.sampled_from((words, np.array(words, dtype=object)))), words
    sizes = draw(st.tuples(*(st.integers(0, 3) for _ in column.dims)))
    values = draw(hnp.arrays(NUMPY[column.dtype], (n_rows, *sizes)))
    kind = draw(st.sampled_from(("none", "array", "tensor", "rows", "numbers")))
    if kind == "none":
        return None, [None] * n_rows
    if kind == "array":
        return values, values.tolist()
    tensor = torch.from_numpy(values.copy())
    if kind == "tensor":
        return tensor, values.tolist()
    if kind == "rows":
        defined = draw(hnp.arrays(np.bool_, n_rows))
        rows = [v if has else None for v, has in zip(values.tolist(), defined, strict=True)]
        return Masked(tensor, torch.from_numpy(defined)), rows
    defined = draw(hnp.arrays(np.bool_, values.shape))
    numbers = np.where(defined, values.astype(object), None)
    return Masked(tensor, torch.from_numpy(defined)), numbers.tolist()


@st.composite
def tables(draw: st.DrawFn) -> tuple[tuple[Column, ...], list[tuple[Any, Any, dict, dict, bool]]]:
    """Columns, and appends: replicas, steps, what is given, what must be found, flush after it."""
    columns = []
    for index in range(draw(st.integers(1, 3))):
        dtype = draw(st.sampled_from((*NUMPY, "string")))
        dims = () if dtype == "string" else draw(st.sampled_from(DIMS))
        columns.append(Column(name=f"x{index}", unit="1", meaning="x", dtype=dtype, dims=dims))
    appends = []
    for step in range(draw(st.integers(0, 4))):
        replicas = draw(st.lists(st.integers(0, 50), unique=True, max_size=4))
        made = {c.name: draw(measurements(c, len(replicas))) for c in columns}
        given_values = {name: value for name, (value, _) in made.items()}
        found = {name: rows for name, (_, rows) in made.items()}
        appends.append((replicas, [step] * len(replicas), given_values, found, draw(st.booleans())))
    return tuple(columns), appends


@settings(max_examples=60, deadline=None)
@given(made=tables())
def test_reading_gives_what_was_written(
    made: tuple[tuple[Column, ...], list[tuple[Any, Any, dict, dict, bool]]],
) -> None:
    columns, appends = made
    manifest = {"schema_version": 1, "run_id": "r", "identity": "i", "status": "running"}
    manifest["tables"] = {"probes/x": [column.to_json() for column in columns]}
    none = {name: np.empty(0, int) for name in ("replica", "shard", "seed")}
    none |= {name: np.empty(0) for name in ("weight_decay", "lr")}
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(Path(folder) / "runs" / "r", manifest, none, "")
        writer = ShardWriter(run.folder / "shards" / "0", "r", {"probes/x": columns}, 0)
        expected = []
        for tick, (replicas, steps, values, found, flush) in enumerate(appends):
            writer.append("probes/x", replicas, steps, values)
            rows = zip(replicas, steps, *(found[column.name] for column in columns), strict=True)
            expected += [("r", *row) for row in rows]
            if flush:
                writer.flush(tick)
        writer.flush(len(appends))
        table = Run(run.folder).arrow("probes/x")
    assert table.column_names == ["run_id", "replica", "step", *(c.name for c in columns)]
    rows = list(zip(*table.to_pydict().values(), strict=True))
    # as text: NaN equals NaN, null does not, -0.0 is not 0.0, True is not 1
    assert repr(rows) == repr(sorted(expected, key=lambda row: row[1:3]))
