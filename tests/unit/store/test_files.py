import errno
import os
import time
from pathlib import Path

import pytest
import torch

from observatory.core.errors import StoreError
from observatory.store.files import (
    TEMPORARY,
    read_json,
    remove_if_older,
    sweep,
    temporary_beside,
    write_atomically,
    write_json,
    write_text,
)

WORDS = {
    errno.ENOSPC: "disk is full",
    errno.EDQUOT: "quota",
    errno.EFBIG: "size limit",
    errno.EROFS: "read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "not permitted",
    errno.EIO: os.strerror(errno.EIO),
}


def test_json_returns_as_it_was(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}
    write_json(tmp_path / "new" / "folder" / "x.json", value)
    assert read_json(tmp_path / "new" / "folder" / "x.json") == value


def test_writing_replaces_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "old")
    write_text(tmp_path / "x", "new")
    assert (tmp_path / "x").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_temporary_file_lies_beside_and_is_hidden(tmp_path: Path) -> None:
    seen: list[Path] = []
    write_atomically(tmp_path / "x", lambda path: seen.append(path) or path.touch())
    assert seen[0].parent == tmp_path
    assert seen[0].match(TEMPORARY)
    assert temporary_beside(tmp_path / "x") != temporary_beside(tmp_path / "x")


@pytest.mark.parametrize(("number", "words"), WORDS.items(), ids=map(errno.errorcode.get, WORDS))
def test_a_refusal_says_what_failed_and_what_to_do(tmp_path: Path, number: int, words: str) -> None:
    write_text(tmp_path / "x", "old")

    def write(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError(number, os.strerror(number))

    with pytest.raises(StoreError, match=f"`.*x`.*{words}.*intact") as refused:
        write_atomically(tmp_path / "x", write)
    assert isinstance(refused.value.__cause__, OSError)
    assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_the_reason_is_found_behind_a_librarys_error(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        with open("/dev/full", "wb") as file:
            torch.save({"x": torch.zeros(100_000)}, file)

    with pytest.raises(StoreError, match="disk is full"):
        write_atomically(tmp_path / "x.pt", write)
    assert not list(tmp_path.iterdir())


def test_a_mistake_stays_itself_and_leaves_nothing(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.touch()
        raise KeyError("mine")

    with pytest.raises(KeyError):
        write_atomically(tmp_path / "x", write)
    assert not list(tmp_path.iterdir())


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


def test_damaged_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1')
    with pytest.raises(StoreError, match=r"x\.json.*not the JSON"):
        read_json(tmp_path / "x.json")


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"Could not read `.*x\.json`: No such file"):
        read_json(tmp_path / "x.json")


def test_sweeping_removes_unfinished_files_only(tmp_path: Path) -> None:
    deep = tmp_path / "probes" / "norm"
    deep.mkdir(parents=True)
    kept = [tmp_path / "x", tmp_path / ".hidden", deep / "part-000000000000.parquet"]
    for path in (*kept, temporary_beside(kept[0]), temporary_beside(kept[2])):
        path.touch()
    (temporary_beside(tmp_path / "y")).mkdir()
    sweep(tmp_path, recursive=False)
    assert len(list(deep.iterdir())) == 2
    sweep(tmp_path, recursive=True)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
    sweep(tmp_path / "missing", recursive=True)


def test_what_is_young_stays(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    remove_if_older(tmp_path / "x", 3600)
    assert (tmp_path / "x").exists()
    hours_ago = time.time() - 7200
    os.utime(tmp_path / "x", (hours_ago, hours_ago))
    remove_if_older(tmp_path / "x", 3600)
    assert not (tmp_path / "x").exists()
    remove_if_older(tmp_path / "x", 3600)
