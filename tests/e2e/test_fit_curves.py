"""`observatory fit curves` as a user types it, by the name that it had before too."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory.cli import main as cli
from tests.made_curves import emergence_curve


def fit(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.run(["fit", "curves", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def table(tmp_path: Path) -> Path:
    t = np.linspace(0.0, 143_000.0, 37)
    y = emergence_curve(t, 3000.0, 0.6, 1e-4, 1.0, 120.0)
    path = tmp_path / "ratios.csv"
    pd.DataFrame({"tokens": t, "top": y, "block": 3}).to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_a_curve_of_a_file(table: Path, tmp_path: Path, capsys) -> None:
    named = ("--step", "tokens", "--value", "top", "--n-bootstrap", 50)
    code, out, err = fit(table, *named, "--json", "--plot", tmp_path / "a.png", capsys=capsys)
    record = json.loads(out)
    assert (code, err) == (0, "")
    assert record["params"]["t_peak"]["value"] == pytest.approx(11618.26, rel=1e-6)
    assert record["extras"]["class"] == "early peak"
    assert (tmp_path / "a.png").is_file()
    code, out, _ = fit(table, *named, "--group", "block", "--json", capsys=capsys)
    assert (code, json.loads(out)[0]["group"]) == (0, {"block": 3})
    code = cli.run(["fit", "emergence", str(table), *map(str, named), "--model", "tanh", "--json"])
    assert json.loads(capsys.readouterr().out)["estimator"] == "tanh"
    code, out, _ = fit(table, *named, "--level", 0.9, "--seed", 5, capsys=capsys)
    assert "90% [" in out


def test_a_refusal_is_a_record_an_exit_code_and_a_reason(table: Path, capsys) -> None:
    named = ("--step", "tokens", "--value", "block", "--json")
    code, out, err = fit(table, *named, capsys=capsys)
    assert code == 3
    assert json.loads(out)["refused"] in err
    code, out, err = fit(table, "--model", "relaxation", "--step", "tokens", "--value", "top",
                         capsys=capsys)  # fmt: skip
    assert (code, out) == (3, "")
    assert "`lr` must be positive" in err
    norms = ("--model", "relaxation", "--step", "tokens", "--value", "top")
    code, _, err = fit(table, *norms, "--lr", 1e-3, "--weight-decay", 0, capsys=capsys)
    assert (code, "`weight_decay` must be positive, got 0" in err) == (3, True)
    known = ("--lr", 1e-3, "--weight-decay", 1, "--set", "window=[0, 1]")
    code, _, err = fit(table, *norms, *known, capsys=capsys)
    assert code == 3
    assert "choose a `window`" in err


def test_bad_options_are_bad_input(table: Path, capsys) -> None:
    code, _, err = fit(table, capsys=capsys)
    assert (code, "`step` must name a column of the table: there is no step" in err) == (2, True)
    code, _, err = fit(table, "--model", "no", capsys=capsys)
    assert (code, "`estimator` of `curves` must be one of" in err) == (2, True)
    code, _, err = fit(table, "--smoothing", 0.5, capsys=capsys)
    assert (code, "`--smoothing` is no option of" in err) == (2, True)
    code = cli.run(["fit", "boundary", str(table), "--model", "tanh"])
    assert code == 2
