"""Bad tables are refused before any fit: what is wrong, in which rows, what to do."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import observatory
from observatory.analysis.tables.columns import Role, known_columns, resolve
from observatory.analysis.tables.files import read_table
from observatory.analysis.tables.observe import observe
from observatory.analysis.tables.reading import Columns, Reading
from observatory.core.errors import ConfigError
from tests.typechecking import unchecked

NAN, INF = float("nan"), float("inf")
RUNS = {"weight_decay": [0.1, 1.0], "grokked": [0, 1]}
COUNTS = {"weight_decay": [0.1, 1.0], "n": [10, 10], "n_grokked": [0, 9]}


def read(cells: dict, *, timed: bool = False, horizon: int | None = None, **names: str) -> Reading:
    return observe(pd.DataFrame(cells), Columns(**names), None, horizon, timed=timed)


BAD = [
    ({"wd": [1.0], "grokked": [1]}, {}, "`control` must name a column of the.*It has ['wd', 'grok"),
    ({"wd": [1.0], "grokked": [1]}, {}, "`control` must name.*: there is no weight_decay. It has"),
    (RUNS, {"control": "lr"}, "`control` names the column 'lr', which is not in the table. It has"),
    (RUNS, {"control": "lr"}, "the column 'lr'.*It has ['weight_decay', 'grokked']"),
    (RUNS, {"control": "weight_decy"}, "not in the table. Did you mean weight_decay? It has ['wei"),
    (RUNS, {"n_grokked": "k"}, "`n-grokked` names the column 'k'"),
    (RUNS, {"success": "grokked", "time": "grokked"}, "A column can be one thing only"),
    ({"weight_decay": [1.0]}, {}, "must name the column that says whether a run had the event"),
    ({**RUNS, "weight_decay": [NAN, 1.0]}, {}, "got an empty cell or NaN in row 1"),
    ({**RUNS, "weight_decay": [INF, 1.0]}, {}, "`weight_decay` must be finite, got inf in row 1"),
    ({**RUNS, "weight_decay": ["a", "1"]}, {}, "`weight_decay` must be a number, got 'a' in row 1"),
    ({**RUNS, "weight_decay": [0.1, -1.0]}, {}, "must be at least 0, got -1.0 in row 2"),
    ({**RUNS, "grokked": [0, 2]}, {}, "`grokked` must be 0 or 1 (or true/false, yes/no), got 2"),
    ({**RUNS, "grokked": [0, 0.5]}, {}, "got 0.5 in row 2"),
    ({**RUNS, "grokked": [0, None]}, {}, "`grokked` must be 0 or 1, got an empty cell in row 2"),
    ({**RUNS, "seed": [0, None]}, {}, "`seed` must say what rows share, got an empty cell"),
    ({**RUNS, "weight": [1, 0]}, {}, "`weight` must be positive in row 2"),
    ({**RUNS, "run_id": ["a", "a"], "replica": [0, 0]}, {}, "`run_id, replica` must differ"),
    ({**COUNTS, "n_grokked": [0, 11]}, {}, "`n_grokked` must be at most `n`, got 11 in row 2"),
    ({**COUNTS, "n": [-1, 10]}, {}, "`n` must be at least 0, got -1 in row 1"),
    ({**COUNTS, "n": [9.5, 10]}, {}, "`n` must be a whole number, got 9.5 in row 1"),
    ({**COUNTS, "n": [0, 0], "n_grokked": [0, 0]}, {}, "`n` is 0 in every row"),
    ({**RUNS, "time": [NAN, 0.0]}, {}, "`time` must be positive, got 0.0 in row 2"),
    ({**RUNS, "time": ["soon", "5"]}, {}, "`time` must be a number, got 'soon' in row 1. Leave"),
    ({**RUNS, "time": [1e20, 5]}, {}, "`time` must be a count of steps, got 1e+20 in row 1"),
    ({**RUNS, "time": ["12 200", "5"]}, {}, "got '12 200' in row 1. Write numbers without any"),
    ({**RUNS, "time": ["1,234.5", "5"]}, {}, "got '1,234.5' in row 1. Write numbers without"),
    ({**RUNS, "weight_decay": ["1 %", "9 %"]}, {}, "got '1 %' in rows 1, 2. Write shares without"),
    ({**RUNS, "grokked": ["0/8", "8/8"]}, {}, "got '0/8' in rows 1, 2. Name a column.*give counts"),
    ({**COUNTS, "n_grokked": ["0/10", "9/10"]}, {}, "Write counts into two columns, `n` and `n_gr"),
    ({**RUNS, "t_hi": [NAN, 5], "t_lo": [NAN, 6]}, {}, "`t_lo` must be at most `t_hi`, got 6.0"),
    ({**RUNS, "t_lo": [NAN, 6]}, {}, "`t_lo` is a last look before a time: name the `time` too"),
    ({**RUNS, "time": [NAN, 9], "watched": [9, 5]}, {}, "`time` must be at most `watched` in row"),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "names", "message"), BAD)
def test_what_is_wrong_is_said_with_its_rows(cells, names, message: str) -> None:
    pattern = ".*".join(re.escape(part) for part in message.split(".*"))
    with pytest.raises(ConfigError, match=pattern):
        read(cells, **names)


def test_many_bad_rows_are_counted_and_a_few_are_named() -> None:
    cells = {"weight_decay": -np.ones(20), "grokked": np.ones(20)}
    with pytest.raises(ConfigError, match="in rows 1, 2, 3, 4, 5 and 15 more"):
        read(cells)


def test_a_table_of_many_columns_shows_those_like_the_one_asked_for() -> None:
    cells = {f"metrics.m{i}": [1.0] for i in range(100)} | {"params.weight_decy": [0.1]}
    with pytest.raises(ConfigError, match=r"It has 101 columns, such as \['params.weight_decy'"):
        read(cells, control="params.weight_decay")


def test_fits_of_times_need_times() -> None:
    with pytest.raises(ConfigError, match="a table of counts has no times"):
        read(COUNTS, timed=True)
    with pytest.raises(ConfigError, match="`time` must name the column of times"):
        read(RUNS, timed=True)
    with pytest.raises(
        ConfigError, match="`time` must be given where a run had the event in row 2"
    ):
        read({**RUNS, "time": [5.0, NAN]}, timed=True)
    assert read({**RUNS, "time": [5.0, NAN]}).observations.grokked.tolist() == [False, True]


def test_a_horizon_is_positive() -> None:
    with pytest.raises(ConfigError, match="`horizon_steps` must be positive, got 0"):
        read(RUNS, horizon=0)


def test_two_columns_of_one_name_are_refused() -> None:
    frame = pd.DataFrame([[0.1, 1, 0]], columns=["weight_decay", "grokked", "grokked"])
    with pytest.raises(ConfigError, match=r"more than one column \['grokked'\]"):
        observe(frame, Columns(), None, None, timed=False)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b" \n", "is empty"),
        ("a.csv", b"weight_decay,grokked\n", "has no row below its column names"),
        ("a.csv", b"x,y,x\n1,2,3\n", r"more than one column \['x'\]"),
        ("a.csv", b"x,y\n1,2,3\n4,5,6,7\n", "is not a table"),
        ("a.csv", b"\x00\x01\x02", "is not text"),
        ("a.csv", b"x,y\n\xff\xfe,1\n", "is not a table"),
        ("a.parquet", b"x,y\n1,2\n", "named like a Parquet file and is none"),
        ("a.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
    ],
)
def test_files_that_are_no_table_are_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_table(tmp_path / name)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="got a folder"):
        read_table(tmp_path)


NEVER, LATE = [0, 0], [0, 1]
WIDE = {
    "per weight decay": {"seed": [0, 1], "0.01": NEVER, "0.1": LATE, "1.0": [1, 1]},
    "per weight decay, named": {"seed": [0, 1], "wd_0": NEVER, "wd_.1": LATE, "wd_3e-1": LATE},
    "per seed": {"weight_decay": [0.1, 1.0], "seed0": LATE, "seed1": LATE, "seed2": LATE},
    "per seed, numbers alone": {"weight_decay": [0.1, 1.0], "0": LATE, "1": LATE, "2": LATE},
}


@pytest.mark.parametrize("name", WIDE)
def test_a_wide_table_is_turned_by_the_line_that_its_message_gives(name: str) -> None:
    frame = pd.DataFrame(WIDE[name])
    with pytest.raises(ConfigError, match="give a row per") as refused:
        observe(frame, Columns(), None, None, timed=False)
    (line,) = re.findall(r"`(frame\.melt.*)` in pandas", str(refused.value))
    turned = eval(line, {"frame": frame})
    data = observe(turned, Columns(), None, None, timed=False).observations
    n_wide = len(frame.columns) - 1
    assert data.seed is not None
    assert len(data.weight_decay) == n_wide * len(frame)
    assert len(set(data.weight_decay)) == (n_wide if "seed" in frame else len(frame))
    assert len(set(data.seed)) == (len(frame) if "seed" in frame else n_wide)


def test_a_column_per_step_of_a_table_of_curves_is_named_too() -> None:
    roles = {"step": Role(usual=("step",), required=True)}
    present = ["weight_decay", "seed", "val_acc@0", "val_acc@25", "val_acc@50"]
    with pytest.raises(ConfigError, match=r"`step` must name a column.*a row per step, by") as no:
        resolve({}, roles, present)
    assert "['weight_decay', 'seed'], var_name='step'" in str(no.value)


def test_a_few_columns_with_numbers_are_no_wide_table() -> None:
    assert "melt" not in known_columns(["weight_decay", "top1", "top2", "top3a", "layer1"])


@pytest.mark.parametrize("question", ["boundary", "forecast"])
@pytest.mark.parametrize("given", [["results/a", "results/b"], [pd.DataFrame(RUNS)], None, 3])
def test_what_is_no_table_is_refused_in_words(question: str, given: object) -> None:
    ask = getattr(observatory.fits, question)
    with (
        unchecked(),
        pytest.raises(
            ConfigError, match=r"`table` must be .* got a (list|NoneType|int)\. Give sev"
        ),
    ):
        ask(given)
