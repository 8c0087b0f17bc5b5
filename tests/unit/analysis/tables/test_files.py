"""Tables as programs export them: read, or refused by naming what stands in the way."""

import json
from pathlib import Path

import numpy as np
import pytest

from observatory import fits
from observatory.analysis.tables.files import read_table
from observatory.analysis.tables.observe import observe
from observatory.analysis.tables.reading import Columns
from observatory.core.errors import ConfigError

COUNTS = [(0.003, 0), (0.006, 0), (0.015, 0), (0.02, 1), (0.03, 2), (0.05, 9), (0.07, 10)]
QUICK = {"n_studies": 0}
HEAD = ["weight_decay", "n", "n_grokked"]


def text(separator: str = ",", end: str = "\n", decimal: str = ".", quote: str = "") -> str:
    rows = [[f"{quote}{w:g}{quote}".replace(".", decimal), "10", str(k)] for w, k in COUNTS]
    return "".join(separator.join(row) + end for row in [HEAD, *rows])


RECORDS = [{"weight_decay": w, "n": 10, "n_grokked": k} for w, k in COUNTS]
AS_JSON = json.dumps(RECORDS)
EXPORTS = {
    "mark of UTF-8": ("\ufeff" + text(";", "\r\n")).encode(),
    "sep line": ("sep=;\r\n" + text(";", "\r\n")).encode(),
    "decimal commas": text(";", "\r\n", ",").encode(),
    "quoted decimal commas": text(",", "\r\n", ",", '"').encode(),
    "comments": ("# exported today\n# p = 97\n" + text() + "# end\n").encode(),
    "empty rows": (text().replace("0.03", "\n,,\n0.03") + ",,\n,,\n").encode(),
    "empty last columns": (text(";", ";;\r\n") + ";;;;\r\n").encode(),
    "UTF-16": text("\t", "\r\n").encode("utf-16"),
    "line ends of old": text(",", "\r").encode(),
    "blanks": text("   ").encode(),
    "bars": text("|").encode(),
    "bars of Markdown": text(" | ", " |\n").replace("0.003", "--- | :-: |\n0.003").encode(),
    "JSON": AS_JSON.encode(),
    "JSON on many lines": AS_JSON.replace(",", ",\n").encode(),
    "JSON lines": "\n".join(map(json.dumps, RECORDS)).encode(),
}


@pytest.mark.slow
@pytest.mark.parametrize("content", EXPORTS.values(), ids=EXPORTS)
def test_the_same_counts_give_the_same_boundary(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counts.txt"
    path.write_bytes(content)
    table = read_table(path)
    assert list(table.columns) == HEAD
    assert table[["weight_decay", "n_grokked"]].to_numpy().tolist() == [list(row) for row in COUNTS]
    found = fits.boundary(path, "lsq", horizon_steps=100_000, n_bootstrap=20, settings=QUICK)
    assert found.params["critical"] == pytest.approx(0.036457080, rel=1e-6)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\x1f\x8b\x08", "packed by gzip, not a table of text. Unpack it first."),
        (b"PK\x03\x04\x14\x00", "a workbook of a spreadsheet, or a zip"),
        (b"\xd0\xcf\x11\xe0\xa1", "an older spreadsheet"),
        (b"\x93NUMPY\x01", "an array of numpy"),
    ],
)
def test_files_of_other_kinds_are_called_what_they_are(
    tmp_path: Path, start: bytes, words: str
) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(start + b"weight_decay,n,n_grokked\n")
    with pytest.raises(ConfigError, match=words):
        read_table(path)


@pytest.mark.slow
def test_decimal_commas_are_said_and_those_of_thousands_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_bytes(EXPORTS["decimal commas"])
    found = fits.boundary(path, "lsq", horizon_steps=100_000, n_bootstrap=20, settings=QUICK)
    assert "Commas in weight_decay are read as decimal points." in found.warnings
    path.write_text("weight_decay;n\n1,000;3\n12,500;4\n")
    with pytest.raises(ConfigError, match="`weight_decay` holds 1,000: its comma may be a decimal"):
        read_table(path)


