"""From outcomes to records: censoring at horizons, counts, refusals, files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from observatory.analysis.tables.sources import open_table

from observatory.analysis.boundary.estimators.firth_points import firth_points
from observatory.analysis.fit.study import (
    cell_table,
    fit_outcomes,
    fit_study,
    observations,
    pooling_caveats,
    waiting_time,
    write_fits,
    write_replicas_csv,
)
from observatory.analysis.horizon.estimators.boundary import boundaries
from observatory.analysis.stats.bins import bin_rates
from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.outcomes import censored, replicas_table
from observatory.core.columns import Column
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.store.reader import Study
from observatory.store.writer import ShardWriter, create_run

EVENTS = ("mem", "first99", "verma")
OUTCOME_COLUMNS = (
    Column(name="retire_reason", unit="1", meaning="why it left", dtype="string"),
    Column(name="outcome", unit="1", meaning="label", dtype="string"),
    Column(name="instant", unit="1", meaning="no delay", dtype="bool"),
    Column(name="diverged_step", unit="steps", meaning="first non-finite step", dtype="int64"),
    *(
        Column(name=f"{event}_{part}", unit="steps", meaning=part, dtype=dtype)
        for event in EVENTS
        for part, dtype in (("lo", "float64"), ("hi", "float64"), ("observed", "bool"))
    ),
)
LSQ = "observatory.analysis.boundary.estimators.least_squares.BoundaryLsq"
LAW = "observatory.analysis.times.estimators.survivors.TimePowerLaw"


def row(weight_decay, outcome, t=None, watched=2500, diverged=None, untimed=False, **more) -> dict:
    """One replica; `t` is its time to grok, looks are 25 steps apart."""
    seen = {"lo": None if t is None else t - 25.0, "hi": t, "observed": t is not None}
    late = {"lo": None, "hi": None, "observed": True} if untimed else seen
    return {
        "weight_decay": weight_decay,
        "step": None if outcome is None else watched,
        "outcome": outcome,
        "retire_reason": None if outcome is None else "horizon",
        "instant": None if outcome is None else False,
        "diverged_step": diverged,
        **{
            f"mem_{k}": v for k, v in zip(("lo", "hi", "observed"), (50.0, 75.0, True), strict=True)
        },
        **{f"first99_{k}": v for k, v in seen.items()},
        **{f"verma_{k}": v for k, v in late.items()},
        **more,
    }


def frame(rows: list[dict]) -> pd.DataFrame:
    """As `Run.outcomes()` gives it: nullable dtypes, keys first."""
    table = pd.DataFrame(rows).convert_dtypes()
    table.insert(0, "lr", 0.01)
    table.insert(0, "seed", np.arange(len(rows)) % 8)
    table.insert(0, "shard", 0)
    table.insert(0, "replica", np.arange(len(rows)))
    table.insert(0, "run_id", "0123456789ab")
    return table


MIXED = [
    row(0.1, "grokked", t=1000.0, watched=1300),
    row(0.1, "grokked", t=2000.0, watched=2300),
    row(0.1, "lost", t=500.0),
    row(0.1, "memorised"),
    row(1.0, "diverged", t=400.0, diverged=1500, watched=1500),
    row(1.0, "collapsed", t=300.0, watched=1200),
    row(1.0, "grokked", t=200.0, watched=500),
    row(1.0, None),
]


@pytest.mark.parametrize(
    ("horizon", "grokked"),
    [
        (2500, [True, True, True, False, False, False, True]),
        (1999, [True, False, True, False, False, False, True]),
        (1300, [True, False, True, False, True, False, True]),  # it diverged later
        (1000, [True, False, True, False, True, True, True]),  # it collapsed later
        (450, [False, False, False, False, True, True, True]),
        (100, [False] * 7),
    ],
)
def test_a_shorter_horizon_knows_only_what_had_happened(horizon: int, grokked) -> None:
    found = censored(frame(MIXED), "first99", horizon)
    assert found.grokked.tolist() == grokked
    assert not np.isnan(found.t_hi[found.grokked]).any()


def told(data: Observations) -> list[tuple[float, ...]]:
    """What fits read of each row, in an order that does not depend on the table's."""
    time = np.where(data.grokked, data.time, -1.0)
    return sorted(
        zip(data.weight_decay, data.grokked, data.failed, time, data.followed, strict=True)
    )


