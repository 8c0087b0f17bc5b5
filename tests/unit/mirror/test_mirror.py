"""The mirror: right numbers, nothing twice, whatever happens in between; never an exception."""

import json
import multiprocessing
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from observatory.core.errors import ConfigError
from observatory.mirror import experiment as mlflow_experiment
from observatory.mirror.cells import flattened, legal
from observatory.mirror.mirror import (
    MirrorSummary,
    default_settings,
    mirror,
    mlflow_settings,
)
from observatory.mirror.view import CROWD, VIEW_TAG, view_state
from observatory.store.files import read_json, write_json
from observatory.store.reader import Study
from observatory.store.writer import update_manifest
from tests.postgres import serving
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

pytestmark = [  # MLflow 3.17 under SQLAlchemy 2.1
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]
PLAN = Plan(
    study="small",
    weight_decays=(0.0, 0.5, 10.0),
    n_seeds=3,
    horizon=1000,
    probes=("weight_norm",),
    diverged=1,
)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished study, and a database with its schema made: that alone takes seconds."""
    study = fabricate_study(tmp_path_factory.mktemp("results"), PLAN)
    from mlflow import MlflowClient

    database = study.parent / "empty.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return study, database


@pytest.fixture
def study(template: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the study whose results folder has a database with a schema."""
    shutil.copytree(template[0], tmp_path / "small")
    shutil.copy(template[1], tmp_path / "mlflow.db")
    return tmp_path / "small"


def bring(study: Path, **changes: object) -> MirrorSummary:
    summary = mirror(study, replace(default_settings(study.parent), **changes))
    assert summary.error is None
    return summary


def rows(results: Path, database: str = "mlflow.db") -> pd.DataFrame:
    """Every point of every run that is not deleted, by the names of the runs."""
    with sqlite3.connect(results / database) as connection:
        return pd.read_sql(
            "select name, key, step, value, m.timestamp from metrics m "
            "join runs r on m.run_uuid = r.run_uuid where r.lifecycle_stage = 'active' "
            "order by name, key, step",
            connection,
        )