@pytest.mark.parametrize(("said", "cell"), [("comma", "12,200"), ("point", "12.200")])
def test_a_mark_between_thousands_is_never_read_as_a_decimal(tmp_path, said, cell: str) -> None:
    """Of spreadsheets: weight decays with decimal commas, times of 12 200 and 3800 steps."""
    path = tmp_path / "runs.csv"
    path.write_text(f"weight_decay;t_grok\n0,01;\n0,03;{cell}\n0,1;{cell.replace('12', '3')}\n")
    with pytest.raises(ConfigError, match=f"`t_grok` holds {cell}: its {said} may be a decimal"):
        read_table(path)


NEVER = ("Infinity", "-", "NaN", "1e308", "inf", "", "never", "1.7976931348623157E308", "\u221e")


@pytest.mark.parametrize("word", NEVER)
def test_never_is_one_thing_however_it_is_written(tmp_path: Path, word: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(f"weight_decay,t_grok\n0.01,{word}\n0.03,8300\n", encoding="utf-8")
    read = observe(read_table(path), Columns(), None, None, timed=True).observations
    assert read.grokked.tolist() == [False, True]
    assert np.isnan(read.time).tolist() == [True, False]


@pytest.mark.parametrize("name", ["{}", "params.{}", "config.{}", "parameters/{}"])
def test_columns_of_trackers_are_found_by_their_plain_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(text().replace("weight_decay", name.format("weight_decay")))
    found = observe(read_table(path), Columns(), None, None, timed=False)
    assert found.observations.control == "weight decay"


def test_a_log_of_json_lines_keeps_the_settings_of_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"_meta": {"weight_decay": 0.1, "betas": [0.9, 0.98]}}\n'
        '{"step": 0, "acc": 0.1, "layers": [1, 2], "opt": {"lr": 0.3}}\n'
        '{"step": 10, "acc": null, "layers": [3, 4], "opt": {"lr": 0.3}}\n'
    )
    table = read_table(path)
    assert list(table["params.weight_decay"]) == [0.1, 0.1]
    assert list(table["step"]) == [0, 10]
    assert (table["opt.lr"].iloc[1], table["layers"].iloc[1]) == (0.3, "[3, 4]")
    assert table["acc"].isna().tolist() == [False, True]


def test_a_chart_of_a_tracker_is_a_row_per_run_and_step(tmp_path: Path) -> None:
    path = tmp_path / "chart.csv"
    columns = [f"{run} - acc{end}" for run in ("k1-s0", "k1-s1") for end in ("", "__MIN", "__MAX")]
    path.write_text(f"Step,{','.join(columns)}\n0,.1,.1,.1,.2,.2,.2\n5,.9,.9,.9,,,\n")
    table = read_table(path)
    assert list(table.columns) == ["run", "step", "acc"]
    assert list(table["run"]) == ["k1-s0", "k1-s0", "k1-s1", "k1-s1"]
    assert table["acc"].tolist()[:3] == [0.1, 0.9, 0.2]
    assert "A column for each of 2 runs is read as rows" in table.attrs["caveats"][0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"history": [{"step": 1, "acc": 0.5}]}', r"JSON of another shape, one object with"),
        (b'{"by": "me", "runs": [{"n": 3}]}', r"'runs'\]: write the list 'runs' alone"),
        (b'{"n": {"0": 3}, "k": {"0": 1}}', r'shape.*to_json\(orient="records"\)'),
        (b'{"columns": ["n"], "data": [[1]]}', r'shape.*to_json\(orient="records"\)'),
        (b"[1, 2]", "a list of what are no records.*list of records"),
        (b"[]", "JSON of another shape, no records"),
        (b'{"step": 1,', "starts as JSON and cannot be read"),
        ("Größe,n\nklein,1\n".encode("latin-1"), "not UTF-8 .*Save it as CSV UTF-8"),
        (b"# a\n# b\n", "nothing but comments"),
    ],
)
def test_the_obstacle_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "table").write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_table(tmp_path / "table")
