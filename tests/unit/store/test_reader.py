import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import observatory
from observatory.core.contracts import Masked
from observatory.core.errors import StoreError
from observatory.store import parts
from observatory.store.files import temporary_beside, write_json
from observatory.store.lock import own
from observatory.store.parts import frame_of, read_part
from observatory.store.reader import Run, Study
from observatory.store.rows import PROGRESS, SAID
from observatory.store.writer import ShardWriter, create_run, update_manifest


def fill(run: Run) -> None:
    """Two shards of two parts each; only replica 1 ends."""
    tables = {name: run.columns(name) for name in run.tables()}
    for shard, replicas in ((0, [2, 0]), (1, [1])):
        writer = ShardWriter(run.folder / "shards" / str(shard), run.run_id, tables, 0)
        for step in (0, 10):
            loss = torch.tensor([float("nan") if replica == 2 else step for replica in replicas])
            norms = torch.tensor([[float(replica), 1.0] for replica in replicas])
            values = {"loss": Masked(loss, torch.tensor(replicas) != 0), "norms": norms}
            writer.append("evaluation", replicas, [step] * len(replicas), values)
            writer.flush(step + 1)
        if shard == 1:
            ended = {"outcome": ["grokked"], "instant": np.array([True])}
            writer.append(
                "outcomes", [1], [10], {**ended, "diverged_step": None, "mem_lo": np.array([5.0])}
            )
            writer.flush(12)


def test_a_table_is_sorted_over_all_shards_and_parts(run: Run) -> None:
    fill(run)
    frame = run.table("evaluation")
    assert list(frame.columns) == ["run_id", "replica", "step", "loss", "norms"]
    assert list(frame["replica"]) == [0, 0, 1, 1, 2, 2]
    assert list(frame["step"]) == [0, 10] * 3
    assert set(frame["run_id"]) == {run.run_id}


def test_null_and_nan_stay_apart_in_a_frame(run: Run) -> None:
    fill(run)
    loss = run.table("evaluation")["loss"]
    assert list(loss.isna()) == [True, True, False, False, False, False]
    np.testing.assert_array_equal(loss.to_numpy(), [np.nan, np.nan, 0, 10, np.nan, np.nan])
    assert np.isnan(loss[5])


def test_lists_are_arrays(run: Run) -> None:
    fill(run)
    norms = run.table("evaluation", ["norms"])["norms"]
    np.testing.assert_array_equal(np.stack(list(norms)), [[r, 1.0] for r in (0, 0, 1, 1, 2, 2)])


def test_a_number_that_is_null_within_a_list_reads_as_nan(run: Run) -> None:
    writer = ShardWriter(
        run.folder / "shards/0", run.run_id, {"evaluation": run.columns("evaluation")}, 0
    )
    defined = torch.tensor([[True, False]])
    writer.append(
        "evaluation", [0], [0], {"loss": None, "norms": Masked(torch.ones(1, 2), defined)}
    )
    writer.flush(1)
    np.testing.assert_array_equal(run.table("evaluation")["norms"][0], [1.0, np.nan])
    assert run.arrow("evaluation")["norms"].to_pylist() == [[1.0, None]]


def test_columns_can_be_chosen(run: Run) -> None:
    fill(run)
    expected = ["run_id", "replica", "step", "loss"]
    assert list(run.table("evaluation", ["loss"]).columns) == expected
    assert list(run.table("evaluation", ["replica", "loss", "run_id"]).columns) == expected
    assert list(run.table("evaluation", ["norms", "loss"]).columns)[3:] == ["norms", "loss"]
    assert list(run.table("evaluation", []).columns) == expected[:3]


def test_rows_of_some_replicas_are_those_of_the_whole_table(run: Run) -> None:
    fill(run)
    whole, table = run.table("evaluation"), run.arrow("evaluation")
    assert len(whole) == 6
    for replicas in ([1], [2, 0], [0, 9], []):
        found = frame_of(table, replicas)
        parts = [whole[whole["replica"] == replica] for replica in replicas]
        assert found["replica"].tolist() == [r for part in parts for r in part["replica"]]
        assert found["step"].tolist() == [s for part in parts for s in part["step"]]
        assert found.dtypes.equals(whole.dtypes)


def test_dtypes_do_not_depend_on_the_rows(run: Run) -> None:
    empty = {name: run.table(name).dtypes.to_dict() for name in run.tables()}
    fill(run)
    assert {name: run.table(name).dtypes.to_dict() for name in run.tables()} == empty
    assert empty["evaluation"]["replica"] == np.dtype("int64")
    assert empty["outcomes"]["diverged_step"] == pd.Int64Dtype()
    assert empty["outcomes"]["instant"] == pd.BooleanDtype()
    assert len(run.table("probes/norm")) == 0


