"""Groups within a table: fitted each, or one of them; what is pooled is said."""

import numpy as np
import pandas as pd
import pytest

from observatory import fits
from observatory.analysis.tables.where import rows_where
from observatory.core.errors import ConfigError, FitRefusedError

SHIFT = {"adamw": 3.0, "sgd": 1.0}
RUNS = pd.DataFrame(
    [
        (name, w, seed, int(w * shift * (1 + 0.3 * seed) > 0.3), 100 if w * shift > 0.2 else np.nan)
        for name, shift in SHIFT.items()
        for w in (0.01, 0.03, 0.1, 0.2, 0.3, 1.0)
        for seed in range(6)
    ],
    columns=["optimizer", "weight_decay", "seed", "grokked", "t"],
)


def alone(name: str) -> pd.DataFrame:
    return rows_where(RUNS, f"optimizer == '{name}'").drop(columns="optimizer")


@pytest.mark.slow
def test_by_gives_a_fit_of_each_group_and_the_ratio_of_their_boundaries() -> None:
    found = fits.boundary(RUNS, "firth", by="optimizer", horizon_steps=1000)
    critical = [
        fits.boundary(alone(name), "firth", horizon_steps=1000).params["critical"] for name in SHIFT
    ]
    assert [r["critical"] for r in found.records[:2]] == critical
    assert [r["group"] for r in found.records] == [
        {"optimizer": "adamw"},
        {"optimizer": "sgd"},
        {"ratio": "sgd / adamw"},
    ]
    ratio = fits.ratio(alone("sgd"), alone("adamw"), horizon_steps=1000)
    assert found.records[2]["params"]["ratio"] == ratio.record["params"]["ratio"]
    assert "optimizer adamw" in str(found)
    assert not [w for record in found.records for w in record["warnings"] if "pooled" in w]


@pytest.mark.slow
def test_groups_are_drawn_in_one_figure_a_panel_each_with_the_same_limits() -> None:
    more = RUNS.assign(
        weight_decay=RUNS["weight_decay"] * np.where(RUNS["optimizer"] == "sgd", 2, 1)
    )
    flat = RUNS[:36].assign(optimizer="none", grokked=0)
    found = fits.boundary(pd.concat([more, flat]), "firth", by="optimizer", horizon_steps=1000)
    panels = found.plot().axes
    first = [axes.get_title(loc="left").split("\n")[0] for axes in panels]
    assert first == ["adamw", "sgd"]
    drawn = [[line.get_gid() for line in axes.lines].count("fit") for axes in panels]
    assert drawn == [1, 1]
    assert panels[0].get_figure(root=True).get_supxlabel() == "No estimate: none"
    assert panels[0].get_xlim() == panels[1].get_xlim()
    (alone,) = fits.boundary(RUNS[36:], "firth", by="optimizer", horizon_steps=1000).plot().axes
    assert alone.get_title(loc="left").startswith("sgd")
    with pytest.raises(ConfigError, match="`ax` takes one panel"):
        found.plot(panels[0])


@pytest.mark.slow
def test_where_keeps_rows_and_says_so() -> None:
    found = fits.boundary(RUNS, "firth", where="optimizer == 'sgd'", horizon_steps=1000)
    whole = fits.boundary(alone("sgd"), "firth", horizon_steps=1000)
    assert found.params.equals(whole.params)
    assert "Rows where optimizer == 'sgd': 36 of 72." in found.warnings


def test_times_take_groups_too() -> None:
    timed = RUNS.assign(grokked=RUNS["t"].notna().astype(int), time=RUNS["t"])
    found = fits.survival(timed, by="optimizer", horizon_steps=1000)
    assert [record["group"]["optimizer"] for record in found.records] == ["adamw", "sgd"]
    assert [axes.get_title(loc="left")[:5] for axes in found.plot().axes] == ["adamw", "sgd\ng"]


@pytest.mark.slow
def test_what_is_pooled_is_said() -> None:
    found = fits.boundary(RUNS, "firth", horizon_steps=1000)
    said = "Rows that differ in optimizer (adamw, sgd) are pooled: `by` fits each, `where` one."
    assert said in found.warnings
    fates = alone("sgd").assign(outcome=np.where(RUNS["grokked"][36:], "grokked", "none"))
    assert not [w for w in fits.boundary(fates, "firth").warnings if "pooled" in w]


def test_groups_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="`by` names the column 'optimiser', which is not"):
        fits.boundary(RUNS, by="optimiser")
    with pytest.raises(ConfigError, match="`by` must name a column of at most 50 values, got 72"):
        fits.boundary(RUNS.assign(row=range(72)), by="row")
    with pytest.raises(ConfigError, match="`optimizer` must be a number, got words such as"):
        fits.boundary(RUNS, control="optimizer")


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("optimizer == 'adamw' and weight_decay < 0.1", 12),
        ("not optimizer == 'adamw'", 36),
        ("weight_decay in [0.1, 0.3] or seed >= 5", 32),
        ("optimizer not in ('sgd',) and (`t` > 1 or seed != 0)", 34),
        ("0.3 <= weight_decay", 24),
        ("seed == -1 or seed == 0", 12),
    ],
)
def test_conditions_choose_rows(condition: str, kept: int) -> None:
    assert len(rows_where(RUNS, condition)) == kept


@pytest.mark.parametrize(
    "condition",
    [
        *("__import__('os').system('true')", "optimizer.str.len() > 1", "(lambda: True)()"),
        *("optimizer < 3", "seed", "seed == 1 == 1", "1 == 1", "seed + 1 == 2", "seed =="),
        *("[s for s in seed]", "seed == f'{1}'", "(x := 1) == 1", "(" * 300, "@seed == 1"),
    ],
)
def test_nothing_but_comparisons_is_read(condition: str) -> None:
    with pytest.raises(ConfigError, match="`where`"):
        rows_where(RUNS, condition)


def test_a_condition_that_leaves_nothing_shows_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"leaves no row: .*'optimizer': \['adamw', 'sgd'\]"):
        rows_where(RUNS, "optimizer == 'adam'")


def test_a_refusal_says_what_is_pooled_and_names_every_group() -> None:
    """Two optimizers: one groks everywhere, the other at the smallest values alone."""
    rows = [("adamw", w, 5) for w in (0.01, 0.1, 1.0)]
    rows += [("gd", w, k) for w, k in zip((2e-7, 2e-6, 2e-5, 2e-4), (5, 5, 0, 0), strict=True)]
    table = pd.DataFrame(rows, columns=["optimizer", "weight_decay", "n_grokked"]).assign(n=5)
    with pytest.raises(FitRefusedError, match=r"optimizer \(adamw, gd\) are pooled: `by` fits"):
        fits.boundary(table, "mle")
    said = "optimizer adamw: Every replica had the event .* optimizer gd: The event rate falls"
    with pytest.raises(FitRefusedError, match=said):
        fits.boundary(table, "firth", by="optimizer")
