import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from observatory.core.errors import StoreError
from observatory.store.files import read_json, temporary_beside
from observatory.store.reader import Run
from observatory.store.writer import ShardWriter, create_run, update_manifest


def test_a_new_run_is_whole(run: Run, manifest: dict[str, Any]) -> None:
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "config.yaml",
        "manifest.json",
        "replicas.parquet",
    ]
    assert run.manifest == manifest
    assert (run.folder / "config.yaml").read_text() == "seed: 0\n"
    field = pq.read_schema(run.folder / "replicas.parquet").field("seed")
    assert field.metadata[b"meaning"]
    assert not field.nullable
    assert [path.name for path in run.folder.parent.iterdir()] == [run.run_id]


def test_the_code_diff_is_kept(
    tmp_path: Path, manifest: dict[str, Any], replicas: dict[str, Any]
) -> None:
    folder = tmp_path / "runs" / manifest["run_id"]
    made = create_run(folder, manifest, replicas, "", code_diff="- a\n+ b\n")
    assert (made.folder / "code.diff").read_text() == "- a\n+ b\n"


def test_a_run_that_exists_is_returned_untouched(
    run: Run, manifest: dict[str, Any], replicas: dict[str, Any]
) -> None:
    update_manifest(run.folder, status="done")
    again = create_run(run.folder, manifest, {**replicas, "seed": [1, 2, 3]}, "other: 1\n")
    assert again.status == "done"
    assert (run.folder / "config.yaml").read_text() == "seed: 0\n"
    assert sorted(again.replicas()["seed"]) == [-6, 5, 7]


def test_another_version_or_identity_is_refused(
    run: Run, manifest: dict[str, Any], replicas: dict[str, Any]
) -> None:
    with pytest.raises(StoreError, match="another identity"):
        create_run(run.folder, {**manifest, "identity": "f" * 64}, replicas, "")
    update_manifest(run.folder, schema_version=2)
    with pytest.raises(StoreError, match="schema_version"):
        create_run(run.folder, manifest, replicas, "")


def test_replicas_may_be_a_table_that_names_the_run(
    tmp_path: Path, manifest: dict[str, Any], replicas: dict[str, Any]
) -> None:
    table = pa.table({**replicas, "run_id": [manifest["run_id"]] * 3})
    frame = create_run(tmp_path / manifest["run_id"], manifest, table, "").replicas()
    assert list(frame["run_id"]) == [manifest["run_id"]] * 3
    assert list(frame["replica"]) == [0, 1, 2]
    assert list(frame["train_fraction"]) == [0.4, 0.5, 0.3]


def test_a_replica_table_without_its_columns_is_refused(
    tmp_path: Path, manifest: dict[str, Any], replicas: dict[str, Any]
) -> None:
    del replicas["seed"]
    with pytest.raises(StoreError, match=r"lacks \['seed'\]"):
        create_run(tmp_path / manifest["run_id"], manifest, replicas, "")
    assert not list(tmp_path.iterdir())


def test_a_run_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, manifest: dict[str, Any], replicas: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="JSON"):
        create_run(tmp_path / manifest["run_id"], {**manifest, "cost": float("nan")}, replicas, "")
    assert not list(tmp_path.iterdir())


def test_an_abandoned_creation_is_removed_a_young_one_not(
    tmp_path: Path, manifest: dict[str, Any], replicas: dict[str, Any]
) -> None:
    folder = tmp_path / manifest["run_id"]
    old, young = temporary_beside(folder), temporary_beside(folder)
    for left in (old, young):
        left.mkdir()
        (left / "manifest.json").touch()
    os.utime(old, (0, 0))
    create_run(folder, manifest, replicas, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([folder.name, young.name])


def test_the_manifest_is_updated_by_entry(run: Run, manifest: dict[str, Any]) -> None:
    update_manifest(run.folder, status="done", cost={"wall_s": 1.5})
    expected = {**manifest, "status": "done", "cost": {"wall_s": 1.5}}
    assert read_json(run.folder / "manifest.json") == expected


def test_a_shard_sweeps_what_a_dead_writer_left(tmp_path: Path) -> None:
    part = tmp_path / "probes" / "norm" / "part-000000000000.parquet"
    part.parent.mkdir(parents=True)
    unfinished = temporary_beside(part)
    unfinished.write_bytes(b"PAR1")
    ShardWriter(tmp_path, "run", {}, 0)
    assert not unfinished.exists()


def test_an_unknown_table_lists_the_known(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "run", {"evaluation": ()}, 0)
    with pytest.raises(StoreError, match=r"`probes/x`, only \['evaluation'\]"):
        writer.append("probes/x", [0], [0], {})
