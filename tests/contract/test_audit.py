"""What an audit of forecasts keeps: readable records, refusals with a way out, all its inputs."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.forecast.api import audit_forecasts, fit_lead_times
from observatory.analysis.forecast.figure import audit_caption
from observatory.analysis.forecast.replicas import AuditColumns
from observatory.analysis.forecast.result import audit_frame, audit_text
from observatory.analysis.forecast.table import read_audit
from observatory.cli import main as cli
from observatory.core.errors import ConfigError, FitRefusedError
from tests.made_audits import Made, long_table
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

FEW = {"n_bootstrap": 99, "n_permutations": 99, "n_flips": 999}
SET = [a for name, n in FEW.items() for a in ("--set", f"{name}={n}")]
RECORDED = ("train_loss", "val_loss", "weight_norm", "logit_scale", "precursor", "nothing")
MADE = Made(n_seeds=10, cells=(0.1, 1.0), horizon=3000, times=(800.0, 2800.0), lead=400.0)


@cache
def table() -> pd.DataFrame:
    return long_table(MADE.records(0), RECORDED)


def fit(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.run(["fit", "audit", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_record_can_be_read_printed_and_drawn(tmp_path: Path, capsys) -> None:
    table().to_parquet(tmp_path / "signals.parquet")
    file = tmp_path / "forest.svg"
    given = (tmp_path / "signals.parquet", "--set", "min_events=10", *SET)
    code, out, err = fit(*given, "--json", "--plot", file, capsys=capsys)
    record = json.loads(out)
    assert (code, err) == (0, "")
    assert record["extras"]["verdict[precursor]"].startswith("better than")
    assert record["extras"]["verdict[nothing]"] == "cannot distinguish"
    assert record["extras"]["role[clock]"] == record["extras"]["role[val_loss]"] == "baseline"
    assert {len(v) for v in record["curves"].values()} == {len(record["params"])}
    assert file.read_text().count('id="baseline"') > 0
    text = audit_text(record)
    for line in ("precursor", "clock *", "false alarms", "rule precursor: level at least"):
        assert f"\n{line}" in text
    assert "better than" in audit_frame(record).loc["precursor", "verdict"]
    assert "precursor" in audit_caption(record)


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
        audit_forecasts(few, settings=settings)
    with pytest.raises(FitRefusedError, match=r"have [34] seeds, at least 5 are needed"):
        audit_forecasts(only[only["seed"] < 4], settings=settings)


def test_one_kind_of_negatives_and_absent_baselines_are_told() -> None:
    frame = table()[(table()["kind"] == "twin") | table()["t_hi"].notna()].drop(
        columns=["logit_scale"]
    )
    found = audit_forecasts(frame, settings={**FEW, "min_events": 10}, signals=["precursor"])
    assert any("of one kind (twin)" in note for note in found.warnings)
    assert any("not recorded: logit_scale" in note for note in found.warnings)
    assert list(found.verdicts.index) == ["precursor"]
    assert found.table.loc["precursor", "n_twin"] == 20


def test_a_study_brings_its_probes_its_twins_and_its_failures(tmp_path: Path) -> None:
    decays = (0.05, 0.1, 0.3, 1.0, 10.0)
    study = fabricate_study(tmp_path, Plan(weight_decays=decays))
    config = {"task": {"_target_": "observatory.tasks.modular.Modular", "random_labels": True}}
    twins = fabricate_study(
        tmp_path,
        Plan(study="twins", weight_decays=(0.0,), run_id="0" * 12, config=config),
    )
    read = read_audit(
        [study, twins], AuditColumns(signals=["s_bar@layer1", "s_bar"]), memorised=True
    )
    records = read.records
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
    code, out, _ = fit(tmp_path / "leads.csv", "--lead", "lead", capsys=capsys)
    assert code == 0
    assert "onsets permuted: median slope" in out
    code, _, err = fit(tmp_path / "leads.csv", "--lead", "lead", "--signal", "x", capsys=capsys)
    assert code == 2
    assert "['signal'] are not of published leads" in err
    with pytest.raises(FitRefusedError, match="4 rows hold an onset"):
        fit_lead_times(runs.iloc[:4], lead="lead")
    with pytest.raises(ConfigError, match="onset before its event"):
        fit_lead_times(runs.assign(lead=-1.0), lead="lead")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signals": ["nope"]}, "`signal` must be recorded, got"),
        ({"columns": {"seed": "nope"}}, "`seed` must name a column"),
        ({"columns": {"nope": "seed"}}, "has a role that there is not"),
        ({"columns": {"time": "step"}}, "`time` must be the same in all rows"),
        ({"columns": {"replica": "seed"}}, "must be once at each step"),
        ({"settings": {"alpha": 0.0}}, r"`alpha` must be in \(0, 1\)"),
        ({"settings": {"n_tests": 2.5}}, "`n_tests` must be a whole number"),
        ({"settings": {"n_folds": 2.5}}, "`n_folds` must be a whole number"),
        ({"settings": {"min_lead": "soon"}}, "`min_lead` must be at least 0"),
        ({"settings": {"signals": "precursor"}}, "`signals` must be a list of names"),
        ({"horizon_steps": -5}, "`horizon_steps` must be a positive whole number"),
        ({"signals": ["precursor", "precursor"]}, "`signal` must name each once"),
        ({"signals": ["precursor", "val_loss"]}, "val_loss.*: a baseline"),
        ({"columns": {"opened": "t_mem"}, "settings": {"start": "first_look"}}, "has no use"),
        ({"settings": {"transforms": ["x"]}}, "`transforms` must be of"),
        ({"settings": {"start": "x"}}, "`start` must be one of"),
        ({"settings": {"nope": 1}}, "has no setting"),
    ],
)
def test_what_breaks_a_rule_is_refused(changes: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        audit_forecasts(table().iloc[:3000], **changes)


def test_times_that_cannot_be_are_named() -> None:
    frame = table().iloc[:3000]
    with pytest.raises(ConfigError, match="`time` must be a positive step"):
        audit_forecasts(frame.assign(t_hi=-frame["t_hi"]))
    with pytest.raises(ConfigError, match="`step` must be at least 0"):
        audit_forecasts(frame.assign(step=frame["step"] - 50.0))
    with pytest.raises(ConfigError, match=r"`t_mem` must hold .* all are empty: .*first_look"):
        audit_forecasts(frame.assign(t_mem=np.nan))
    with pytest.raises(ConfigError, match="`horizon_steps` must reach the first look, step 50"):
        audit_forecasts(frame[frame["step"] > 0], horizon_steps=10)
    with pytest.raises(FitRefusedError, match=r"Add 20 replicas that reach t_hi\.$"):
        audit_forecasts(frame.assign(t_hi=np.nan))
    late = frame["t_mem"].where(frame["t_hi"].isna())
    with pytest.raises(FitRefusedError, match="never memorised, so that no window opened"):
        audit_forecasts(frame.assign(t_mem=late))


def test_windows_can_open_at_the_first_look_though_memorising_is_known() -> None:
    read = read_audit([table().iloc[:3000]], AuditColumns(), memorised=False)
    assert np.all(read.records.opened == 0.0)


def test_options_of_other_fits_are_refused(tmp_path: Path, capsys) -> None:
    table().iloc[:300].to_csv(tmp_path / "signals.csv", index=False)
    code, _, err = fit(tmp_path / "signals.csv", "--arm", "x", capsys=capsys)
    assert code == 2
    assert "['arm'] are not of `fit audit`" in err


def test_the_order_of_rows_and_the_unit_of_signals_change_nothing() -> None:
    settings = {**FEW, "min_events": 10, "transforms": ["level", "change"]}
    found = audit_forecasts(table(), settings=settings, signals=["precursor"]).table
    other = table().sample(frac=1.0, random_state=1)
    other["precursor"] *= 1e-7
    again = audit_forecasts(other, settings=settings, signals=["precursor"]).table
    numbers = found.select_dtypes("number").columns
    assert np.allclose(found[numbers], again[numbers], equal_nan=True)
    assert found["verdict"].tolist() == again["verdict"].tolist()
