"""Tables of every layout become the same observations."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.stats.bins import bin_rates
from observatory.analysis.tables.files import read_table
from observatory.analysis.tables.observe import observe
from observatory.analysis.tables.reading import Columns, Reading, cut
from observatory.core.errors import ConfigError, FitRefusedError

NAN = float("nan")


def read(frame: pd.DataFrame, *, event: str | None = None, horizon: int | None = None, **names):
    reading = observe(frame, Columns(**names), event, horizon, timed=False)
    assert isinstance(reading, Reading)
    return reading


def test_counts_of_one_value_are_summed_and_rows_without_runs_say_nothing() -> None:
    frame = pd.DataFrame({"weight_decay": [1.0, 0.1, 1.0, 2.0], "n": [4, 3, 6, 0]})
    frame["n_grokked"] = [4, 1, 3, 0]
    bins = bin_rates(read(frame).observations)
    assert bins.weight_decay == pytest.approx([0.1, 1.0])
    assert (bins.n.tolist(), bins.k.tolist()) == ([3, 10], [1, 7])


def test_counts_of_a_seed_stay_together() -> None:
    counts = pd.DataFrame({"weight_decay": [0.1, 0.1, 1.0, 1.0], "seed": [0, 1, 0, 1]})
    counts["n"], counts["n_grokked"] = [3, 2, 3, 4], [1, 0, 3, 2]
    each = counts.loc[counts.index.repeat(counts["n"])].drop(columns=["n", "n_grokked"])
    each["grokked"] = [1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0]
    summed, spread = (bin_rates(read(table).observations) for table in (counts, each))
    assert summed.n_by is not None
    assert summed.n_by.tolist() == np.asarray(spread.n_by).tolist() == [[3, 3], [2, 4]]
    assert np.asarray(summed.k_by).tolist() == np.asarray(spread.k_by).tolist() == [[1, 3], [0, 2]]


def test_fractional_counts_need_weights() -> None:
    frame = pd.DataFrame({"weight_decay": [0.1], "n": [2.5], "n_grokked": [0.5], "weight": [2.0]})
    data = read(frame).observations
    assert dict(zip(data.grokked.tolist(), data.weights.tolist(), strict=True)) == {
        True: 1,
        False: 4,
    }


@pytest.mark.parametrize(
    "grokked",
    [[1, 0], [1.0, 0.0], [True, False], ["true", "FALSE"], ["yes", " no"], ["1", "0"]],
)
def test_success_is_read_in_every_common_spelling(grokked) -> None:
    frame = pd.DataFrame({"weight_decay": [0.1, 0.2], "grokked": grokked})
    assert read(frame).observations.grokked.tolist() == [True, False]


def test_rows_come_in_an_order_of_their_own() -> None:
    frame = pd.DataFrame(
        {"lr": [2.0, 1.0, 1.0], "grokked": [1, 1, 0], "seed": ["b", "b", "a"], "time": [3, 5, NAN]}
    )
    data = read(frame, control="lr").observations
    assert data.control == "lr"
    assert data.weight_decay.tolist() == [1.0, 1.0, 2.0]
    assert data.seed is not None
    assert np.unique(data.seed).size == 2
    assert data.seed[data.time == 3] == data.seed[data.time == 5]


def test_seeds_are_the_same_in_every_table() -> None:
    for values, others in (([3, 7], [7.0, 9.0]), (["b", "a"], ["a", "c"])):
        seeds = [
            read(
                pd.DataFrame({"weight_decay": 1.0, "grokked": [0, 1], "seed": column})
            ).observations.seed
            for column in (values, others)
        ]
        assert len(set(seeds[0]) & set(seeds[1])) == 1


def test_the_last_look_of_a_row_without_a_time_is_where_watching_ended() -> None:
    frame = pd.DataFrame({"weight_decay": [0.1, 0.2], "t_lo": [500, 75], "t_hi": [NAN, 100]})
    data = read(frame).observations
    assert data.grokked.tolist() == [False, True]
    assert data.followed.tolist() == [500, 100]
    assert data.time_lo is not None
    assert np.isnan(data.time_lo[0])


def test_a_time_without_a_look_before_it_may_be_any_up_to_it() -> None:
    """As of a table of one look each, whose lower ends are empty where there was an event."""
    frame = pd.DataFrame({"weight_decay": [0.1, 0.2, 0.3], "t_lo": [500, NAN, 90]})
    reading = read(frame.assign(t_hi=[NAN, 100, 90]))
    assert reading.observations.time_lo is not None
    assert reading.observations.time_lo[1:].tolist() == [0.0, 90.0]
    assert "empty `t_lo` (1): the event may have come at any step" in reading.warnings[0]
    exact = read(frame.assign(t_lo=NAN, t_hi=[NAN, 100, 90]))  # no look is named at all
    assert exact.observations.time_lo is None
    assert not any("t_lo" in warning for warning in exact.warnings)


def test_a_time_beside_no_success_is_told_to_be_the_end_of_watching() -> None:
    frame = pd.DataFrame(
        {"weight_decay": [0.1, 0.2], "duration": [500, 100], "event_observed": [0, 1]}
    )
    reading = read(frame, time="duration")
    assert "(1): it is read as the step at which watching ended" in reading.warnings[0]
    assert reading.observations.followed.tolist() == [500, 100]
    assert np.isnan(reading.observations.time[0])


def test_a_collapsed_run_has_not_grokked() -> None:
    frame = pd.DataFrame(
        {"weight_decay": [0.1, 0.2], "grokked": [1, 1], "outcome": ["collapsed", "grokked"]}
    )
    reading = read(frame)
    assert reading.observations.grokked.tolist() == [False, True]
    assert reading.observations.failed.tolist() == [True, False]
    assert "(1) count as without it" in reading.warnings[0]


def test_what_may_have_been_pasted_twice_is_counted() -> None:
    once = pd.DataFrame({"weight_decay": [0.1, 0.2], "grokked": [0, 1], "seed": [0, 0]})
    twice = pd.concat([once, once], ignore_index=True)
    assert read(once).warnings == []
    told = read(twice).warnings
    assert told[0].startswith("2 of 4 rows repeat the weight_decay and the seed of another")
    assert "second half of the table repeats the first" in told[1]
    unseeded = read(twice.drop(columns="seed")).warnings
    assert len(unseeded) == 1
    counts = pd.DataFrame({"weight_decay": [0.1, 0.1], "n": [5, 5], "n_grokked": [1, 1]})
    assert "1 of 2 rows repeat every cell" in read(counts).warnings[0]


def test_records_are_cut_at_a_horizon_and_counts_only_named_by_it() -> None:
    frame = pd.DataFrame({"weight_decay": [0.1, 0.2, 0.3], "time": [NAN, 90, 40]})
    frame["watched"] = [50, 90, 100]
    data, notes = cut(read(frame).observations, 60)
    assert data.grokked.tolist() == [False, False, True]
    assert data.horizon_steps == 60
    assert "watched for less than 60 steps (1)" in notes[0]
    counts = pd.DataFrame({"weight_decay": [0.1], "n": [5], "n_grokked": [1]})
    known, _ = cut(read(counts).observations, 60)
    assert known.horizon_steps == 60
    with pytest.raises(FitRefusedError, match="rows without a time"):
        cut(read(counts).observations, 60, run=100)


REPLICAS = pd.DataFrame(
    {
        "run_id": "a",
        "replica": [0, 1, 2, 3, 4],
        "seed": [0, 1, 0, 1, 2],
        "weight_decay": [0.1, 0.1, 1.0, 1.0, 1.0],
        "outcome": ["grokked", "memorised", "collapsed", "diverged", None],
        "diverged_step": [NAN, NAN, NAN, 80, NAN],
        "steps_watched": [70, 100, 90, 100, NAN],
        "first99_lo": [40, NAN, 50, 20, NAN],
        "first99_hi": [50, NAN, 60, 30, NAN],
        "first99_observed": [True, False, True, True, None],
        "verma_lo": [NAN] * 5,
        "verma_hi": [NAN] * 5,
        "verma_observed": [True, False, False, False, None],
    }
)


def test_replicas_are_read_by_their_event() -> None:
    reading = read(REPLICAS)
    data = reading.observations
    assert data.event == "first99"
    assert data.weight_decay.tolist() == [0.1, 0.1, 1.0, 1.0]
    assert int(data.grokked.sum()) == 1
    assert int(data.failed.sum()) == 2
    assert reading.warnings[0] == "Replicas without a record yet are left out (1)."
    assert read(REPLICAS, event="verma").observations.event == "verma"


def test_replicas_that_still_train_limit_the_horizon() -> None:
    going = REPLICAS.assign(steps_watched=[70, 100, 90, 100, 60])
    going["first99_observed"] = [True, False, True, True, False]
    for horizon in (None, 100):
        with pytest.raises(ConfigError, match="`horizon_steps` must be at most 60, up to which"):
            read(going, horizon=horizon)
    data, _ = cut(read(going, horizon=60).observations, 60, 100)
    assert (data.n, int(data.grokked.sum())) == (5, 3)
    with pytest.raises(ConfigError, match="`event` verma cannot be seen before the end"):
        read(going, event="verma", horizon=60)


def test_what_failed_after_the_horizon_may_have_grokked_before() -> None:
    data, _ = cut(read(REPLICAS, horizon=60).observations, 60, 100)
    assert int(data.failed.sum()) == 0
    assert sorted(data.time[data.grokked].tolist()) == [30, 50, 60]
    with pytest.raises(FitRefusedError, match="Event verma has rows without a time"):
        cut(read(REPLICAS, event="verma", horizon=60).observations, 60, 100)


def test_an_unknown_event_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"must be one of .*'verma'.*, got 'held99'"):
        read(REPLICAS, event="held99")


def test_row_numbers_count_replicas_that_have_not_finished() -> None:
    frame = REPLICAS.iloc[::-1].reset_index(drop=True)
    frame.loc[4, "first99_lo"] = 55
    with pytest.raises(ValueError, match="`first99_lo` must be at most `first99_hi` in row 5"):
        read(frame)


@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
def test_files_give_what_frames_give(tmp_path: Path, separator: str) -> None:
    rows = [["weight_decay", "grokked"], ["0.1", "yes"], ["1", "no"]]
    text = "\n".join(separator.join(row) for row in rows)
    (tmp_path / "a.csv").write_text("\ufeff" + text, encoding="utf-8")
    frame = read_table(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    for found in (frame, read_table(tmp_path / "a.parquet")):
        assert read(found).observations.grokked.tolist() == [True, False]


def test_a_million_rows_take_seconds() -> None:
    """Bounded by 20 s, some twenty times what it takes: a loop over rows would take minutes."""
    import time

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"weight_decay": rng.choice([0.1, 0.3, 1.0], 10**6)})
    frame["grokked"] = np.where(rng.random(10**6) < 0.5, "yes", "no")
    frame["seed"] = rng.integers(0, 1000, 10**6)
    start = time.perf_counter()
    reading = read(frame)
    assert time.perf_counter() - start < 20
    assert reading.observations.n == 10**6


@pytest.mark.parametrize("never", [None, np.inf, 1.7976931348623157e308, "inf", "Infinity", " "])
def test_never_is_empty_infinite_or_the_largest_number(never: object) -> None:
    """MLflow makes 1.797e308 of infinity; a tracker writes inf."""
    runs = pd.DataFrame({"weight_decay": [0.1, 0.2, 0.4] * 3, "seed": range(9)})
    runs["time"] = [never, 300.0, 200.0] * 3
    runs["t_lo"] = [100.0, 250.0, 150.0] * 3
    data = read(runs, horizon=500).observations
    assert data.grokked.tolist() == [False] * 3 + [True] * 6
    assert np.isnan(data.time[:3]).all()
    assert data.watched[:3].tolist() == [100.0] * 3