def runs(study: Path, experiment: str = "small") -> dict[str, object]:
    from mlflow import MlflowClient

    client = MlflowClient(default_settings(study.parent).tracking_uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return {run.info.run_name: run for run in client.search_runs([found.experiment_id])}


def cut(whole: Path, study: Path, step: int) -> None:
    """Replace the study's tables by what was on disk when every replica was at `step`."""
    for part in whole.glob("runs/*/shards/*/**/*.parquet"):
        table = pq.read_table(part)
        target = study / part.relative_to(whole)
        pq.write_table(table.filter(pc.less_equal(table["step"], step)), target)
    for manifest in study.glob("runs/*/manifest.json"):
        write_json(manifest, {**read_json(manifest), "status": "running", "finished": None})


@pytest.mark.slow
def test_numbers_are_those_of_the_store(study: Path) -> None:
    summary = bring(study)
    assert summary.complete
    assert summary.runs_added == 4  # three cells and the study's own
    points = rows(study.parent)
    assert summary.points_added == sum(~points["key"].str.match("rate|t_|cell"))
    run = Study(study).runs[0]
    outcomes = run.outcomes()
    members = outcomes[outcomes["weight_decay"] == 0.5]["replica"]
    table = run.table("evaluation")
    table = table[table["replica"].isin(members)]
    last = table.groupby("replica").tail(1)["val_acc"].to_numpy(dtype=float)
    mine = points[points["name"] == "wd=0.5"].set_index(["key", "step"])["value"]
    end = int(table["step"].max())
    assert mine["val/acc", end] == pytest.approx(np.median(last), abs=1e-15)
    assert mine["val/acc_q25", end] == pytest.approx(np.quantile(last, 0.25), abs=1e-15)
    start = table[table["step"] == 0]["train_loss"].to_numpy(dtype=float)
    assert mine["train/loss", 0] == pytest.approx(np.median(start), abs=1e-15)
    known = outcomes[outcomes["weight_decay"] == 0.5]
    assert mine["rate/grokked", 0] == (known["outcome"] == "grokked").mean()
    assert mine["rate/first99", 0] == known["outcome"].isin(["grokked", "lost"]).mean()
    times = np.where(known["first99_observed"], known["first99_hi"].astype(float), np.inf)
    assert mine["t_grok/first99", 0] == np.sort(times)[1]
    worst = points[points["name"] == "wd=10"].set_index("key")["value"]
    assert worst["rate/diverged"] == pytest.approx(1 / 3, abs=1e-15)
    assert "t_grok/first99" not in worst.index
    assert np.isfinite(points["value"]).all()


@pytest.mark.slow
def test_a_reader_finds_description_tags_params_and_the_view(study: Path) -> None:
    bring(study)
    found = runs(study)
    assert list(found) == ["wd=0", "wd=0.5", "wd=10", "study small"]  # as the table shows them
    run = found["wd=0.5"]
    assert run.info.status == "FINISHED"
    assert run.data.params["weight_decay"] == "0.5"
    assert run.data.params["task.p"] == "31"
    assert run.data.tags["outcomes"] == "3 grokked"
    wanted = {"study", "run_id", "git_sha", "dirty", "host", "status", "config_hash", "experiment"}
    assert wanted <= set(run.data.tags)
    from mlflow import MlflowClient

    client = MlflowClient(default_settings(study.parent).tracking_uri)
    tags = client.get_experiment_by_name("small").tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert "| wd=0.5 | 3 of 3 finished | 3 grokked |" in tags["mlflow.note.content"]
    assert found["study small"].info.run_id in tags["mlflow.note.content"]
    assert set(json.loads(tags[VIEW_TAG])) == {"name", "createdAt", "updatedAt", "state"}
    assert len(tags[VIEW_TAG]) < 20_000
    artifacts = client.list_artifacts(found["study small"].info.run_id, "runs/0123456789ab")
    assert {Path(a.path).name for a in artifacts} >= {"manifest.json", "config.yaml"}


@pytest.mark.slow
def test_a_second_call_changes_nothing(study: Path) -> None:
    bring(study)
    before = (study.parent / "mlflow.db").read_bytes()
    again = bring(study)
    assert (again.runs_added, again.points_added, again.complete) == (0, 0, True)
    assert (study.parent / "mlflow.db").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("granularity", ["cell", "replica"])
def test_a_live_study_ends_with_the_same_rows_as_one_mirrored_once(
    template: tuple[Path, Path], study: Path, granularity: str
) -> None:
    added = []
    for step in (100, 475, 700, 700):
        cut(template[0], study, step)
        summary = bring(study, granularity=granularity)
        assert not summary.complete
        added.append(summary.points_added)
    assert added[0] > 0
    assert added[1] > 0
    assert added[3] == 0
    shutil.rmtree(study)
    shutil.copytree(template[0], study)
    assert bring(study, granularity=granularity).complete
    grown = rows(study.parent)
    assert not grown.duplicated(["name", "key", "step"]).any()
    shutil.copy(template[1], study.parent / "other.db")
    uri = f"sqlite:///{study.parent / 'other.db'}"
    bring(study, granularity=granularity, tracking_uri=uri)
    once = rows(study.parent, "other.db")
    pd.testing.assert_frame_equal(grown, once)


@pytest.mark.slow
def test_replicas_have_runs_of_their_own_in_another_experiment(study: Path) -> None:
    bring(study)
    assert bring(study, granularity="replica").runs_added == 10
    found = runs(study, "small (replicas)")
    assert {"wd=0.5 seed=2", "study small"} <= set(found)
    assert not [key for key in found["wd=0.5 seed=2"].data.metrics if key.endswith("_q25")]
    assert len(runs(study)) == 4


@pytest.mark.slow
def test_a_call_that_died_half_way_is_completed_without_a_row_twice(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mlflow_experiment.MlflowExperiment.log_points
    calls = []

    def dying(self: mlflow_experiment.MlflowExperiment, *args: object) -> None:
        calls.append(args)
        real(self, *args)
        if len(calls) == 5:
            raise RuntimeError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(mlflow_experiment.MlflowExperiment, "log_points", dying)
        summary = mirror(study, default_settings(study.parent))
    assert "the power went" in str(summary.error)
    assert len(rows(study.parent)) > 0
    assert bring(study).complete
    points = rows(study.parent)
    assert not points.duplicated(["name", "key", "step"]).any()
    assert len(runs(study)) == 4


@pytest.mark.slow
def test_two_at_once_on_a_new_database_do_not_race(
    template: tuple[Path, Path], tmp_path: Path
) -> None:
    study = tmp_path / "small"
    shutil.copytree(template[0], study)
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        both = pool.starmap(mirror, [(study, default_settings(tmp_path))] * 2)
    assert [summary.error for summary in both] == [None, None]
    assert sorted(summary.runs_added for summary in both) == [0, 4]
    assert not rows(tmp_path).duplicated(["name", "key", "step"]).any()


def fits(value: float) -> dict[str, object]:
    params = {"critical": {"value": value, "se": None, "ci_low": 0.05, "ci_high": None}}
    entry = {
        "fit": "boundary",
        "estimator": "mle",
        "event": "first99",
        "params": params,
        "n": 9,
        "warnings": ["beware"],
        "refused": None,
    }
    refused = {**entry, "fit": "other", "params": {}, "refused": "no data", "horizon_steps": 1000}
    at = [{**entry, "horizon_steps": horizon} for horizon in (500, 1000)]
    return {"schema_version": 1, "fits": [*at, refused]}


@pytest.mark.slow
def test_a_new_fit_takes_the_place_of_the_old_one(study: Path) -> None:
    bring(study)
    (study / "report.html").write_text("<p>first</p>")
    for value in (0.1, 0.2):
        write_json(study / "fits.json", fits(value))
        bring(study)
        points = rows(study.parent)
        found = points[points["key"] == "boundary/critical.mle.first99"]
        assert found[["step", "value"]].to_numpy().tolist() == [[500, value], [1000, value]]
    note = runs(study)["study small"].data.tags["mlflow.note.content"]
    assert "no data" in note
    assert "beware" in note
    (study / "report.html").write_text("<p>second</p>")
    bring(study)
    own = runs(study)["study small"]
    from mlflow import MlflowClient

    client = MlflowClient(default_settings(study.parent).tracking_uri)
    shown = client.download_artifacts(own.info.run_id, "report.html", str(study.parent))
    assert Path(shown).read_text() == "<p>second</p>"


@pytest.mark.slow
def test_what_the_user_deleted_stays_deleted(study: Path) -> None:
    bring(study)
    from mlflow import MlflowClient

    client = MlflowClient(default_settings(study.parent).tracking_uri)
    client.delete_run(runs(study)["wd=10"].info.run_id)
    assert bring(study).runs_added == 0
    assert "wd=10" not in runs(study)
    client.delete_experiment(client.get_experiment_by_name("small").experiment_id)
    summary = mirror(study, default_settings(study.parent))
    assert "was deleted there. Restore it" in str(summary.error)


def test_a_server_that_is_away_is_told_quickly_and_never_raised(
    study: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for uri in (f"http://127.0.0.1:{port}", f"postgresql://me:secret@127.0.0.1:{port}/db"):
        summary = mirror(study, replace(default_settings(study.parent), tracking_uri=uri))
        assert "does not answer" in str(summary.error)
        assert "secret" not in repr(summary)
    assert caplog.records == []  # who calls says it, once


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("file:///tmp/mlruns", "MLflow 3 has no file store"),
        ("sqlite:////dev/null/x.db", "cannot be"),
    ],
)
def test_a_place_that_cannot_be_written_is_told(study: Path, uri: str, told: str) -> None:
    summary = mirror(study, replace(default_settings(study.parent), tracking_uri=uri))
    assert told in str(summary.error)
    assert "The run store is as it was" in str(summary.error)


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    assert "is no study" in str(mirror(tmp_path, default_settings(tmp_path)).error)


@pytest.mark.parametrize(
    ("change", "told"), [({"granularity": "seed"}, "granularity"), ({"points": 1}, "points")]
)
def test_bad_settings_are_refused(tmp_path: Path, change: dict[str, object], told: str) -> None:
    plain = {**vars(default_settings(tmp_path)), **change}
    with pytest.raises(ConfigError, match=told):
        mlflow_settings(plain, tmp_path)


def test_settings_of_a_server_leave_the_artifacts_to_it(tmp_path: Path) -> None:
    plain = {**vars(default_settings(tmp_path)), "artifacts": None}
    assert default_settings(tmp_path).artifacts == (tmp_path / "mlartifacts").as_uri()
    server = mlflow_settings({**plain, "tracking_uri": "http://host:5000"}, tmp_path)
    assert server.artifacts is None


def test_params_fit_into_mlflow() -> None:
    made = flattened({"a[0]+": {"b" * 300: "x" * 7000}, "none": None, "flag": True})
    assert made["none"] == "null"
    assert made["flag"] == "true"
    name, value = next((n, v) for n, v in made.items() if n.startswith("a"))
    assert len(name) == 250
    assert len(value) == 6000
    assert value.endswith("…")
    assert legal(name) == name


def test_the_view_draws_what_there_is_and_no_more() -> None:
    keys = {"val/acc", "val/acc_q25", "val/acc_q75", "rate/first99", "act/ratio.layer0", "new/x"}
    state = view_state({*keys, "act/ratio.layer1"}, 11)
    shown = {c["metricKey"]: c for c in state["compareRunCharts"] if not c["deleted"]}
    assert set(shown) == {"val/acc", "rate/first99", "act/ratio.layer0", "new/x"}
    assert shown["val/acc"]["selectedMetricKeys"] == ["val/acc", "val/acc_q25", "val/acc_q75"]
    assert shown["act/ratio.layer0"]["selectedMetricKeys"][1:] == ["act/ratio.layer1"]
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in shown.values()} <= sections


