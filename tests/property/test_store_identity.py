"""What is read is what was written: values, nulls, NaN, infinities, lists of any length."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from observatory.core.columns import Column
from observatory.core.contracts import Masked
from observatory.store.reader import Run
from observatory.store.writer import ShardWriter, create_run

NUMPY = {"float64": np.float64, "float32": np.float32, "int64": np.int64, "bool": np.bool_}
SPECIAL = st.sampled_from((np.nan, np.inf, -np.inf, -0.0))
DIMS = ((), ("layer",), ("layer", "head"))


class Drawn(NamedTuple):
    """One column of one append, in plain arrays: no checked object is made while drawing."""

    form: str
    values: Any
    defined: Any = None

    def given(self) -> Any:
        """As a writer gives it."""
        if self.form == "none":
            return None
        if self.form == "tensor":
            return torch.from_numpy(self.values.copy())
        if self.form == "masked":
            return Masked(torch.from_numpy(self.values.copy()), torch.from_numpy(self.defined))
        return self.values

    def found(self) -> list[Any]:
        """As a reader must find it, row by row."""
        if self.form == "none":
            return [None] * len(self.values)
        rows = list(self.values) if self.form == "words" else self.values.tolist()
        if self.form != "masked":
            return rows
        if self.defined.ndim == 1:
            return [row if has else None for row, has in zip(rows, self.defined, strict=True)]
        return np.where(self.defined, self.values.astype(object), None).tolist()


@st.composite
def measurements(draw: st.DrawFn, dtype: str, dims: tuple[str, ...], n_rows: int) -> Drawn:
    """One column for `n_rows` replicas, in one of the forms that a writer may give."""
    if dtype == "string":
        words = draw(st.lists(st.none() | st.text(), min_size=n_rows, max_size=n_rows))
        return Drawn("words", draw(st.sampled_from((words, np.array(words, dtype=object)))))
    sizes = draw(st.tuples(*(st.integers(0, 3) for _ in dims)))
    elements = SPECIAL | st.floats(width=int(dtype[-2:])) if "float" in dtype else None
    values = draw(hnp.arrays(NUMPY[dtype], (n_rows, *sizes), elements=elements, fill=st.nothing()))
    form = draw(st.sampled_from(("none", "array", "tensor", "masked")))
    axes = draw(st.sampled_from((1, values.ndim))) if form == "masked" else 1
    return Drawn(form, values, draw(hnp.arrays(np.bool_, values.shape[:axes])))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[tuple[list[int], list, bool]]]:
    """Columns as plain values; appends: replicas, a `Drawn` per column, whether to flush."""
    columns = []
    for index in range(draw(st.integers(1, 3))):
        dtype = draw(st.sampled_from((*NUMPY, "string")))
        dims = () if dtype == "string" else draw(st.sampled_from(DIMS))
        columns.append({"name": f"x{index}", "dtype": dtype, "dims": dims})
    appends = []
    for _ in range(draw(st.integers(1, 5))):
        replicas = draw(
            st.lists(st.integers(0, 50), unique=True, min_size=draw(st.integers(0, 3)), max_size=4)
        )
        drawn = [draw(measurements(c["dtype"], c["dims"], len(replicas))) for c in columns]
        appends.append((replicas, drawn, draw(st.booleans())))
    return columns, appends


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(made=tables())
def test_reading_gives_what_was_written(
    made: tuple[list[dict[str, Any]], list[tuple[list[int], list, bool]]],
) -> None:
    columns, appends = tuple(Column(unit="1", meaning="x", **plain) for plain in made[0]), made[1]
    names = [column.name for column in columns]
    manifest = {"schema_version": 1, "run_id": "r", "identity": "i", "status": "running"}
    manifest["tables"] = {"probes/x": [column.to_json() for column in columns]}
    none = {name: np.empty(0, int) for name in ("replica", "shard", "seed")}
    none |= {name: np.empty(0) for name in ("weight_decay", "lr")}
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(Path(folder) / "runs" / "r", manifest, none, "")
        writer = ShardWriter(run.folder / "shards" / "0", "r", {"probes/x": columns}, 0)
        expected = []
        for tick, (replicas, drawn, flush) in enumerate(appends):
            values = [one.given() for one in drawn]
            steps = [tick] * len(replicas)
            writer.append("probes/x", replicas, steps, dict(zip(names, values, strict=True)))
            rows = zip(replicas, steps, *(one.found() for one in drawn), strict=True)
            expected += [("r", *row) for row in rows]
            if flush:
                writer.flush(tick)
        writer.flush(len(appends))
        table = Run(run.folder).arrow("probes/x")
    assert table.column_names == ["run_id", "replica", "step", *names]
    rows = list(zip(*table.to_pydict().values(), strict=True))
    # as text: NaN equals NaN, null does not, -0.0 is not 0.0, True is not 1
    assert repr(rows) == repr(sorted(expected, key=lambda row: row[1:3]))
