import numpy as np
import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.tasks.cayley import CayleyTable

Z3 = [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
LOOP = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]


def task(table=None, path=None, group=False) -> CayleyTable:
    return CayleyTable(
        table=table, path=None if path is None else str(path), group=group, random_labels=False
    )


def test_answers_are_read_off_the_table_wherever_it_is_from(tmp_path) -> None:
    np.save(tmp_path / "loop.npy", np.array(LOOP))
    np.savetxt(tmp_path / "loop.csv", np.array(LOOP), fmt="%d", delimiter=",")
    for given in (
        task(table=LOOP), task(path=tmp_path / "loop.npy"), task(path=tmp_path / "loop.csv")
    ):  # fmt: skip
        labels = given.labels(torch.Generator()).tolist()
        assert given.n_symbols == given.n_classes == 5
        for (x, y), answer in zip(given.inputs().tolist(), labels, strict=True):
            assert answer == LOOP[x][y]


def test_a_group_is_verified_where_claimed_and_only_there() -> None:
    claimed = task(table=Z3, group=True).group
    assert claimed is not None
    assert claimed.inverses.tolist() == [0, 2, 1]
    assert task(table=LOOP).group is None
    with pytest.raises(ConfigError, match=r"must be associative, got \(1 \* 1\) \* 2 = 2 but"):
        task(table=LOOP, group=True)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1], [1, 0], [0, 1]], "must be square .* got 3 rows of lengths \\[2\\]"),
        ([[0, 1], [1]], "must be square .* lengths \\[1, 2\\]"),
        ([0, 1], "must be square .* lengths \\[1\\]"),
        ([[0]], "2 rows at least"),
        ([[0, 1], [1, 2]], "must hold elements 0..1, got 1 \\* 1 = 2"),
        ([[0, -1], [1, 0]], "must hold elements 0..1, got 0 \\* 1 = -1"),
        ([[0, 1], [1, 0.5]], "must hold integers, got 0.5 in row 1, column 1"),
    ],
)
def test_bad_tables_are_refused(rows, message) -> None:
    with pytest.raises(ConfigError, match=f"`table` {message}" if message[0] == "m" else message):
        task(table=rows)


def test_bad_files_are_refused(tmp_path) -> None:
    (tmp_path / "words.csv").write_text("a,b\nc,d\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "broken.npy").write_text("no array")
    np.save(tmp_path / "real.npy", np.eye(3))
    for name, message in {
        "missing.csv": "must be a file that can be read, got .*missing.csv",
        "table.txt": "must end in .csv or .npy",
        "words.csv": "must hold a table of integers, got .*words.csv",
        "broken.npy": "must hold a table of integers, got .*broken.npy",
        "real.npy": "must hold a table of integers, got .*float64",
        "empty.csv": "must be square .* got 0 rows",
    }.items():
        with pytest.raises(ConfigError, match=message):
            task(path=tmp_path / name)


def test_a_table_and_a_file_at_once_or_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="got neither"):
        task()
    with pytest.raises(ConfigError, match="got both"):
        task(table=Z3, path="table.csv")
