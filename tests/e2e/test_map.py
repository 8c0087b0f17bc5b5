"""From nothing to the report by the command line, on four networks and a hundred steps."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from observatory.cli import main as cli
from tests.typechecking import unchecked

TINY = [
    "task.p=11", "model.d_model=16", "model.d_mlp=16", "horizon_steps=100", "evaluation.every=20",
    "+sweep.scientific.weight_decay=[0.0,1.0]", "+sweep.nuisance.seed=[0,1]", "study=tiny",
    "fit.study.n_bootstrap=50", "fleet.shards=1",
]  # fmt: skip


def observatory(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "observatory.cli", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The same in this process, which has imported already what the verb needs."""

    def run(*arguments: str, code: int = 0) -> str:
        with unchecked():
            assert cli.run([*arguments]) == code
        printed = capsys.readouterr()
        return printed.out if code == 0 else printed.err

    return run


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    printed = observatory("map", *TINY, f"results={results}")
    assert printed.strip() == str(results / "tiny" / "report.html")
    return results


@pytest.mark.slow
def test_map_leaves_what_it_promises(results: Path) -> None:
    study = results / "tiny"
    assert "<svg" in (study / "report.html").read_text()
    records = json.loads((study / "fits.json").read_text())
    assert records["schema_version"] == 2
    with (study / "replicas.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert {row["outcome"] for row in rows} <= {"memorised", "grokked", "lost", "none", "collapsed"}
    assert (results / "mlflow.db").exists()


@pytest.mark.slow
def test_a_second_map_trains_nothing_and_status_fit_and_report_read_the_store(
    results: Path, here: Callable[..., str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (results / "tiny").rglob("*")}
    code = (
        "import sys; from observatory.cli.main import run\n"
        "assert run(sys.argv[1:]) == 0\n"
        "heavy = {'torch', 'lightning', 'mlflow', 'statsmodels', 'matplotlib'}\n"
        "print(*(set(sys.modules) & heavy), sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "map", *TINY, f"results={results}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "was finished before: nothing was trained" in done.stderr
    assert "replica-steps" not in done.stderr
    assert done.stdout.splitlines()[-1] == ""
    assert {path: path.stat().st_mtime_ns for path in (results / "tiny").rglob("*")} == before
    (record,) = json.loads(here("status", str(results / "tiny"), "--json"))
    assert (record["status"], record["finished"], record["alive"]) == ("done", 4, 0)
    # One positive weight decay cannot hold a boundary: the fit says so and exits with 3.
    assert "at least two weight decays" in here("fit", str(results / "tiny"), code=3)
    (results / "tiny" / "report.html").unlink()
    here("report", str(results / "tiny"))
    assert (results / "tiny" / "report.html").exists()


@pytest.mark.slow
def test_a_study_travels_as_a_bundle(
    results: Path, tmp_path: Path, here: Callable[..., str]
) -> None:
    bundle, there = tmp_path / "tiny.tar.gz", str(tmp_path / "there")
    printed = here("export", str(results / "tiny"), "--out", str(bundle))
    assert printed.strip() == str(bundle)
    study = Path(here("import", str(bundle), "--results", there).strip())
    assert study == tmp_path / "there" / "tiny"
    for file in study.rglob("*"):
        if file.suffix in (".html", ".json", ".yaml", ".md", ".csv", ".svg"):
            assert str(results) not in file.read_text(), file
    (record,) = json.loads(here("status", str(study), "--json"))
    assert (record["status"], record["finished"], record["alive"]) == ("done", 4, 0)
    assert (study / "imported" / "report.html").is_file()  # what a stranger made is kept apart
    assert not (study / "report.html").exists()
    here("report", str(study))  # fitted anew, then drawn
    assert "host redacted;" in (study / "report.html").read_text()
    assert "not overwritten" in here("import", str(bundle), "--results", there, code=2)


@pytest.mark.slow
def test_multirun_is_hydras_own(tmp_path: Path) -> None:
    observatory("train", "-m", *TINY, f"results={tmp_path}", "optimizer.lr=0.003,0.01")
    assert len(list((tmp_path / "tiny" / "runs").iterdir())) == 2
    assert (tmp_path / "tiny" / "hydra" / "multirun.yaml").exists()


@pytest.mark.slow
def test_the_configuration_prints_without_running(tmp_path: Path) -> None:
    printed = observatory("train", *TINY, f"results={tmp_path}", "--cfg", "job")
    assert "horizon_steps: 100" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_arm_is_a_group_beside_the_base(tmp_path: Path, here: Callable[..., str]) -> None:
    tiny = [*TINY, f"results={tmp_path}", "arms.an_mlp={model: mlp}"]
    tiny += ["compare.lr_factors=[3.0]", "match=parameters"]
    done = subprocess.run(
        [sys.executable, "-m", "observatory.cli", "compare", *tiny],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(tmp_path / "tiny" / "report.html")
    assert "an_mlp: model = mlp, " in done.stderr
    assert "an_mlp: 0 of 2 at lr 0.01, 0 of 2 at lr 0.03. No other has" in done.stderr
    records = json.loads((tmp_path / "tiny" / "fits.json").read_text())["fits"]
    groups = dict.fromkeys(r["study_group"] for r in records if r["study_group"])
    assert list(groups) == ["base", "an_mlp"]
    page = (tmp_path / "tiny" / "report.html").read_text()
    assert "an_mlp: model = mlp, " in page
    again = here("compare", *tiny)
    assert again == done.stdout


@pytest.mark.slow
def test_a_folder_without_a_study_is_refused(tmp_path: Path, here: Callable[..., str]) -> None:
    for verb in ("status", "fit", "report"):
        assert str(tmp_path) in here(verb, str(tmp_path), code=2)


VERBS = (
    *("map", "compare", "train", "plan"),
    "fit",
    "report",
    "browse",
    "status",
    "doctor",
    "export",
    "import",
)


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_examples_and_is_quick_to_import(verb: str) -> None:
    code = (
        "import sys; from observatory.cli import main as cli\n"
        "try: cli.run([sys.argv[1], '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'lightning', 'mlflow', 'statsmodels', 'hydra'}\n"
        "print(*(set(sys.modules) & heavy), sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, verb], capture_output=True, text=True, check=True
    )
    assert "examples:" in done.stdout
    assert f"observatory {verb}" in done.stdout
    assert done.stdout.splitlines()[-1] == ""
