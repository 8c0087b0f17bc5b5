from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from observatory.core.columns import Column
from observatory.core.contracts import Masked
from observatory.core.errors import StoreError
from observatory.store.table import TableWriter, part_path

COLUMNS = (Column(name="x", unit="nats", meaning="an x"),)


def writer(folder: Path, tick: int = 0, columns: tuple[Column, ...] = COLUMNS) -> TableWriter:
    return TableWriter(folder, "run", columns, tick)


def write_ticks(table: TableWriter, ticks: range, every: int) -> None:
    """One row per tick, a flush at every multiple of `every`."""
    for tick in ticks:
        table.append([0], [tick], {"x": np.array([float(tick)])})
        if (tick + 1) % every == 0:
            table.flush(tick + 1)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def steps(folder: Path) -> list[int]:
    return sorted(s for p in folder.iterdir() for s in pq.read_table(p)["step"].to_pylist())


def test_a_part_bears_the_tick_at_which_it_starts(tmp_path: Path) -> None:
    write_ticks(writer(tmp_path), range(6), every=3)
    assert names(tmp_path) == ["part-000000000000.parquet", "part-000000000003.parquet"]
    assert steps(tmp_path) == list(range(6))


def test_no_rows_no_file(tmp_path: Path) -> None:
    table = writer(tmp_path / "x")
    table.append([], [], {"x": np.empty(0)})
    table.flush(5)
    assert not (tmp_path / "x").exists()
    table.append([0], [5], {"x": np.zeros(1)})
    table.flush(9)
    assert names(tmp_path / "x") == ["part-000000000005.parquet"]


def test_parts_are_compressed_and_explain_themselves(tmp_path: Path) -> None:
    write_ticks(writer(tmp_path), range(3), every=3)
    with pq.ParquetFile(part_path(tmp_path, 0)) as file:
        assert file.metadata.row_group(0).column(3).compression == "ZSTD"
        assert file.schema_arrow.field("x").metadata[b"unit"] == b"nats"
        assert file.schema_arrow.field("replica").metadata[b"meaning"]


def test_values_are_copied_when_appended(tmp_path: Path) -> None:
    table, x, step = writer(tmp_path), torch.zeros(2, dtype=torch.float64), np.array([4, 4])
    table.append(torch.arange(2), step, {"x": x})
    x.fill_(7.0)
    step[:] = 9
    table.flush(1)
    read = pq.read_table(part_path(tmp_path, 0))
    assert read["x"].to_pylist() == [0.0, 0.0]
    assert read["step"].to_pylist() == [4, 4]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.int32])
def test_tensors_of_other_types_are_taken(tmp_path: Path, dtype: torch.dtype) -> None:
    table = writer(tmp_path)
    table.append([0, 1], [0, 0], {"x": torch.tensor([1, 2], dtype=dtype, requires_grad=False)})
    table.flush(1)
    assert pq.read_table(part_path(tmp_path, 0))["x"].to_pylist() == [1.0, 2.0]


def test_a_tensor_with_a_gradient_and_a_mask_is_taken(tmp_path: Path) -> None:
    table, x = writer(tmp_path), torch.tensor([1.0, 2.0], requires_grad=True)
    table.append([0, 1], [0, 0], {"x": Masked(x * 2, torch.tensor([True, False]))})
    table.flush(1)
    assert pq.read_table(part_path(tmp_path, 0))["x"].to_pylist() == [2.0, None]


@pytest.mark.gpu
def test_a_tensor_of_the_device_is_taken(tmp_path: Path) -> None:
    table = writer(tmp_path)
    replica = torch.arange(2, device="cuda")
    table.append(replica, replica, {"x": torch.ones(2, device="cuda", dtype=torch.bfloat16)})
    table.flush(1)
    assert pq.read_table(part_path(tmp_path, 0))["x"].to_pylist() == [1.0, 1.0]


@pytest.mark.parametrize("measurement", [{}, {"y": None}, {"x": None, "y": None}])
def test_rows_have_exactly_the_declared_columns(tmp_path: Path, measurement: dict) -> None:
    with pytest.raises(StoreError, match=r"must have the columns \['x'\]"):
        writer(tmp_path).append([0], [0], measurement)


def test_a_refused_row_leaves_no_trace(tmp_path: Path) -> None:
    columns = (*COLUMNS, Column(name="y", unit="1", meaning="a y"))
    table = writer(tmp_path, columns=columns)
    with pytest.raises(StoreError, match="`y` must have shape"):
        table.append([0], [0], {"x": np.zeros(1), "y": np.zeros(2)})
    table.append([1], [0], {"x": np.zeros(1), "y": np.ones(1)})
    table.flush(1)
    assert pq.read_table(part_path(tmp_path, 0))["replica"].to_pylist() == [1]


@pytest.mark.parametrize("crash", [2, 7, 11])
@pytest.mark.parametrize("checkpoint", [0, 6])
@pytest.mark.parametrize("every", [3, 4, 12])
def test_a_resumed_shard_repeats_no_row(
    tmp_path: Path, crash: int, checkpoint: int, every: int
) -> None:
    """It flushed every 3 ticks, died, and goes on from a checkpoint with another rhythm."""
    write_ticks(writer(tmp_path), range(max(crash, checkpoint)), every=3)
    resumed = writer(tmp_path, tick=checkpoint)
    for tick in range(checkpoint, 12):
        resumed.append([0], [tick], {"x": np.array([float(tick)])})
        if (tick + 1) % every == 0:
            resumed.flush(tick + 1)
            assert len(steps(tmp_path)) == len(set(steps(tmp_path)))
    assert steps(tmp_path) == list(range(12))


def test_old_parts_are_replaced_also_where_no_row_is_made_again(tmp_path: Path) -> None:
    write_ticks(writer(tmp_path), range(4, 8), every=8)
    resumed = writer(tmp_path)
    resumed.flush(4)
    assert names(tmp_path) == []
    write_ticks(resumed, range(4, 8), every=8)
    assert steps(tmp_path) == [4, 5, 6, 7]


def test_two_flushes_at_one_tick_lose_nothing(tmp_path: Path) -> None:
    table = writer(tmp_path)
    for replica in range(3):
        table.append([replica], [0], {"x": None})
        table.flush(0)
        assert len(steps(tmp_path)) == replica + 1
    table.flush(4)
    table.flush(8)
    assert names(tmp_path) == ["part-000000000000.parquet"]
    assert steps(tmp_path) == [0, 0, 0]


def test_a_failed_flush_keeps_its_rows(tmp_path: Path) -> None:
    table, folder = writer(tmp_path / "x"), tmp_path / "x"
    table.append([0], [0], {"x": None})
    folder.write_text("a file where the folder belongs")
    with pytest.raises(StoreError, match="intact"):
        table.flush(3)
    folder.unlink()
    table.append([0], [3], {"x": None})
    table.flush(6)
    assert names(folder) == ["part-000000000000.parquet"]
    assert steps(folder) == [0, 3]


def test_the_clock_does_not_run_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 5"):
        writer(tmp_path, tick=5).flush(4)
