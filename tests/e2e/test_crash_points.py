"""Killed, or without power, at every write, sync and rename of a command: nothing done is lost.

A run that says that it is done has every row; whatever a crash left, the same command gives what an
undisturbed one gave, bit for bit.
"""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from observatory.bundle.export import export_study
from observatory.bundle.unpack import import_bundle
from observatory.launch import run as launching
from observatory.launch.compose import compose
from observatory.launch.run import launch
from observatory.mirror.mirror import default_settings, mirror
from observatory.pipeline import rebuild_report, refit
from observatory.store.files import TEMPORARY
from observatory.store.reader import Run
from observatory.sweeps.boundary import BoundarySearch, run_search
from observatory.sweeps.rule import Rule
from tests.crashes import distinct, recorded
from tests.typechecking import unchecked
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

pytestmark = pytest.mark.slow

RULE = Rule(
    "first99", 0.01, 1.0, 2, 6, 0.01, 6, 0.95, 0, "lower", "critical", None, 1, "boundary", 21
)
TINY = [
    *("experiment=smoke", "study=s", "modulus=7", "fleet.device=cpu", "fleet.size=2"),
    *("sweep.scientific.weight_decay=[1.0]", "sweep.nuisance.seed=[0,1,2]", "horizon_steps=8"),
    *("evaluation.every=2", "store.checkpoint_every=4", "store.progress_every=1e9"),
    *("probe=[weight_norm]", "probe.weight_norm.schedule.k=2", "fleet.probe_examples=4"),
]


