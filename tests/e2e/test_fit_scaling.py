"""`observatory fit scaling` as a user types it."""

import json
from pathlib import Path

import pandas as pd
import pytest

import observatory
from observatory.cli import main as cli
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

EXAMPLE = Path(observatory.__file__).parents[1] / "docs" / "examples" / "curie_weiss.csv"
NAMES = ("--size", "n_spins", "--control", "temperature", "--value", "m", "--group", "seed")
QUICK = ("--n-bootstrap", "40", "--set", "n_null=39", "--set", "n_starts=8", "--set", "n_profile=5")


def fit(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.run(["fit", "scaling", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.slow
def test_the_example_has_its_exact_critical_point_and_a_figure(tmp_path: Path, capsys) -> None:
    """Tolerances: those of tests/golden/test_finite_size.py."""
    file = tmp_path / "chain.pdf"
    code, out, err = fit(EXAMPLE, *NAMES, *QUICK, "--json", "--plot", file, capsys=capsys)
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert record["critical"] == pytest.approx(1.0, abs=0.03)
    assert record["ci_low"] < record["critical"] < record["ci_high"]
    assert record["params"]["inverse_nu"]["value"] == pytest.approx(0.5, abs=0.1)
    assert record["extras"]["columns"] == "size n_spins, control temperature, value m, group seed"
    assert file.stat().st_size > 10_000


def test_flat_data_are_refused_with_a_record_and_exit_code_3(tmp_path: Path, capsys) -> None:
    frame = pd.read_csv(EXAMPLE)
    flat = frame[frame["temperature"] > 1.15]
    flat.assign(m=flat["seed"] % 7).to_csv(tmp_path / "flat.csv", index=False)
    code, out, err = fit(tmp_path / "flat.csv", *NAMES, "--set", "min_seeds=3", "--json",
                         capsys=capsys)  # fmt: skip
    record = json.loads(out)
    assert code == 3
    assert record["refused"] in err
    assert (record["critical"], record["params"]) == (None, {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "spins"], "`size` names the column 'spins', which is not in the table"),
        ([*NAMES, "--x", "m"], "A column can be one thing only, got ['m']"),
        ([*NAMES, "--set", "colour=1"], "`colour` is no setting of `scaling`"),
        ([*NAMES, "--set", "n_null=1"], "`n_null` must be a whole number of at least 19"),
        ([*NAMES, "--level", "2"], "`level` must be in (0, 1)"),
    ],
)
def test_bad_input_is_named(arguments: list[str], message: str, capsys) -> None:
    code, out, err = fit(EXAMPLE, *arguments, capsys=capsys)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.slow
def test_a_study_is_read_by_a_setting_of_its_runs(tmp_path: Path, capsys) -> None:
    study = fabricate_study(tmp_path, Plan())
    code, _, err = fit(study, "--size", "task.p", capsys=capsys)
    assert code == 3
    assert "Scaling with size needs 3 sizes" in err
    code, _, err = fit(study, "--size", "task.q", capsys=capsys)
    assert code == 2
    assert "`size` names the column 'task.q'" in err
    code, _, err = fit(study, "--size", "task.p", "--value", "first99_observed", capsys=capsys)
    assert code == 3, err
