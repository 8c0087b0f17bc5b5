"""Runs that failed, were killed or still run are no runs without the event."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory import fits
from observatory.analysis.tables.finished import finished_rows
from observatory.core.errors import ConfigError

DECAYS = np.repeat([0.03, 0.06, 0.1, 0.2, 0.4], 8)
SEEDS = np.tile(np.arange(8), 5)
GROKKED = DECAYS + 0.004 * SEEDS > 0.09
NOISE = np.random.default_rng(0).normal(0.0, 0.1, 40)
RUNS = pd.DataFrame(
    {
        "weight_decay": DECAYS,
        "seed": SEEDS,
        "grokked": GROKKED.astype(int),
        "time": np.where(GROKKED, np.round(300.0 / DECAYS * np.exp(NOISE)), np.nan),
        "peak": np.sqrt(DECAYS) + NOISE,
    }
)
OPEN = ("crashed", "running")


def with_open(state: str = "state", words: tuple[str, str] = OPEN) -> pd.DataFrame:
    """The runs, and 12 more that did not finish, as trackers export them."""
    said = [words[0]] * 10 + [words[1]] * 2
    more = RUNS.iloc[-12:].assign(grokked=0, time=np.nan, **{state: said})
    return pd.concat([RUNS.assign(**{state: "finished"}), more], ignore_index=True)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("state", ("crashed", "running")),
        ("State", ("failed", "killed")),
        ("status", ("FAILED", "RUNNING")),
        ("Status", ("CANCELLED by 1000", "TIMEOUT")),
        ("tags.status", ("PRUNED", "WAITING")),
    ],
)
def test_they_are_left_out_with_reason_and_count(state: str, words: tuple[str, str]) -> None:
    whole = fits.boundary(RUNS.drop(columns="time"), "firth", horizon_steps=20000)
    found = fits.boundary(
        with_open(state, words).drop(columns="time"), "firth", horizon_steps=20000
    )
    assert found.params.equals(whole.params)
    assert found.record["n"] == 40
    said = [w for w in found.record["warnings"] if "did not finish" in w]
    assert len(said) == 1
    assert f"Rows whose {state} is " in said[0]
    assert f"{words[0].lower()} (10)" in said[0]
    assert f"{words[1].lower()} (2)" in said[0]


@pytest.mark.slow
def test_every_question_that_reads_a_table_leaves_them_out(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    with_open().to_csv(path, index=False)
    wanted = "Rows whose state is crashed (10) or running (2) are left out: they did not finish."
    asked = {
        "times": lambda: fits.times(path, n_bootstrap=50, time="time"),
        "survival": lambda: fits.survival(path, time="time", horizon_steps=20000),
        "paired": lambda: fits.paired(path, value="peak", arm="weight_decay", pair="seed"),
        "variance": lambda: fits.variance(path, value="peak", group=["seed"], arm="weight_decay"),
        "curves": lambda: fits.curves(
            path, "saturation", step="weight_decay", value="peak", n_bootstrap=50
        ),
    }
    for name, ask in asked.items():
        assert wanted in ask().records[0]["warnings"], name


def test_a_column_that_the_user_names_is_left_to_him() -> None:
    kept = finished_rows(with_open(), ["state == 'crashed'"])
    assert len(kept) == 52
    asked = fits.boundary(with_open(), "firth", where="state != 'running'", horizon_steps=20000)
    assert asked.record["n"] == 50


def test_other_words_are_no_states() -> None:
    frame = RUNS.assign(status=np.where(RUNS["grokked"] > 0, "grokked", "failed"))
    assert finished_rows(frame) is frame
    assert finished_rows(RUNS.assign(state="finished")).attrs == {}
    missing = RUNS.assign(state=[None] * 39 + ["crashed"])
    assert len(finished_rows(missing)) == 39


def test_a_table_of_open_runs_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"No run of the table finished\. .*running \(40\)"):
        fits.boundary(RUNS.assign(state="running"), "firth")
