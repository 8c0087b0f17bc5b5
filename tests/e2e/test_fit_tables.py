"""`observatory fit` on tables from anywhere, as a user types it."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import observatory
from observatory.cli import main as cli

EXAMPLE = Path(observatory.__file__).parents[1] / "docs" / "examples" / "boundary_counts.csv"
TOP = ("critical", "slope", "ci_low", "ci_high", "n", "estimator", "horizon_steps", "warnings")
SEPARATED = "weight_decay,n,n_grokked\n0.003,10,0\n0.05,10,0\n0.07,10,10\n0.1,10,10\n"


def fit(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit code, and what went to stdout and stderr, of the verb in this process."""
    code = cli.run(["fit", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def separated(tmp_path: Path) -> Path:
    (tmp_path / "separated.csv").write_text(SEPARATED)
    return tmp_path / "separated.csv"


@pytest.mark.slow
def test_the_published_counts_give_the_published_boundary(capsys) -> None:
    """Tolerances of the golden tests: a tighter solver moves the critical point by 2e-7."""
    code, out, err = fit(
        "boundary", EXAMPLE, "--x", "weight_decay", "--estimator", "lsq", "--horizon", 200_000,
        "--n-bootstrap", 200, "--json", capsys=capsys,
    )  # fmt: skip
    record = json.loads(out)
    assert (code, err) == (0, "")
    assert set(TOP) <= set(record)
    assert record["critical"] == pytest.approx(0.015771145334983784, rel=1e-6)
    assert record["slope"] == pytest.approx(13.710396668761742, rel=2e-5)
    assert record["ci_low"] < record["critical"] < record["ci_high"]
    assert (record["n"], record["horizon_steps"], record["refused"]) == (190, 200_000, None)
    assert record["extras"]["window_max"] is None


@pytest.mark.slow
def test_a_refusal_is_a_record_an_exit_code_and_a_reason(separated: Path, capsys) -> None:
    code, out, err = fit("boundary", separated, "--estimator", "lsq", "--json", capsys=capsys)
    record = json.loads(out)
    assert code == 3
    assert set(TOP) <= set(record)
    assert (record["critical"], record["ci_low"], record["n"]) == (None, None, 40)
    assert record["refused"] in err
    assert "Separation" in err
    code, out, err = fit("boundary", separated, capsys=capsys)
    assert (code, out) == (3, "")
    code, out, _ = fit("boundary", separated, "--estimator", "lsq", "--smoothing", 0.5,
                       "--n-bootstrap", 100, capsys=capsys)  # fmt: skip
    assert code == 0
    assert "The counts are separated" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["boundary"], "`TABLE` must be given: "),
        (["boundary", "none.csv"], "`none.csv` does not exist"),
        (["boundary", EXAMPLE, "--x", "lr"], "which is not in the table. It has ['weight_decay'"),
        (["boundary", EXAMPLE, "--estimator", "ols"], "must be one of ["),
        (["boundary", EXAMPLE, "--set", "smoothing"], "`--set` must be KEY=VALUE"),
        (
            ["boundary", EXAMPLE, "--set", "smoothness=1"],
            "`smoothness` is no setting of `boundary_mle`",
        ),
        (["boundary", EXAMPLE, "--level", "0.95", "--plot", "a.bmp"], "`--plot` must end in"),
        (["boundary", EXAMPLE, "--tracking-uri", "x"], "`tracking_uri` is for mlflow:"),
        (
            ["boundary", EXAMPLE, "--horizon", "-5"],
            "`horizon_steps` must be a whole number",
        ),
        (["times", EXAMPLE], "a table of counts has no times"),
        (["slope", EXAMPLE], "`fit` must be followed by the folder of a study or one of boundary"),
        (["boundry", EXAMPLE], "Did you mean boundary?"),
        (["ratio", EXAMPLE], "`BELOW` must be given"),
        (["boundary", EXAMPLE, EXAMPLE], "takes no further arguments"),
        (["ratio", EXAMPLE, EXAMPLE, "--estimator", "lsq"], "no option of `observatory fit ratio`"),
        (["boundary", EXAMPLE, "--levle", "0.9"], "Did you mean --level?"),
        (["boundary", EXAMPLE, "--sett", "a=1"], "There is no option `--sett`"),
        (["boundary", EXAMPLE, "--level"], "`--level` must be given a value"),
        (["boundary", EXAMPLE, "--level", "x"], "`--level` must be a number, got 'x'"),
        (["boundary", EXAMPLE, "--config-dir", "none"], "`--config-dir` must be a folder"),
        (["seeds", EXAMPLE], "`--width-decades` must be given"),
        (
            ["seeds", EXAMPLE, "--width-decades", "0.2", "--critical", "1"],
            "It is one of `fit times`",
        ),
        ([EXAMPLE], "is a table: say what to fit"),
        (["results/none", "--event", "first99"], "It is one of `fit boundary`"),
        (["boundary", "mlflow:none", "--tracking-uri", "sqlite:///none.db"], "does not exist"),
    ],
)
def test_bad_input_is_told(arguments: list[object], message: str, capsys) -> None:
    code, out, err = fit(*arguments, capsys=capsys)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.slow
