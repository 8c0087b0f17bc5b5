"""The statistic over replicas whose records have different length."""

import numpy as np
import pandas as pd

from observatory.analysis.page.bands import bands, log_grid, on_grid, quartiles


def _records(lengths: dict[int, int], value=lambda replica, step: float(replica)) -> pd.DataFrame:
    rows = [
        ("r", replica, step, value(replica, step))
        for replica, last in lengths.items()
        for step in range(0, last + 1, 10)
    ]
    return pd.DataFrame(rows, columns=["run_id", "replica", "step", "x"])


def _replicas(n: int, weight_decay: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame({"run_id": "r", "replica": range(n), "weight_decay": weight_decay})


def test_a_curve_ends_with_the_last_record_of_its_cell_and_needs_half_of_the_replicas():
    frame = _records({0: 100, 1: 50, 2: 30, 3: 200})
    replicas = _replicas(5)  # the fifth has no record at all
    replicas["weight_decay"] = [1.0, 1.0, 1.0, 2.0, 1.0]
    made = bands(frame, replicas, ["x"], size=50)
    cell = made[made["weight_decay"] == 1.0]
    assert cell["step"].max() == 100
    assert cell.loc[cell["step"] == 100, "n"].item() == 3
    assert (cell["n_cell"] == 4).all()
    assert bands(frame, _replicas(9), ["x"], size=50).empty  # four of nine


def test_a_replica_that_left_keeps_its_last_reading_in_median_and_quartiles():
    made = bands(_records({0: 100, 1: 100, 2: 100, 3: 50}), _replicas(4), ["x"], size=50)
    early, late = made[made["step"] == 50].iloc[0], made[made["step"] == 100].iloc[0]
    assert (early["median"], early["q25"], early["q75"]) == (1.5, 0.75, 2.25)
    assert (late["median"], late["n"]) == (1.5, 4)


def test_readings_that_are_not_finite_are_left_out():
    frame = _records({0: 20, 1: 20, 2: 20})
    frame.loc[(frame["replica"] == 2) & (frame["step"] == 20), "x"] = np.nan
    made = bands(frame, _replicas(3), ["x"], size=50)
    last = made[made["step"] == 20].iloc[0]
    assert (last["median"], last["n"]) == (0.5, 2)


def test_a_replica_is_read_at_its_last_look_before_the_step():
    frame = _records({0: 30, 1: 20}, value=lambda replica, step: float(step))
    readings, index, ends = on_grid(frame, "x", np.array([5, 19, 20, 30]))
    assert index.tolist() == [("r", 0), ("r", 1)]
    np.testing.assert_array_equal(readings, [[0, 10, 20, 30], [0, 10, 20, 20]])
    assert ends.tolist() == [30, 20]


def test_thinning_keeps_the_ends_and_spreads_evenly_on_the_log_axis():
    grid = log_grid(np.arange(0, 100_001, 10), 40)
    assert (grid[0], grid[-1]) == (10, 100_000)
    assert grid.size <= 40
    assert np.ptp(np.diff(np.log(grid[15:]))) < 0.15


def test_replicas_of_other_weight_decays_do_not_mix():
    replicas = _replicas(2)
    replicas["weight_decay"] = [0.0, 1.0]
    made = bands(_records({0: 20, 1: 20}), replicas, ["x"], size=10)
    assert made.groupby("weight_decay")["median"].unique().map(list).to_dict() == {0: [0], 1: [1]}


def test_quartiles_are_those_of_the_finite_readings_of_each_column():
    readings = np.random.default_rng(0).normal(size=(7, 40))
    readings[np.random.default_rng(1).random(readings.shape) < 0.4] = np.nan
    readings[0], readings[3, 5] = 1.0, np.inf
    slow = [np.quantile(column[np.isfinite(column)], [0.25, 0.5, 0.75]) for column in readings.T]
    np.testing.assert_array_equal(quartiles(readings), np.transpose(slow))