@pytest.mark.parametrize("horizon", [1999, 1500, 1300, 1000, 450, 200])
def test_cutting_a_record_again_forgets_nothing_that_had_happened(horizon: int) -> None:
    at_once = observations(frame(MIXED), "first99", horizon, 10)
    whole = observations(frame(MIXED), "first99", 2500, 10)
    table = open_table(replicas_table(frame(MIXED)), {"horizon_steps": 2500}, timed=True)
    bins = bin_rates(at_once)
    plain = 10.0 ** firth_points(bins.x, bins.n[None], bins.k[None])[0, 0]
    for data in (whole, table.cut()[0]):
        assert told(data.at_horizon(2000).at_horizon(horizon)) == told(at_once)
        shown = boundaries(data, np.array([float(horizon)]), np.ones((1, 7)))[0, 0]
        assert shown == pytest.approx(plain)


def test_runs_that_failed_after_they_grokked_had_grokked_before() -> None:
    runs = pd.DataFrame(
        {
            "weight_decay": [0.1, 1.0, 1.0],
            "time": [np.nan, 300.0, 500.0],
            "steps_watched": [2500, 1200, 2500],
            "outcome": ["memorised", "collapsed", "grokked"],
        }
    )
    late = open_table(runs, {"horizon_steps": 2500}, timed=True).cut()[0]
    assert late.grokked.tolist() == [False, False, True]
    early = open_table(runs, {"horizon_steps": 1000}, timed=True).cut()[0]
    assert early.grokked.tolist() == [False, True, True]
    assert told(late.at_horizon(1000)) == told(early)


def test_unknown_events_and_events_without_a_time_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"must be one of \['mem', 'first99', 'verma'\], got first98"
    ):
        censored(frame(MIXED), "first98", 2500)
    late = frame([row(0.1, "memorised", untimed=True)])
    assert censored(late, "verma", 2500).grokked.tolist() == [True]
    with pytest.raises(FitRefusedError, match="Event verma at 1000 steps"):
        censored(late, "verma", 1000)


def test_cell_table_counts_rates_and_waiting_times() -> None:
    low, high = cell_table(frame(MIXED), "first99", 2500, 0.95).to_dict("records")
    assert (low["weight_decay"], low["n"], low["n_event"], low["rate"]) == (0.1, 4, 3, 0.75)
    assert (low["wilson_low"], low["wilson_high"]) == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert (low["grokked"], low["lost"], low["memorised"], low["unfinished"]) == (2, 1, 1, 0)
    assert (low["t_q25"], low["t_median"], low["t_q75"]) == (500.0, 1000.0, 2000.0)
    assert (high["n"], high["n_event"], high["unfinished"]) == (3, 1, 1)
    assert (high["diverged"], high["collapsed"]) == (1, 1)
    assert high["t_q25"] == 200.0
    assert np.isnan(high["t_median"])
    assert high["t_median_grokked"] == 200.0


def test_a_cell_without_a_finished_replica_has_no_rate() -> None:
    (cell,) = cell_table(frame([row(0.1, None)]), "first99", 2500, 0.95).to_dict("records")
    assert (cell["n"], cell["unfinished"]) == (0, 1)
    assert np.isnan([cell["rate"], cell["wilson_low"], cell["t_median"]]).all()


@pytest.mark.parametrize(("n", "share", "time"), [(4, 0.5, 20.0), (5, 0.5, 30.0), (8, 0.5, np.nan)])
def test_waiting_time_is_a_quantile_over_all_replicas(n: int, share: float, time: float) -> None:
    found = waiting_time(np.array([30.0, 10.0, 20.0]), n, share)
    assert found == time or (np.isnan(found) and np.isnan(time))


