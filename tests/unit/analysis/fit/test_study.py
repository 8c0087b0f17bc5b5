"""From outcomes to records: censoring at horizons, counts, refusals, files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.boundary.estimators.likelihood import firth_points
from observatory.analysis.fit.observed import open_runs
from observatory.analysis.fit.plan import completed
from observatory.analysis.fit.settings import settings_of
from observatory.analysis.fit.study import (
    are_current,
    fit_outcomes,
    fit_study,
    read_fits,
    write_fits,
    write_replicas_csv,
)
from observatory.analysis.horizon.estimators.boundary import boundaries
from observatory.analysis.stats.bins import bin_rates
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.text import text_of
from observatory.analysis.tables.cells import CELLS, observations
from observatory.analysis.tables.outcomes import censored, replicas_table
from observatory.analysis.tables.recorded import common_step
from observatory.core.columns import Column
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.store.reader import Study
from observatory.store.writer import ShardWriter, create_run
from tests.made_outcomes import EVENTS, MIXED, frame, laptop, row

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
LAW = "observatory.analysis.times.estimators.uncensored.TimePowerLaw"


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
    table = open_runs(replicas_table(frame(MIXED)), {"horizon_steps": 2500}, timed=True)
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
    late = open_runs(runs, {"horizon_steps": 2500}, timed=True).cut()[0]
    assert late.grokked.tolist() == [False, False, True]
    early = open_runs(runs, {"horizon_steps": 1000}, timed=True).cut()[0]
    assert early.grokked.tolist() == [False, True, True]
    assert told(late.at_horizon(1000)) == told(early)


def settings(**study) -> dict:
    shared = {"window_max": 1.0, "level": 0.95, "n_bootstrap": 200}
    return {
        "study": {
            "events": ["first99"],
            "horizon_fractions": [1.0, 0.6, 0.4],
            "horizon_steps": None,
            "lead": ["lsq", "smoothed"],
            "longest_only": [],
            "level": 0.95,
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


def test_an_older_study_is_completed_and_one_of_today_keeps_what_it_was_asked_for() -> None:
    now = {**settings(max_contrasts=16, sizes=[]), "paired": settings_of("paired", None)[1]}
    before = {name: node for name, node in settings().items() if name != "smoothed"}
    whole = completed(before, now)
    assert set(whole) == {"study", "lsq", "law", "paired"}
    assert whole["study"] == {**before["study"], "max_contrasts": 16, "sizes": []}
    of_today = {"study": now["study"], "law": now["law"]}
    assert completed(of_today, now) == of_today


@pytest.mark.slow
def test_every_event_horizon_and_fit_gives_a_record() -> None:
    records = fit_outcomes(laptop(), 2500, 10, settings(events=["first99", "mem"]))
    keys = [(r["event"], r["horizon_steps"], r["estimator"]) for r in records]
    assert len(set(keys)) == len(keys) == 2 * 3 * 3
    assert {r["horizon_epochs"] for r in records} == {250.0, 150.0, 100.0}
    memorised = [r for r in records if r["event"] == "mem" and r["fit"] == "boundary"]
    assert all("Every replica had the event `" in r["refused"] for r in memorised)


@pytest.mark.slow
def test_the_boundary_moves_with_the_horizon() -> None:
    records = fit_outcomes(laptop(), 2500, 1, settings())
    critical = {
        r["horizon_steps"]: r["params"]["critical"]["value"]
        for r in records
        if r["estimator"] == "least_squares_smoothed"
    }
    assert list(critical) == [2500, 1500, 1000]
    # times of 300 / weight_decay cross the horizon T at 300 / T: 0.12, 0.2, 0.3
    for horizon, found in critical.items():
        assert found == pytest.approx(300 / horizon, rel=0.2)


@pytest.mark.slow
def test_the_times_take_the_boundary_that_leads() -> None:
    records = fit_outcomes(laptop(), 2500, 1, settings(horizon_steps=[2500]))
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
    again = fit_outcomes(separated, 2500, 1, settings(horizon_steps=[2500]))
    by_estimator = {r["estimator"]: r for r in again}
    assert by_estimator["least_squares"]["refused"].startswith("Separation")
    smoothed = by_estimator["least_squares_smoothed"]
    fallback = smoothed["params"]["critical"]["value"]
    assert (
        smoothed["extras"]["lead"] == "smoothed leads at every horizon: lsq refuses at 2500 steps."
    )
    assert by_estimator["log_least_squares_boundary"]["extras"]["critical"] == fallback


@pytest.mark.slow
def test_one_boundary_leads_at_every_horizon_though_another_answers_at_some() -> None:
    """At 1500 steps the counts separate: least squares refuses there, and leads nowhere."""
    table = laptop()
    step = table["weight_decay"] >= 0.2
    late = table["first99_hi"].between(1001, 1500) | ~table["first99_observed"].astype(bool)
    table.loc[step & (table["weight_decay"] <= 1.0), ["first99_lo", "first99_hi"]] = 900.0
    table.loc[step & (table["weight_decay"] <= 1.0), "first99_observed"] = True
    table.loc[~step & ~late, ["first99_lo", "first99_hi"]] = 2000.0
    records = fit_outcomes(table, 2500, 1, settings(horizon_steps=[2500, 1500]))
    of = {(r["estimator"], r["horizon_steps"]): r for r in records}
    assert of["least_squares", 2500]["refused"] is None
    assert of["least_squares", 1500]["refused"].startswith("Separation")
    for horizon in (2500, 1500):
        lead = of["least_squares_smoothed", horizon]
        law = of["log_least_squares_boundary", horizon]["extras"]
        assert lead["extras"]["lead"].endswith("lsq refuses at 1500 steps.")
        assert law["critical"] == lead["params"]["critical"]["value"]
        assert law["critical_by"] == "smoothed"
    one = fit_outcomes(table, 2500, 1, settings(horizon_steps=[2500, 1500], lead="lsq"))
    of = {(r["estimator"], r["horizon_steps"]): r for r in one}
    assert of["least_squares", 1500]["extras"]["lead"].endswith("as declared.")
    assert "gives none at this horizon" in of["log_least_squares_boundary", 1500]["refused"]


@pytest.mark.parametrize(
    ("lead", "said"),
    [("lsqq", "Did you mean lsq"), ([], "got none"), (["law", "lsq"], r"got \['lsq'\], of")],
)
def test_a_lead_is_a_boundary_of_every_horizon(lead, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        fit_outcomes(laptop(), 2500, 1, settings(lead=lead, longest_only=["lsq"]))


@pytest.mark.slow
def test_unfinished_replicas_are_told_in_every_record() -> None:
    table = pd.concat([laptop(), frame([row(0.2, None)])], ignore_index=True)
    records = fit_outcomes(table, 2500, 1, settings())
    for record in records:
        assert record["warnings"][0] == "Replicas without a record yet are left out (1)."
    assert {r["n"] for r in records if r["fit"] == "boundary"} == {64}


@pytest.mark.slow
def test_where_replicas_still_train_all_are_cut_at_the_step_that_each_has() -> None:
    """Those that end early are those that grokked: alone, they would make rates of 1."""
    whole, going = laptop(), laptop()
    trains = going["first99_hi"].isna() | (going["first99_hi"] > 1500)
    going.loc[trains, ["outcome", "first99_lo", "first99_hi"]] = pd.NA
    going.loc[trains, "first99_observed"] = False
    going.loc[trains, "step"] = 1500 + 25 * (going["replica"][trains] % 3)
    asked = settings(horizon_steps=[2500, 1000])
    found = fit_outcomes(going, common_step(going), 1, asked)
    known = fit_outcomes(whole, 2500, 1, settings(horizon_steps=[1500, 1000]))
    assert [r["horizon_steps"] for r in found] == [r["horizon_steps"] for r in known]
    assert [r["params"] for r in found] == [r["params"] for r in known]
    said = "Replicas still train: all are cut at the 1500 steps that are recorded of each"
    assert found[0]["warnings"][0] == f"{said} ({int(trains.sum())})."
    with pytest.raises(FitRefusedError, match="Take a horizon of at most 1500 steps"):
        censored(going, "first99", 2500)


@pytest.mark.parametrize("steps", [[2500, 3000], [0]])
def test_a_horizon_that_was_not_run_is_refused(steps) -> None:
    with pytest.raises(ConfigError, match=r"`horizon_steps` must be in \(0, 2500\]"):
        fit_outcomes(laptop(), 2500, 1, settings(horizon_steps=steps))


def write_study(
    folder: Path, table: pd.DataFrame, run_id: str = "0123456789ab", **config: Any
) -> Study:
    """The outcomes as the real store holds them, in two shards."""
    run = folder / "runs" / run_id
    shard = np.arange(len(table)) % 2
    manifest = {
        "schema_version": 1,
        "run_id": run_id,
        "identity": "0" * 64,
        "status": "done",
        "steps_per_epoch": 10,
        "horizon_steps": 2500,
        "config": {"model": {"d_model": 32}, **config},
        "tables": {"outcomes": [column.to_json() for column in OUTCOME_COLUMNS]},
    }
    names = ("replica", "seed", "weight_decay", "lr")
    static = {name: table[name].to_numpy() for name in names}
    create_run(run, manifest, {**static, "shard": shard}, "seed: 0\n")
    for k in (0, 1):
        writer = ShardWriter(run / "shards" / str(k), run_id, {"outcomes": OUTCOME_COLUMNS}, 0)
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


@pytest.mark.slow
def test_a_stored_study_gives_the_same_records_and_its_files(tmp_path: Path) -> None:
    table = pd.concat([laptop(), frame([row(0.2, None)])], ignore_index=True)
    table["replica"] = np.arange(len(table))
    study = write_study(tmp_path / "map", table)
    records = fit_study(study, settings())
    fitted = fit_outcomes(table, 2500, 10, settings())
    assert [r for r in records if r["fit"] in ("boundary", "times")] == [
        {**record, "study_group": None} for record in fitted
    ]
    assert sum(r["fit"] == CELLS for r in records) == 3
    written = write_fits(study.folder, records)
    assert json.loads(written.read_text()) == {"schema_version": 2, "fits": records}
    assert read_fits(written) == records
    csv = pd.read_csv(write_replicas_csv(study))
    assert len(csv) == len(table)
    assert csv["outcome"].isna().sum() == 1
    assert csv["first99_hi"].count() == (table["first99_observed"].fillna(False)).sum()


@pytest.mark.slow
def test_groups_of_a_study_are_records_of_their_own_and_columns_and_never_pooled(
    tmp_path: Path,
) -> None:
    """Two rules; under the second, two learning rates."""
    rates = laptop().assign(lr=np.where(np.arange(80) % 2, 0.03, 0.01))
    for run_id, rule, table in (("a" * 12, "AdamW", laptop()), ("b" * 12, "Sgd", rates)):
        update = {"_target_": f"observatory.optimizers.{rule.lower()}.{rule}"}
        study = write_study(tmp_path / "rules", table, run_id, optimizer={"update": update})
    records = fit_study(study, settings(horizon_fractions=[1.0], n_bootstrap=20))
    labels = [f"{rule}, lr = {lr}" for rule, lr in
              (("AdamW", 0.01), ("Sgd", 0.01), ("Sgd", 0.03))]  # fmt: skip
    own = [r for r in records if r["fit"] in ("boundary", CELLS, "times")]
    assert [*dict.fromkeys(record["study_group"] for record in own)] == labels
    assert {r["n"] for r in own if r["fit"] == CELLS} == {80, 40}
    assert f"{labels[0]}, event first99" in text_of(own[0])
    csv = pd.read_csv(write_replicas_csv(study))
    assert csv.groupby(["optimizer.update", "lr"]).size().tolist() == [80, 40, 40]
    write_fits(study.folder, records)
    assert are_current(study.folder)
    write_study(tmp_path / "rules", laptop(), "c" * 12, seed=1)
    assert not are_current(study.folder)


def test_what_a_fit_leaves_out_is_counted_in_its_record_and_in_its_refusal() -> None:
    """Only 8 groks: the window of a boundary does not hold it, survival has every value."""
    none = [row(weight_decay, "memorised") for weight_decay in (0.0, 0.1, 1.0) for _ in range(4)]
    table = frame([*none, *(row(8.0, "grokked", t=300.0) for _ in range(5))])
    horizon_fit = {"_target_": "observatory.analysis.horizon.estimators.horizon.Horizon"}
    horizon_fit |= {"window_max": 1.0, "held_out": 0.5, "n_horizons": 4, "n_grid": 8}
    survival = {"_target_": "observatory.analysis.times.estimators.survival.Survival"}
    more = {
        "horizon": horizon_fit | {"n_bootstrap": 20, "level": 0.95},
        "survival": survival | {"window_max": None, "level": 0.95},
    }
    records = fit_outcomes(table, 2500, 1, settings() | more)
    by_fit = {r["fit"]: r for r in records if r["horizon_steps"] == 2500}
    assert "with weight decay above 1 are left out (5)" in by_fit["horizon"]["refused"]
    assert "0, which no log axis shows, are left out (4)" in by_fit["horizon"]["refused"]
    assert by_fit["survival"]["refused"] is None
    assert by_fit["survival"]["n"] == 17
    assert not [w for w in by_fit["survival"]["warnings"] if "left out" in w]