def test_the_figure_is_written_beside_the_text(tmp_path: Path, capsys) -> None:
    for ending in ("pdf", "svg", "png"):
        file = tmp_path / f"rate.{ending}"
        code, out, _ = fit("boundary", EXAMPLE, "--estimator", "firth", "--plot", file,
                           capsys=capsys)  # fmt: skip
        assert code == 0
        assert "critical" in out
        assert file.stat().st_size > 1000
    code, _, err = fit("boundary", EXAMPLE, "--estimator", "firth", "--plot",
                       tmp_path / "none" / "rate.pdf", capsys=capsys)  # fmt: skip
    assert code == 2
    assert "must be a file that can be written" in err


@pytest.mark.slow
def test_every_kind_of_fit_reads_a_table_of_runs(tmp_path: Path, capsys) -> None:
    frame = pd.DataFrame({"wd": [0.1, 0.2, 0.4, 0.8] * 12, "s": list(range(12)) * 4})
    frame["t"] = (200 / frame["wd"] * (1 + 0.05 * frame["s"])).round()
    frame.loc[frame["t"] > 2000, "t"] = None
    frame.to_parquet(tmp_path / "runs.parquet")
    names = ("--x", "wd", "--group", "s", "--time", "t", "--horizon", 1900, "--json")
    for kind, more in {
        "boundary": ("--estimator", "firth"),
        "times": ("--n-bootstrap", 50),
        "survival": (),
        "horizon": ("--n-bootstrap", 20),
    }.items():
        code, out, err = fit(kind, tmp_path / "runs.parquet", *names, *more, capsys=capsys)
        assert code == 0, err
        record = json.loads(out)
        assert record["horizon_steps"] == 1900
        assert set(TOP) <= set(record)


@pytest.mark.slow
def test_boundaries_are_compared_and_seeds_planned(separated: Path, capsys) -> None:
    code, out, err = fit("ratio", separated, EXAMPLE, "--n-bootstrap", 50, "--json", capsys=capsys)
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert record["fit"] == "boundary_ratio"
    assert record["extras"]["numerator"] == str(separated)
    assert record["params"]["ratio"]["value"] > 1
    plan = ("seeds", separated, "--n-simulations", 20, "--width-decades")
    code, out, _ = fit(*plan, 0.5, capsys=capsys)
    assert code == 0
    assert "n_seeds = " in out
    code, out, err = fit(*plan, 0.001, "--json", capsys=capsys)
    assert code == 3
    assert json.loads(out)["refused"] in err


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["lsq", "firth"])
def test_a_fit_of_a_table_imports_no_framework(estimator: str) -> None:
    code = (
        "import sys; from observatory.cli import main as cli\n"
        "code = cli.run(sys.argv[1:])\n"
        "heavy = {'torch', 'lightning', 'mlflow', 'hydra', 'statsmodels', 'matplotlib'}\n"
        "print(sorted(set(sys.modules) & heavy))"
    )
    arguments = ["fit", "boundary", str(EXAMPLE), "--estimator", estimator, "--n-bootstrap", "50"]
    if estimator == "firth":
        del arguments[-2:]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
