"""Outcomes of a study at horizons, as counts, rates and times per weight decay."""

import numpy as np
import pytest

from observatory.analysis.page.groups import differences
from observatory.analysis.tables.cells import cell_table, waiting_time
from observatory.analysis.tables.outcomes import (
    censored,
    pooling_caveats,
    replicas_table,
    with_settings,
)
from observatory.core.errors import ConfigError, FitRefusedError
from tests.made_outcomes import MIXED, frame, laptop, row


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


def test_unknown_events_and_events_without_a_time_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"must be one of \['first99', .*\], got 'first98'"):
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


def test_what_sets_runs_apart_is_listed_once() -> None:
    def run(**config: object) -> dict:
        return {"config": config, "horizon_steps": 2500}

    def said(*runs: dict) -> list[str]:
        return pooling_caveats(laptop(), runs)

    for alike in ("launcher", "study", "mlflow", "allow_other_version", "probe"):
        one, other = run(**{alike: {"a": 1}}), run(**{alike: {"a": 2}})
        assert said(one, other) == []
        assert differences([one["config"], other["config"]]) == [[], []]
    single = [run(optimizer={"weight_decay": w, "lr": 0.1}) for w in (0.1, 0.2)]
    assert said(*single) == []
    rules = [run(retirement={"settle": settle}, fleet={"size": 3}) for settle in (True, False)]
    assert said(*rules) == ["Replicas that differ in retirement are pooled."]
    assert differences([r["config"] for r in rules])[0] == ["retirement.settle = True"]


def test_settings_of_groups_are_columns() -> None:
    table = laptop()
    table["run_id"] = ["a", "b"] * (len(table) // 2)
    target = "observatory.optimizers.{}"
    configs = {
        run: {
            "optimizer": {"update": {"_target_": target.format(name)}, "weight_decay": decay},
            "batch_size": batch,
            "study": run,
        }
        for run, name, decay, batch in (("a", "adamw.AdamW", 0.1, None), ("b", "sgd.SGD", 0.2, 32))
    }
    made = with_settings(table, configs)
    assert set(made.columns) - set(table.columns) == {"optimizer.update", "batch_size"}
    assert made["optimizer.update"].tolist()[:2] == ["AdamW", "SGD"]
    assert {"optimizer.update", "batch_size"} <= set(replicas_table(made).columns)
    alike = with_settings(table, dict.fromkeys(configs, configs["a"]))
    assert list(alike.columns) == list(table.columns)


def test_replicas_csv_has_the_columns_of_the_definitions() -> None:
    table = replicas_table(frame(MIXED).assign(beta=0.9))
    assert list(table.columns) == [
        *("run_id", "replica", "seed", "weight_decay", "lr", "beta"),
        *("outcome", "instant", "diverged_step", "steps_watched", "retire_reason"),
        *("t_mem_lo", "t_mem_hi"),
        *("first99_lo", "first99_hi", "first99_observed"),
        *("verma_lo", "verma_hi", "verma_observed"),
    ]
