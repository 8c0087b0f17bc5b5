"""`observatory fit`: where a study ends and a question begins, and numbers before anything else."""

import json
from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.fit.questions import questions
from observatory.cli import main as cli

NUMBERS = [
    ("paired", "--seed", "-1", "`seed` must be a whole number of at least 0, got -1"),
    ("emergence", "--seed", "-1", "`seed` must be a whole number"),
    ("collapse", "--seed", "-1", "`seed` must be a whole number"),
    ("audit", "--seed", "-1", "`seed` must be a whole number"),
    ("forecast", "--horizon", "0", "`horizon_steps` must be a whole number of at least 1, got 0"),
    ("forecast", "--level", "0", "`level` must be in (0, 1), got 0"),
    ("emergence", "--n-bootstrap", "0", "`n_bootstrap` must be a whole number of at least 20"),
    (
        "emergence",
        "--steps-per-epoch",
        "0",
        "`steps_per_epoch` must be a whole number of at least 1",
    ),
    ("emergence", "--set", "n_starts=0", "`n_starts` must be a whole number of at least 1"),
    ("paired", "--set", "n_tests=2.5", "`n_tests` must be a whole number in [1, 1e+06]"),
    ("forecast", "--set", "n_tests=2.5", "`n_tests` must be a whole number in [1, 1e+06]"),
    ("variance", "--level", "95", "`level` must be in (0, 1), got 95"),
    ("boundary", "--n-bootstrap", "3e0", "`n_bootstrap` must be a whole number of at least 20"),
]


@pytest.mark.parametrize(("name", "option", "value", "message"), NUMBERS)
def test_every_command_checks_its_numbers_first(
    name: str, option: str, value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["fit", name, "no_such_table.csv", option, value]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, dict[str, Any]]]:
    """Studies whose fits were asked for, with their settings; nothing is fitted."""
    found: list[tuple[Path, dict[str, Any]]] = []

    def refit(study: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
        found.append((study, settings))
        return []

    monkeypatch.setattr("observatory.pipeline.refit", refit)
    return found


@pytest.mark.slow
def test_a_folder_is_a_study_wherever_its_options_stand(fitted, tmp_path: Path, capsys) -> None:
    words = ["--set", "fit.boundary_lsq.level=0.5"]
    for typed in ([str(tmp_path), *words, "--json"], ["--json", *words, str(tmp_path)]):
        assert cli.run(["fit", *typed]) == 0
        study, settings = fitted.pop()
        assert study == tmp_path
        assert settings["boundary_lsq"]["level"] == 0.5
        assert json.loads(capsys.readouterr().out) == []


@pytest.mark.slow
def test_a_folder_may_have_any_name(fitted, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("STUDY", "study"):
        (tmp_path / name).mkdir()
        assert cli.run(["fit", name]) == 0
        assert fitted.pop()[0] == Path(name)


@pytest.mark.slow
def test_configurations_of_ones_own_are_composed(fitted, tmp_path: Path) -> None:
    (tmp_path / "fit").mkdir()
    node = "_target_: observatory.analysis.boundary.estimators.firth.FirthBoundary"
    (tmp_path / "fit" / "boundary_mine.yaml").write_text(
        f"boundary_mine:\n  {node}\n  level: 0.9\n"
    )
    words = ["--config-dir", str(tmp_path), "--set", "fit=[study,boundary_mine]"]
    assert cli.run(["fit", str(tmp_path), *words]) == 0
    assert fitted[0][1]["boundary_mine"]["level"] == 0.9


@pytest.mark.slow
def test_where_every_fit_refuses_the_exit_code_says_so(monkeypatch, tmp_path: Path, capsys) -> None:
    record = {"refused": "too few", "fit": "boundary", "params": {}}
    monkeypatch.setattr("observatory.pipeline.refit", lambda study, settings: [record])
    assert cli.run(["fit", str(tmp_path), "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out) == [record]
    assert "every fit refused; the first: too few" in err


def test_what_is_neither_a_question_nor_a_study_is_refused(capsys) -> None:
    for typed in (["fit"], ["fit", "emergance", "x.csv"], ["fit", "nothing"]):
        assert cli.run(typed) == 2
        assert f"a study or one of {', '.join(questions())}" in capsys.readouterr().err
    assert cli.run(["fit", "emergance", "x.csv"]) == 2
    assert "Did you mean emergence?" in capsys.readouterr().err


def test_a_question_may_stand_behind_its_options(capsys) -> None:
    assert cli.run(["fit", "--level", "0.9", "boundary", "no_such.csv"]) == 2
    assert "`no_such.csv` does not exist" in capsys.readouterr().err
