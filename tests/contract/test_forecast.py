"""What a comparison of forecasts keeps: readable records, refusals with a way out, its inputs."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.fit.settings import build, fit_nodes
from observatory.analysis.forecast.prepare import read_signals
from observatory.analysis.forecast.question import forecast, lead_times
from observatory.analysis.forecast.section import forecast_caption
from observatory.cli import main as cli
from observatory.core.errors import ConfigError, FitRefusedError
from tests.made_forecasts import Made, long_table
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

FEW = {"n_bootstrap": 99, "n_permutations": 99, "n_flips": 999}
SET = [a for name, n in FEW.items() for a in ("--set", f"{name}={n}")]
RECORDED = ("train_loss", "val_loss", "weight_norm", "logit_scale", "precursor", "nothing")
SETTINGS = fit_nodes()["forecast"]
MADE = Made(n_seeds=10, cells=(0.1, 1.0), horizon=3000, times=(800.0, 2800.0), lead=400.0)


@cache
def table() -> pd.DataFrame:
    return long_table(MADE.records(0), RECORDED)


def fit(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.run(["fit", "forecast", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.slow
def test_the_record_can_be_read_printed_and_drawn(tmp_path: Path, capsys) -> None:
    table().to_parquet(tmp_path / "signals.parquet")
    file = tmp_path / "forest.svg"
    given = (tmp_path / "signals.parquet", "--set", "min_events=10", *SET)
    code, out, err = fit(*given, "--json", "--plot", file, capsys=capsys)
    record = json.loads(out)
    assert (code, err) == (0, "")
    rows = record["table"]
    assert rows["precursor"]["verdict"].startswith("better than")
    assert rows["nothing"]["verdict"] == "cannot distinguish"
    assert rows["clock"]["role"] == rows["val_loss"]["role"] == "baseline"
    assert list(rows) == list(record["params"])
    assert len({tuple(row) for row in rows.values()}) == 1
    assert file.read_text().count('id="baseline"') > 0
    code, text, _ = fit(*given, capsys=capsys)
    assert code == 0
    for line in ("precursor", "clock *", "false alarms", "rule precursor: level at least"):
        assert f"\n{line}" in text
    assert "precursor" in forecast_caption(record)


def test_too_few_events_are_refused_with_exit_code_3(tmp_path: Path, capsys) -> None:
    table().to_csv(tmp_path / "signals.csv", index=False)
    code, out, err = fit(tmp_path / "signals.csv", "--set", "min_events=90", "--json", *SET,
                         capsys=capsys)  # fmt: skip
    record = json.loads(out)
    assert code == 3
    assert record["refused"] in err
    assert "at least 90 are needed. Add" in record["refused"]


def test_too_few_negatives_and_seeds_are_refused() -> None:
    settings = {**FEW, "min_events": 5}
    only = table()[table()["t_hi"].notna()]
    few = only[only["seed"] < 6]
    with pytest.raises(FitRefusedError, match=r"negatives.*needs at least 19.*random-label twins"):
        forecast(few, settings=settings)
    with pytest.raises(FitRefusedError, match=r"have [34] seeds, at least 5 are needed"):
        forecast(only[only["seed"] < 4], settings=settings)


@pytest.mark.slow
def test_one_kind_of_negatives_and_baselines_that_were_not_recorded_are_named() -> None:
    frame = table()[(table()["kind"] == "twin") | table()["t_hi"].notna()].drop(
        columns=["logit_scale"]
    )
    found = forecast(frame, settings={**FEW, "min_events": 10}, signals=["precursor"])
    assert any("of one kind (twin)" in note for note in found.warnings)
    assert any("not recorded: logit_scale" in note for note in found.warnings)
    assert list(found.verdicts.index) == ["precursor"]
    assert found.frame().loc["precursor", "n_twin"] == 20


@pytest.mark.slow
def test_a_study_brings_its_probes_its_twins_and_its_failures(tmp_path: Path) -> None:
    decays = (0.05, 0.1, 0.3, 1.0, 10.0)
    study = fabricate_study(tmp_path, Plan(weight_decays=decays))
    config = {"task": {"_target_": "observatory.tasks.modular.Modular", "random_labels": True}}
    twins = fabricate_study(
        tmp_path,
        Plan(study="twins", weight_decays=(0.0,), run_id="0" * 12, config=config),
    )
    comparison = build("forecast", {**SETTINGS, "signals": ["s_bar@layer1", "s_bar"]})
    records = read_signals([study, twins], comparison, {}).records
    kinds = dict(zip(*np.unique(records.kind, return_counts=True), strict=True))
    assert kinds["twin"] == 8
    assert kinds["failed"] == 8
    assert kinds["event"] + kinds["natural"] == 32
    layer, whole = (records.signals[n].value for n in ("s_bar@layer1", "s_bar"))
    assert np.nanmedian(layer / whole) == pytest.approx(1.3)
    assert records.chance == pytest.approx(1 / 31)
    assert set(records.baselines) >= {"clock", "train_loss", "val_loss", "weight_norm_change"}


def test_published_leads_print_their_null(tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(0)
    runs = pd.DataFrame({"lead": 0.0, "t_grok": np.geomspace(1e3, 1e5, 12)})
    runs["lead"] = runs["t_grok"] - rng.uniform(100, 900, 12)
    runs.to_csv(tmp_path / "leads.csv", index=False)
    assert cli.run(["fit", "lead_times", str(tmp_path / "leads.csv"), "--lead", "lead"]) == 0
    named = capsys.readouterr().out
    code, out, _ = fit(tmp_path / "leads.csv", "--lead", "lead", capsys=capsys)
    assert (code, out) == (0, named)
    assert "onsets permuted: median slope" in out
    code, _, err = fit(tmp_path / "leads.csv", "--lead", "lead", "--signals", "x", capsys=capsys)
    assert code == 2
    assert "['signals'] are not of published leads" in err
    with pytest.raises(FitRefusedError, match="4 rows hold an onset"):
        lead_times(runs.iloc[:4], lead="lead")
    with pytest.raises(ConfigError, match="onset before its event"):
        lead_times(runs.assign(lead=-1.0), lead="lead")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signals": ["nope"]}, "`signals` must be recorded, got"),
        ({"group": "nope"}, "`group` names the column 'nope', which is not in the table"),
        ({"columns": {"group": "seed"}}, "is no setting of this fit"),
        ({"time": "val_acc"}, "`time` must be the same in all rows"),
        ({"time": "step"}, "step is asked for as another"),
        ({"replica": "seed"}, "must be once at each step"),
        ({"settings": {"alpha": 0.0}}, r"`alpha` must be in \(0, 1\)"),
        ({"settings": {"n_tests": 2.5}}, "`n_tests` must be a whole number"),
        ({"settings": {"n_folds": 2.5}}, "`n_folds` must be a whole number"),
        ({"settings": {"min_lead": "soon"}}, "`min_lead` must be a number of at least 0"),
        ({"settings": {"signals": "precursor"}}, "`signals` must be a list of names"),
        ({"settings": {"n_bootstrap": 50}}, "`n_bootstrap` must be at least 99"),
        ({"horizon_steps": -5}, "`horizon_steps` must be a whole number"),
        ({"signals": ["precursor", "precursor"]}, "`signals` must name each once"),
        ({"signals": ["precursor", "val_loss"]}, "val_loss.*: a baseline"),
        ({"opened": "t_mem", "settings": {"start": "first_look"}}, "has no use"),
        ({"settings": {"transforms": ["x"]}}, "`transforms` must be of"),
        ({"settings": {"start": "x"}}, "`start` must be one of"),
        ({"settings": {"nope": 1}}, "is no setting of"),
    ],
)
def test_what_breaks_a_rule_is_refused(changes: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        forecast(table().iloc[:3000], **changes)


def test_times_that_cannot_be_are_named() -> None:
    frame = table().iloc[:3000]
    with pytest.raises(ConfigError, match="`time` must be a positive step"):
        forecast(frame.assign(t_hi=-frame["t_hi"]))
    with pytest.raises(ConfigError, match="`step` must be at least 0"):
        forecast(frame.assign(step=frame["step"] - 50.0))
    with pytest.raises(ConfigError, match=r"`t_mem` must hold .* all are empty: .*first_look"):
        forecast(frame.assign(t_mem=np.nan))
    with pytest.raises(ConfigError, match="`horizon_steps` must reach the first look, step 50"):
        forecast(frame[frame["step"] > 0], horizon_steps=10)
    with pytest.raises(FitRefusedError, match=r"Add 20 replicas that reach t_hi\.$"):
        forecast(frame.assign(t_hi=np.nan))
    late = frame["t_mem"].where(frame["t_hi"].isna())
    with pytest.raises(FitRefusedError, match="never memorised, so that no window opened"):
        forecast(frame.assign(t_mem=late))


def test_windows_can_open_at_the_first_look_though_memorising_is_known() -> None:
    comparison = build("forecast", {**SETTINGS, "start": "first_look"})
    records = read_signals([table().iloc[:3000]], comparison, {}).records
    assert np.all(records.opened == 0.0)
    assert "t_mem" not in records.signals


def test_options_of_other_fits_are_refused(tmp_path: Path, capsys) -> None:
    table().iloc[:300].to_csv(tmp_path / "signals.csv", index=False)
    code, _, err = fit(tmp_path / "signals.csv", "--arm", "x", capsys=capsys)
    assert code == 2
    assert "--arm" in err


@pytest.mark.slow
def test_the_order_of_rows_and_the_unit_of_signals_change_nothing() -> None:
    settings = {**FEW, "min_events": 10, "transforms": ["level", "change"]}
    found = forecast(table(), settings=settings, signals=["precursor"]).frame()
    other = table().sample(frac=1.0, random_state=1)
    other["precursor"] *= 1e-7
    again = forecast(other, settings=settings, signals=["precursor"]).frame()
    numbers = found.select_dtypes("number").columns
    assert np.allclose(found[numbers], again[numbers], equal_nan=True)
    assert found["verdict"].equals(again["verdict"])


def test_replicas_may_be_their_own_units() -> None:
    alone = table()[table()["weight_decay"] == 1.0]
    alone = alone[alone["kind"] == ""].drop(columns="replica")
    comparison = build("forecast", SETTINGS)
    records = read_signals([alone], comparison, {"replica": "seed"}).records
    assert sorted(records.seed) == list(range(10))