def test_outcomes_hold_every_replica(run: Run) -> None:
    before = run.outcomes()
    assert list(before["replica"]) == [0, 1, 2]
    assert before["outcome"].isna().all()
    assert before["step"].isna().all()
    fill(run)
    frame = run.outcomes()
    assert list(frame.columns) == [
        *("run_id", "replica", "shard", "seed", "weight_decay", "lr", "train_fraction"),
        *("step", "outcome", "instant", "diverged_step", "mem_lo"),
    ]
    assert list(frame["outcome"].isna()) == [True, False, True]
    ended = frame[frame["outcome"] == "grokked"].iloc[0]
    assert (ended["replica"], ended["seed"], ended["step"], ended["mem_lo"]) == (1, -6, 10, 5.0)
    assert ended["instant"]
    assert list(frame["diverged_step"].isna()) == [True] * 3


def test_a_replica_that_ended_twice_is_refused(run: Run) -> None:
    fill(run)
    (run.folder / "shards" / "7").mkdir()
    (run.folder / "shards/1/outcomes").rename(run.folder / "shards/7/outcomes")
    fill(run)
    with pytest.raises(StoreError, match=r"more than one outcome of the replicas \[1\]"):
        run.outcomes()


def test_unknown_tables_and_columns_list_the_known(run: Run) -> None:
    known = r"\['evaluation', 'outcomes', 'probes/norm'\]"
    with pytest.raises(StoreError, match=f"no table `probes/x`, only {known}"):
        run.table("probes/x")
    with pytest.raises(StoreError, match=r"no column \['acc'\], only \['loss', 'norms'\]"):
        run.table("evaluation", ["loss", "acc"])


def test_unfinished_files_are_not_seen(run: Run) -> None:
    fill(run)
    part = next(run.folder.glob("shards/0/evaluation/part-*"))
    temporary_beside(part).write_bytes(b"PAR1 half")
    shadow = temporary_beside(run.folder)
    shadow.mkdir()
    (shadow / "manifest.json").write_text("{")
    assert len(run.table("evaluation")) == 6
    assert [found.run_id for found in Study(run.folder.parents[1]).runs] == [run.run_id]