@pytest.fixture(autouse=True)
def _without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of the code is asked of git in no time."""
    monkeypatch.setattr(launching, "code_state", lambda: ({"commit": None, "dirty": None}, ""))


def tiny(results: Path, *more: str) -> dict[str, Any]:
    return compose("map", [*TINY, *more, f"results={results}"])


def counts(content: str, bytes_: bytes | None) -> object:
    """What of a file can change what a command does next: neither times nor unfinished files."""
    name = Path(content).name
    if fnmatch(name, TEMPORARY) or ".tmp/" in content or name == "owner.lock":
        return None
    if bytes_ is None:
        return "folder"
    if name in ("progress.json", "manifest.json") and (said := _json(bytes_)) is not None:
        return json.dumps({k: said.get(k) for k in ("status", "tick", "rows")})
    return bytes_


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        return json.loads(content)
    except ValueError:
        return None


def all_rows(folder: Path) -> dict[str, pa.Table]:
    run = Run(folder)
    return {name: run.arrow(name) for name in run.tables()}


def as_counted(table: pa.Table) -> Counter[str]:
    return Counter(map(str, table.to_pylist()))


def test_what_a_command_has_made_outlives_the_machine(tmp_path: Path) -> None:
    with recorded(tmp_path) as recorder:
        folder = launch(tiny(tmp_path / "results"))
    whole = all_rows(folder)
    left = recorder.states[-1].put(tmp_path / "left") / folder.relative_to(tmp_path)
    assert recorder.states[-1].power
    assert all_rows(left) == whole
    assert Run(left).status == "done"


@pytest.mark.parametrize("earlier", [None, 4], ids=["from the start", "from a shorter horizon"])
def test_training_loses_no_row_and_doubles_none(tmp_path: Path, earlier: int | None) -> None:
    (tmp_path / "calm" / "results" / "s" / "runs").mkdir(parents=True)  # of an earlier run
    if earlier is not None:
        launch(tiny(tmp_path / "calm" / "results", f"horizon_steps={earlier}"))
    with recorded(tmp_path / "calm") as recorder:
        folder = launch(tiny(tmp_path / "calm" / "results"))
    whole = all_rows(folder)
    assert all(len(table) for table in whole.values())
    expected = {name: as_counted(table) for name, table in whole.items()}
    place = folder.relative_to(tmp_path / "calm")
    done = 0
    chosen = distinct(recorder.states, counts)
    for number, state in enumerate(chosen):
        root = state.put(tmp_path / str(number))
        if (root / place / "manifest.json").exists():
            found = all_rows(root / place)
            for name, table in found.items():
                assert not as_counted(table) - expected[name], f"{state.point}: {name} doubled"
            if json.loads((root / place / "manifest.json").read_text())["status"] == "done":
                done += 1
                assert found == whole, state.point
        with unchecked():  # of the same calls as before
            again = launch(tiny(root / "results"))
        assert again == root / place
        assert all_rows(again) == whole, f"{state.point}, power {state.power}"
        assert Run(again).status == "done"
    assert done


class Outcomes:
    """Trains nothing: what replicas end as is a function of their settings."""

    parallel = 1

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []

    def start(self, config: dict[str, Any]) -> Path:
        self.runs.append(config)
        return Path(str(len(self.runs) - 1))

    def ended(self) -> dict[Path, None]:
        return {Path(str(len(self.runs) - 1)): None}

    def outcomes(self, folder: Path) -> pd.DataFrame:
        sweep = self.runs[int(folder.name)]["sweep"]
        rows = [{name: values[0] for name, values in sweep["scientific"].items()}, *sweep["extra"]]
        frame = pd.DataFrame(rows)
        grokked = frame["weight_decay"] + 0.01 * frame["seed"] > 0.1
        found = {"first99_observed": grokked, "first99_hi": 250, "step": 300}
        return frame.assign(outcome=np.where(grokked, "grokked", "memorised"), **found)


def searched(folder: Path) -> list[object]:
    """Search to the end; every trial with its batch and value."""
    search = BoundarySearch(folder, RULE, {"task": {"p": 7}})
    trainer = Outcomes()
    config = {"horizon_steps": 1000, "sweep": {}}
    run_search(search, config, trainer, trainer.outcomes, lambda _: None)
    return [(t.params, t.value, t.user_attrs) for t in search.study.trials]


def test_a_search_asks_for_the_same_batches(tmp_path: Path) -> None:
    (tmp_path / "calm").mkdir()
    with recorded(tmp_path / "calm") as recorder:
        whole = searched(tmp_path / "calm" / "s")
    assert len(whole) == RULE.budget
    chosen = distinct(recorder.states, counts)
    for number, state in enumerate(chosen):
        root = state.put(tmp_path / str(number))
        assert searched(root / "s") == whole, state.point


def one_fit(results: Path) -> dict[str, Any]:
    fits = tiny(results)["fit"]
    return {name: fits[name] for name in ("study", "boundary_firth")}


def made(study: Path) -> dict[str, bytes]:
    """Every finished file of a study but those of its runs."""
    files = (path for path in study.rglob("*") if path.is_file() and path.name[0] != ".")
    named = {path.relative_to(study).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in named.items() if not name.startswith("runs/")}


def test_fits_and_pages_are_whole_or_not_there(tmp_path: Path) -> None:
    study = launch(tiny(tmp_path / "results")).parents[1]
    with recorded(tmp_path) as recorder:
        refit(study, one_fit(tmp_path))
        rebuild_report(study)
    whole = made(study)
    assert {"fits.json", "replicas.csv", "report.html"} < whole.keys()
    place = study.relative_to(tmp_path).as_posix() + "/"
    for state in recorder.states:
        for name, content in state.tree.items():
            inside = name.removeprefix(place)
            if inside != name and inside in whole and not state.point.endswith("half written"):
                assert content == whole[inside], f"{state.point}: {name}"
    left = recorder.states[-1].put(tmp_path / "left")
    assert made(left / place) == whole
    chosen = distinct(recorder.states, counts)
    for number, state in enumerate(chosen[:: len(chosen) // 2]):
        again = state.put(tmp_path / str(number)) / place
        with unchecked():
            refit(again, one_fit(tmp_path))
            rebuild_report(again)
        assert made(again) == whole, state.point


def test_a_bundle_and_an_imported_study_are_whole_or_not_there(tmp_path: Path) -> None:
    calm = tmp_path / "calm"
    study = launch(tiny(calm / "results")).parents[1]
    for name in ("s.tar", "s.folder"):
        with recorded(calm) as recorder:
            bundle = export_study(study, calm / "out" / name)
            imported = import_bundle(bundle, calm / f"imported_{name}")
        whole = {}
        for made_here in (bundle, imported):
            place = made_here.relative_to(calm).as_posix()
            whole |= {
                n: c for n, c in recorder.states[-2].tree.items() if f"{n}/".startswith(f"{place}/")
            }
            assert place in whole
        for state in recorder.states:
            for place in (bundle, imported):
                top = place.relative_to(calm).as_posix()
                if top in state.tree and not state.point.endswith("half written"):
                    expected = {n: c for n, c in whole.items() if f"{n}/".startswith(f"{top}/")}
                    assert state.tree.items() >= expected.items(), state.point
        assert recorder.states[-1].tree.items() >= whole.items()
        assert all_rows(imported / "runs" / next((imported / "runs").iterdir()).name)


def points(study: Path) -> list[tuple[Any, ...]]:
    """Every point and text that MLflow holds of a study's runs."""
    with closing(sqlite3.connect(study.parent / "mlflow.db")) as database:
        rows = database.execute(
            "SELECT name, key, step, value, m.timestamp FROM metrics m JOIN runs USING (run_uuid)"
        ).fetchall()
        params = "SELECT name, key, value FROM params JOIN runs USING (run_uuid)"
        return sorted(rows) + sorted(database.execute(params).fetchall())


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_a_mirror_is_completed_and_nothing_is_there_twice(tmp_path: Path) -> None:
    plan = Plan(study="s", weight_decays=(0.5, 1.0), n_seeds=1, horizon=100, probes=())
    study = fabricate_study(tmp_path / "calm", plan)
    with recorded(tmp_path / "calm") as recorder:

        def at_commit(_: object) -> None:
            recorder.note(f"{len(recorder.states)} commit")

        event.listen(Engine, "commit", at_commit)
        try:
            assert mirror(study, default_settings(study.parent)).error is None
        finally:
            event.remove(Engine, "commit", at_commit)
    whole = points(study)
    left = recorder.states[-1].put(tmp_path / "left") / "s"
    assert points(left) == whole
    chosen = distinct(recorder.states, counts)
    assert len(chosen) > 20
    for number, state in enumerate(chosen[:: len(chosen) // 8]):
        again = state.put(tmp_path / str(number)) / "s"
        assert mirror(again, default_settings(again.parent)).error is None
        assert points(again) == whole, state.point