@pytest.mark.slow
def test_many_cells_have_dots_for_bars_and_medians_alone(tmp_path: Path, study: Path) -> None:
    decays = (0.0, *np.geomspace(0.01, 10, CROWD).round(3).tolist())
    plan = replace(PLAN, study="crowd", weight_decays=decays, n_seeds=1, probes=(), horizon=100)
    bring(fabricate_study(tmp_path, plan))
    keys = set(rows(tmp_path)["key"])
    assert {"val/acc", "cell/log10_weight_decay"} <= keys
    assert not [key for key in keys if key.startswith("val/") and key.endswith("_q25")]
    note = runs(tmp_path / "crowd", "crowd")["wd=10"].data.tags["mlflow.note.content"]
    assert "without its quartiles" in note
    kinds = {
        n: [c["type"] for c in view_state(keys, n)["compareRunCharts"] if not c["deleted"]]
        for n in (CROWD, CROWD + 1)
    }
    assert [kinds[n].count("BAR") for n in kinds] == [3, 0]
    assert [kinds[n].count("SCATTER") for n in kinds] == [2, 4]


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URI of a PostgreSQL of its own, where the programs for one are installed."""
    with serving() as uri:
        yield uri


@pytest.mark.slow
def test_postgresql_takes_the_same_study(study: Path, postgres: str) -> None:
    first = bring(study, tracking_uri=postgres)
    assert first.complete
    again = bring(study, tracking_uri=postgres)
    assert (again.runs_added, again.points_added) == (0, 0)
    assert bring(study).points_added == first.points_added


def test_passwords_that_an_older_manifest_holds_are_not_mirrored(study: Path) -> None:
    (run,) = (study / "runs").iterdir()
    address = "postgresql://me:s3cr3t@host/db?token=s3cr3t"
    config = {**read_json(run / "manifest.json")["config"], "mlflow": {"tracking_uri": address}}
    command = f"observatory map mlflow.tracking_uri={address}"
    update_manifest(run, config=config, command=command)
    (run / "config.yaml").write_text(f"mlflow: {{tracking_uri: '{address}'}}\n")
    assert mirror(study, default_settings(study.parent)).error is None
    shown = [study.parent / "mlflow.db", *(study.parent / "mlartifacts").rglob("*")]
    written = b"".join(path.read_bytes() for path in shown if path.is_file())
    assert b"postgresql://me:***@host" in written
    assert b"s3cr3t" not in written


def test_no_message_of_the_mirror_holds_a_password(study: Path) -> None:
    for address in ("postgresql://me:s3cr3t/x@127.0.0.1:1/db", "nosuch://me:s3cr3t@host/db"):
        summary = mirror(study, default_settings(study.parent, address))
        assert summary.error is not None
        assert "s3cr3t" not in repr(summary)