def test_a_part_that_is_replaced_meanwhile_is_no_damage(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(run)
    first, second = sorted(run.folder.glob("shards/0/evaluation/part-*"))

    def read_late(path: Path, schema: pa.Schema) -> pa.Table:
        if path == second:
            second.unlink(missing_ok=True)
        return read_part(path, schema)

    monkeypatch.setattr(parts, "read_part", read_late)
    assert list(run.table("evaluation")["step"]) == [0, 0, 10, 0]
    assert first.exists()


@pytest.mark.parametrize("keep", [0, 4, 100, -8])
def test_a_damaged_part_is_named(run: Run, keep: int) -> None:
    fill(run)
    part = sorted(run.folder.glob("shards/1/evaluation/part-*"))[1]
    part.write_bytes(part.read_bytes()[:keep])
    with pytest.raises(StoreError, match=rf"`{part}` is damaged.*intact"):
        run.table("evaluation")
    assert len(run.outcomes()) == 3


def test_a_flipped_bit_is_found(run: Run) -> None:
    columns = {"evaluation": run.columns("evaluation")}
    writer = ShardWriter(run.folder / "shards/0", run.run_id, columns, 0)
    loss = np.random.default_rng(0).normal(size=1000)
    writer.append("evaluation", np.arange(1000), np.zeros(1000, int), {"loss": loss, "norms": None})
    writer.flush(1)
    part = next(run.folder.glob("shards/0/evaluation/part-*"))
    content = bytearray(part.read_bytes())
    content[content.find(loss[500].tobytes())] ^= 1
    part.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        run.table("evaluation")


def test_a_part_of_another_table_is_named(run: Run) -> None:
    fill(run)
    source = next(run.folder.glob("shards/1/outcomes/part-*"))
    target = run.folder / "shards/1/evaluation/part-000000000099.parquet"
    target.write_bytes(source.read_bytes())
    with pytest.raises(StoreError, match=r"part-000000000099\.parquet.*columns"):
        run.table("evaluation")


def test_status(run: Run) -> None:
    assert run.status == "interrupted"
    with own(run.folder / "owner.lock"):
        assert run.status == "running"
    assert run.status == "interrupted"
    for status in ("failed", "done"):
        update_manifest(run.folder, status=status)
        assert run.status == status


def test_progress_is_ordered_by_shard(run: Run) -> None:
    assert run.progress() == []
    for shard in (10, 9, 0):
        said = {**dict.fromkeys(SAID, 0), "shard": shard}
        write_json(run.folder / "shards" / str(shard) / PROGRESS, said)
    assert [told["shard"] for told in run.progress()] == [0, 9, 10]


def test_what_lies_beside_the_shards_and_runs_is_passed_by(run: Run) -> None:
    fill(run)
    rows = len(run.arrow("evaluation"))
    for copy in ("x", "0 (copy)"):
        shutil.copytree(run.folder / "shards" / "0", run.folder / "shards" / copy)
        (run.folder / "shards" / copy / PROGRESS).write_text("{")
    (run.folder / "shards" / "notes.txt").write_text("mine")
    (run.folder.parent / "notes.txt").write_text("mine")
    (run.folder.parent / "old").mkdir()
    assert len(run.arrow("evaluation")) == rows > 0
    assert (run.progress(), run.status) == ([], "interrupted")
    assert [each.run_id for each in Study(run.folder.parents[1]).runs] == [run.run_id]


@pytest.mark.parametrize("said", [{}, [], 7, {"shard": 1}])
def test_a_progress_that_no_shard_wrote_is_refused(run: Run, said: Any) -> None:
    write_json(run.folder / "shards" / "0" / PROGRESS, said)
    with pytest.raises(StoreError, match="is not what shard 0 wrote of itself"):
        run.progress()


def test_a_study_lists_its_runs(
    run: Run, manifest: dict[str, Any], replicas: dict[str, Any]
) -> None:
    create_run(run.folder.parent / "000", {**manifest, "run_id": "000"}, replicas, "")
    study = Study(run.folder.parents[1])
    assert study.name == "study"
    assert [found.run_id for found in study.runs] == ["000", run.run_id]


def test_a_folder_without_runs_is_no_study(tmp_path: Path) -> None:
    (tmp_path / "empty" / "runs").mkdir(parents=True)
    for folder in (tmp_path / "missing", tmp_path, tmp_path / "empty"):
        with pytest.raises(StoreError, match="no study"):
            Study(folder)


def test_a_study_of_another_version_is_refused(run: Run) -> None:
    update_manifest(run.folder, schema_version=99)
    with pytest.raises(StoreError, match=f"`{run.run_id}` has `schema_version` 99"):
        Study(run.folder.parents[1])


@pytest.mark.parametrize("lacking", ["run_id", "tables", "status"])
def test_a_manifest_that_lacks_an_entry_is_named(run: Run, lacking: str) -> None:
    del run.manifest[lacking]
    (run.folder / "manifest.json").write_text(json.dumps(run.manifest))
    with pytest.raises(StoreError, match=rf"manifest.json.*lacks \['{lacking}'\]"):
        Run(run.folder)


def test_reading_needs_no_torch() -> None:
    code = "import sys, observatory.store.reader; sys.exit('torch' in sys.modules)"
    root = Path(observatory.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_one_network_is_a_series_by_step(run: Run) -> None:
    fill(run)
    series = run.replica(1).series("loss")
    assert (list(series.index), list(series)) == ([0, 10], [0.0, 10.0])
    assert run.replica(1).outcome["outcome"] == "grokked"
    assert set(run.replica(2).table("evaluation")["replica"]) == {2}
    assert "Replica 1 of run" in repr(run.replica(1))
    with pytest.raises(StoreError, match="Did you mean loss"):
        run.replica(1).series("los")
    with pytest.raises(StoreError, match="replicas 0 to 2, got 9"):
        run.replica(9)


def test_curves_of_a_study_are_one_table_for_other_programs(run: Run) -> None:
    fill(run)
    study = Study(run.folder.parents[1])
    curves = study.curves()
    assert {"seed", "weight_decay", "step", "loss"} <= set(curves.columns)
    assert len(curves) == 6
    again = pd.read_csv(io.StringIO(study.curves("loss").to_csv(index=False)))
    assert list(again["step"]) == [0, 10] * 3
    with pytest.raises(StoreError, match="records no `accuracy`"):
        study.curves("accuracy")


def test_a_study_and_a_run_print_themselves(run: Run) -> None:
    fill(run)
    assert repr(run) == f"Run {run.run_id}: 3 replicas, {run.status}"
    assert "1 run, 3 replicas (unfinished 2, grokked 1)" in repr(Study(run.folder.parents[1]))


def test_a_study_can_be_looked_at_in_part(
    run: Run, manifest: dict[str, Any], replicas: dict[str, Any]
) -> None:
    folder = run.folder.parents[1]
    create_run(
        folder / "runs" / (12 * "f"), {**manifest, "run_id": 12 * "f"}, replicas, "seed: 0\n"
    )
    study = Study(folder)
    part = study.only(12 * "f")
    assert [found.run_id for found in part.runs] == [12 * "f"]
    assert len(part.replicas()) == 3
    assert part.folder == study.folder
    assert [found.run_id for found in study.runs] == [run.run_id, 12 * "f"]
    for wrong in (("nope",), ()):
        with pytest.raises(StoreError, match=r"`run_ids` must be of \['0123456789ab'"):
            study.only(*wrong)
    with pytest.raises(AttributeError):
        study.runs = []  # pyright: ignore[reportAttributeAccessIssue]
