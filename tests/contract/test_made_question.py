"""A question is one folder and its YAML: a made-up one gets a command, help, a page and all."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import observatory
import observatory.analysis
from observatory.analysis.fit.questions import questions
from observatory.analysis.fit.settings import fit_nodes
from observatory.analysis.fit.study import fit_study, write_fits
from observatory.analysis.report.build import build_report
from observatory.cli.main import run
from observatory.store.reader import Study
from tests.unit.analysis.report.fabricate import Plan, fabricate_study, published

MADE = Path(__file__).parent / "made_question"
CONF = MADE / "conf"
COUNTS = pd.DataFrame(
    {"weight_decay": [0.01, 0.03, 0.1, 0.3, 1.0], "n": 20, "n_grokked": [1, 4, 11, 17, 20]}
)


@pytest.fixture(autouse=True)
def hill(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its folder stands among those of `analysis/`."""
    places = [*observatory.analysis.__path__, str(MADE / "analysis")]
    monkeypatch.setattr(observatory.analysis, "__path__", places)
    questions.cache_clear()
    yield
    questions.cache_clear()


@pytest.fixture
def table(tmp_path: Path) -> str:
    COUNTS.to_csv(tmp_path / "counts.csv", index=False)
    return str(tmp_path / "counts.csv")


def test_it_is_found_and_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert "hill" in dir(observatory.fits)
    assert run(["fit", "--help"]) == 0
    assert "the event rate as a Hill curve" in capsys.readouterr().out
    assert run(["fit", "hill", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--n-bootstrap" in out
    assert "observatory fit hill counts.csv --level 0.9" in out
    assert "--smoothing" not in out


@pytest.mark.slow
def test_it_answers_as_text_json_and_figure(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "hill.png"
    asked = ["fit", "hill", table, "--config-dir", str(CONF), "--horizon", "1000"]
    assert run([*asked, "--json", "--plot", str(plot)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["ci_low"] < record["critical"] < record["ci_high"]
    assert plot.stat().st_size > 1000
    assert run(asked) == 0
    assert "exponent" in capsys.readouterr().out
    found = observatory.fits.hill(table, config_dir=CONF, horizon_steps=1000)
    assert found.record["critical"] == record["critical"]
    logistic = observatory.fits.boundary(
        table, "mle", horizon_steps=1000, settings={"lapse": 0.0}
    )  # the same curve by another name
    assert found.params["critical"] == pytest.approx(logistic.params["critical"], rel=1e-6)


@pytest.mark.slow
def test_it_refuses_with_its_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    COUNTS.assign(n_grokked=0).to_csv(tmp_path / "flat.csv", index=False)
    asked = ["fit", "hill", str(tmp_path / "flat.csv"), "--config-dir", str(CONF), "--json"]
    assert run(asked) == 3
    assert "does not change" in json.loads(capsys.readouterr().out)["refused"]
    assert run(["fit", "hill", str(tmp_path / "flat.csv"), "--level", "95"]) == 2


@pytest.mark.slow
def test_a_study_fits_it_and_its_page_has_the_section(tmp_path: Path) -> None:
    plan = Plan(weight_decays=(0.0, 0.06, 0.1, 0.2, 0.5, 1.0), n_seeds=4, probes=())
    folder, beside = fabricate_study(tmp_path, plan), published(40)
    settings = {name: beside[name] for name in ("study", "boundary_mle")}
    settings["hill"] = fit_nodes(CONF)["hill"]
    records = fit_study(Study(folder), settings)
    assert {r["event"] for r in records if r["fit"] == "hill"} == {"first99", "first95"}
    write_fits(folder, records)
    page = build_report(folder)
    assert "A Hill curve of the rate" in page.read_text(encoding="utf-8")