def laptop(n_seeds: int = 8) -> pd.DataFrame:
    """Times 300 / weight_decay with 35 % noise: a boundary that the horizon alone makes."""
    rng = np.random.default_rng(2)
    rows = []
    for weight_decay in (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 10.0):
        for _ in range(n_seeds):
            if weight_decay in (0.0, 10.0):
                rows.append(row(weight_decay, "collapsed" if weight_decay else "memorised"))
                continue
            t = 25.0 * np.ceil(12.0 / weight_decay * np.exp(0.35 * rng.normal()))
            late = t > 2500
            rows.append(
                row(weight_decay, "memorised" if late else "grokked", t=None if late else t)
            )
    return frame(rows)


def settings(**study) -> dict:
    shared = {"window_max": 1.0, "level": 0.95, "n_bootstrap": 200}
    return {
        "study": {
            "events": ["first99"],
            "horizon_fractions": [1.0, 0.6, 0.4],
            "horizon_steps": None,
            "critical_from": ["lsq", "smoothed"],
            "longest_only": [],
            "seed": 0,
            "shared_by_the_yaml": 1,
            **study,
        },
        "law": {"_target_": LAW, "critical": "boundary", "n_grid": 50, **shared},
        "lsq": {
            "_target_": LSQ,
            "smoothing": 0.0,
            "interval": "percentile",
            "n_studies": 2,
            **shared,
        },
        "smoothed": {
            "_target_": LSQ,
            "smoothing": 0.5,
            "interval": "percentile",
            "n_studies": 2,
            **shared,
        },
    }


def test_every_event_horizon_and_fit_gives_a_record() -> None:
    records = fit_outcomes(laptop(), 2500, 10, settings(events=["first99", "mem"]), [])
    keys = [(r["event"], r["horizon_steps"], r["estimator"]) for r in records]
    assert len(set(keys)) == len(keys) == 2 * 3 * 3
    assert {r["horizon_epochs"] for r in records} == {250.0, 150.0, 100.0}
    memorised = [r for r in records if r["event"] == "mem" and r["fit"] == "boundary"]
    assert all("Every replica grokked" in r["refused"] for r in memorised)


def test_the_boundary_moves_with_the_horizon() -> None:
    records = fit_outcomes(laptop(), 2500, 1, settings(), [])
    critical = {
        r["horizon_steps"]: r["params"]["critical"]["value"]
        for r in records
        if r["estimator"] == "least_squares_smoothed"
    }
    assert list(critical) == [2500, 1500, 1000]
    # times of 300 / weight_decay cross the horizon T at 300 / T: 0.12, 0.2, 0.3
    for horizon, found in critical.items():
        assert found == pytest.approx(300 / horizon, rel=0.2)


def test_the_times_take_the_first_boundary_that_is_not_refused() -> None:
    records = fit_outcomes(laptop(), 2500, 1, settings(horizon_steps=[2500]), [])
    by_estimator = {r["estimator"]: r for r in records}
    lsq, law = by_estimator["least_squares"], by_estimator["log_least_squares_boundary"]
    assert lsq["refused"] is None
    assert law["extras"]["critical"] == lsq["params"]["critical"]["value"]
    separated = laptop()
    inside = separated["weight_decay"].between(0.03, 1.0)
    low = separated["weight_decay"] < 0.12
    for name in ("first99_lo", "first99_hi"):
        separated.loc[inside & low, name] = pd.NA
        separated.loc[inside & ~low, name] = 500.0
    separated.loc[inside, "first99_observed"] = ~low[inside]
    separated.loc[separated["weight_decay"] == 0.5, ["first99_lo", "first99_hi"]] = 250.0
    again = fit_outcomes(separated, 2500, 1, settings(horizon_steps=[2500]), [])
    by_estimator = {r["estimator"]: r for r in again}
    assert by_estimator["least_squares"]["refused"].startswith("Separation")
    fallback = by_estimator["least_squares_smoothed"]["params"]["critical"]["value"]
    assert by_estimator["log_least_squares_boundary"]["extras"]["critical"] == fallback


