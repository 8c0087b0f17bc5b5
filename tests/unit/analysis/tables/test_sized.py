"""Tables of an order parameter by size: columns, complaints, studies."""

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.scaling.question import scaling
from observatory.analysis.scaling.table import read_sized
from observatory.analysis.tables.last_looks import configured
from observatory.core.errors import ConfigError
from tests.made_sizes import QUICK, scaled


def table() -> pd.DataFrame:
    rows = scaled(np.random.default_rng(0), n_control=9, n_seeds=8)
    return pd.DataFrame(
        {"p": rows.size, "train_fraction": rows.control, "seed": rows.seed, "m": rows.value}
    )


NAMES = {"size": "p", "control": "train_fraction", "value": "m"}


def test_columns_are_found_by_name_and_rows_sorted() -> None:
    frame = table()
    read = read_sized(frame.sample(frac=1.0, random_state=0), NAMES)
    straight = read_sized(frame, {**NAMES, "group": "seed"})
    assert read.columns == {**NAMES, "group": "seed"}
    assert (read.rows.value == straight.rows.value).all()
    assert read.rows.outcome == "m"
    usual = frame.rename(columns={"p": "size", "train_fraction": "control", "m": "value"})
    assert read_sized(usual.drop(columns="seed"), {}).rows.seed is None
    prefixed = frame.add_prefix("params.")
    assert read_sized(prefixed, NAMES).columns["size"] == "params.p"


def test_rows_without_a_value_are_left_out_and_told() -> None:
    frame = table()
    frame.loc[3, "m"] = np.nan
    read = read_sized(frame, NAMES)
    assert read.rows.value.size == len(frame) - 1
    assert read.warnings == ["Rows without a value are left out (1)."]


@pytest.mark.parametrize(
    ("change", "columns", "match"),
    [
        ({}, {}, "`size` must name a column"),
        ({}, {**NAMES, "size": "q"}, "`size` names the column 'q', which is not in the table"),
        ({}, {**NAMES, "control": "p"}, "one thing only"),
        ({"p": -1.0}, NAMES, "`p` must be positive"),
        ({"m": "high"}, NAMES, "`m` must be a number"),
        ({"m": np.nan}, NAMES, "empty in every row"),
        ({"seed": 0}, NAMES, "once at each size and control"),
        ({}, {**NAMES, "group": "name"}, "`group` names the column 'name'"),
    ],
)
def test_complaints_name_column_and_row(change, columns, match) -> None:
    with pytest.raises(ConfigError, match=match):
        read_sized(table().assign(**change), columns)


def test_a_table_that_is_too_large_is_refused_before_it_is_drawn() -> None:
    with pytest.raises(ConfigError, match="`n_bootstrap` and `n_null` must be at most"):
        scaling(table(), **NAMES, n_bootstrap=10**6)


@pytest.mark.slow
def test_the_result_prints_itself_and_tells_its_intervals() -> None:
    found = scaling(table(), **NAMES, settings={**QUICK, "zeta": 0.0})
    text = str(found)
    assert text.startswith("finite-size scaling of m with p and train_fraction: 5 sizes, 45 cells")
    assert f"verdict: {found.record['extras']['verdict']}." in text
    assert set(found.verdicts.index) == {
        *("sharpening", "crossings", "susceptibility", "groups", "data_collapse")
    }
    assert list(found.conf_int().columns) == ["lower", "upper"]
    assert {"raw", "centred", "shifted", "mean", "se", "chi"} <= set(found.table("cell").columns)
    assert found.verdicts["data_collapse"] == "underdetermined"  # so it has no critical point
    assert found.to_json()["critical"] is None
    assert "critical" not in found.params
    assert "<pre>" in found._repr_html_()


def test_settings_of_a_run_are_found_by_their_dotted_name() -> None:
    config = {"task": {"p": 31, "name": "add"}, "train_fraction": 0.6}
    assert configured(config, "train_fraction") == 0.6
    assert configured(config, "task.p") == 31.0
    assert configured(config, "task.name") is None
    assert configured(config, "model.d_model") is None