def test_unfinished_replicas_and_caveats_are_told_in_every_record() -> None:
    table = pd.concat([laptop(), frame([row(0.2, None)])], ignore_index=True)
    records = fit_outcomes(table, 2500, 1, settings(), ["Pooled."])
    for record in records:
        assert record["warnings"][:2] == [
            "Pooled.",
            "Replicas that have not finished are left out (1).",
        ]
    assert {r["n"] for r in records if r["fit"] == "boundary"} == {64}


@pytest.mark.parametrize("steps", [[2500, 3000], [0]])
def test_a_horizon_that_was_not_run_is_refused(steps) -> None:
    with pytest.raises(ConfigError, match=r"`horizon_steps` must be in \(0, 2500\]"):
        fit_outcomes(laptop(), 2500, 1, settings(horizon_steps=steps), [])


def test_pooling_different_settings_is_told() -> None:
    table = laptop()
    one = {"config": {"model": {"d_model": 32}}, "horizon_steps": 2500}
    assert pooling_caveats(table, [one, one]) == []
    other = {"config": {"model": {"d_model": 64}}, "horizon_steps": 2000}
    table.loc[0, "lr"] = 0.1
    (caveat,) = pooling_caveats(table, [one, other])
    assert (
        caveat
        == "Replicas that differ in lr, model, horizon_steps (cut at the shortest) are pooled."
    )


def test_replicas_csv_has_the_columns_of_the_definitions() -> None:
    table = replicas_table(frame(MIXED).assign(beta=0.9))
    assert list(table.columns) == [
        *("run_id", "replica", "seed", "weight_decay", "lr", "beta"),
        *("outcome", "instant", "diverged_step", "steps_watched", "retire_reason"),
        *("t_mem_lo", "t_mem_hi"),
        *("first99_lo", "first99_hi", "first99_observed"),
        *("verma_lo", "verma_hi", "verma_observed"),
    ]


def write_study(folder: Path, table: pd.DataFrame) -> Study:
    """The outcomes as the real store holds them, in two shards."""
    run = folder / "runs" / "0123456789ab"
    shard = np.arange(len(table)) % 2
    manifest = {
        "schema_version": 1,
        "run_id": "0123456789ab",
        "identity": "0" * 64,
        "status": "done",
        "steps_per_epoch": 10,
        "horizon_steps": 2500,
        "config": {"model": {"d_model": 32}},
        "tables": {"outcomes": [column.to_json() for column in OUTCOME_COLUMNS]},
    }
    names = ("replica", "seed", "weight_decay", "lr")
    static = {name: table[name].to_numpy() for name in names}
    create_run(run, manifest, {**static, "shard": shard}, "seed: 0\n")
    for k in (0, 1):
        writer = ShardWriter(
            run / "shards" / str(k), "0123456789ab", {"outcomes": OUTCOME_COLUMNS}, 0
        )
        for _, replica in table[(shard == k) & table["outcome"].notna().to_numpy()].iterrows():
            values = {c.name: replica[c.name] for c in OUTCOME_COLUMNS}
            writer.append(
                "outcomes",
                np.array([replica["replica"]]),
                np.array([replica["step"]]),
                {n: None if pd.isna(v) else np.array([v]) for n, v in values.items()},
            )
        writer.flush(2500)
    return Study(folder)


def test_a_stored_study_gives_the_same_records_and_its_files(tmp_path: Path) -> None:
    table = pd.concat([laptop(), frame([row(0.2, None)])], ignore_index=True)
    table["replica"] = np.arange(len(table))
    study = write_study(tmp_path / "map", table)
    records = fit_study(study, settings())
    assert records == fit_outcomes(table, 2500, 10, settings(), [])
    written = json.loads(write_fits(study.folder, records).read_text())
    assert written == {"schema_version": 1, "fits": records}
    csv = pd.read_csv(write_replicas_csv(study))
    assert len(csv) == len(table)
    assert csv["outcome"].isna().sum() == 1
    assert csv["first99_hi"].count() == (table["first99_observed"].fillna(False)).sum()
