"""Curves of any table: grouped, averaged, refused, described, drawn; and those of a study."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from observatory.analysis.curves.question import curves
from observatory.analysis.curves.table import gathered
from observatory.analysis.curves.text import curves_frame
from observatory.core.columns import Column
from observatory.core.errors import ConfigError, FitRefusedError, StoreError
from observatory.store.writer import ShardWriter, create_run
from tests.made_curves import emergence_curve

STEPS = np.linspace(0.0, 143_000.0, 37)


def ratios(n_layers: int = 2) -> pd.DataFrame:
    """A row per layer and step; layer 1 is flat."""
    rng = np.random.default_rng(1)
    parts = []
    for layer in range(n_layers):
        y = emergence_curve(STEPS, 3000.0, 0.6, 1e-4, 1.0, 120.0) if layer != 1 else 7.0 + 0 * STEPS
        y = y * (1 + 0.02 * rng.normal(size=STEPS.size))
        parts.append(pd.DataFrame({"step": STEPS, "ratio": y, "layer": layer}))
    return pd.concat(parts).sample(frac=1.0, random_state=3)


@pytest.mark.slow
def test_every_group_is_a_curve() -> None:
    found = curves(ratios(), group=["layer"], n_bootstrap=50)
    assert [record["group"] for record in found.records] == [{"layer": 0}, {"layer": 1}]
    assert found.refused is None
    assert found.records[1]["refused"] is not None
    assert "refused: A constant may describe" in str(found)
    records = found.to_json()
    assert isinstance(records, list)
    assert records[0]["group"] == {"layer": 0}
    assert json.loads(found.to_string()) == records
    assert found.params["layer 0", "t_peak"] == pytest.approx(11_618, rel=0.06)
    assert ("layer 1", "t_peak") not in found.params


@pytest.mark.slow
def test_many_curves_are_a_table() -> None:
    found = curves(ratios(5), group=["layer"], n_bootstrap=50)
    text = str(found)
    assert text == repr(found)
    assert text.splitlines()[1].startswith("curve")
    assert "early peak" in text
    assert list(curves_frame(found.records).columns)[-3:] == ["r2", "best_law", "refused"]
    assert all(" of 5 curves, such as: " in warning for warning in found.warnings)
    assert "<pre>" in found._repr_html_()


@pytest.mark.slow
def test_one_curve_is_one_record(tmp_path: Path) -> None:
    ratios(1).to_csv(tmp_path / "one.csv", index=False)
    found = curves(tmp_path / "one.csv", n_bootstrap=50)
    record = found.to_json()
    assert isinstance(record, dict)
    assert "group" not in record
    assert (record["critical"], record["n"]) == (None, 37)
    assert str(found).startswith("emergence of ratio (modulated_log), n = 37 points")
    found.save_plot(tmp_path / "one.svg")
    assert (tmp_path / "one.svg").stat().st_size > 0
    with pytest.raises(ConfigError, match="cannot be written"):
        found.save_plot(tmp_path / "none" / "one.svg")


@pytest.mark.slow
def test_the_figure_shows_data_law_and_peak() -> None:
    figure = curves(ratios(), group=["layer"], n_bootstrap=50).plot()
    assert isinstance(figure, Figure)
    drawn = {artist.get_gid() for artist in figure.axes[0].get_children()}
    assert {"data", "fit", "band", "peak", "peak-interval"} <= drawn
    assert figure.axes[1].get_title(loc="left") == "layer 1\nrefused"
    assert {artist.get_gid() for artist in figure.axes[1].lines} == {"data"}


def test_rows_of_one_step_are_averaged_where_all_are_there() -> None:
    x = np.array([2.0, 0.0, 1.0, 0.0, 1.0, 3.0, 1.0])
    y = np.array([5.0, 1.0, 2.0, 3.0, 4.0, 9.0, np.nan])
    step, value, notes = gathered(x, y, pooled=False)
    assert (step.tolist(), value.tolist()) == ([0.0, 1.0], [2.0, 3.0])
    assert notes == [
        "Rows without a value are left out (1).",
        "Values are means of 2 rows per step.",
        "Steps that some of these have not are left out (2 of 4, the last one kept is 1).",
    ]
    assert gathered(x, y, pooled=True)[0].size == 6


def test_tables_that_hold_no_curve_are_refused() -> None:
    table = ratios()
    with pytest.raises(ConfigError, match="`value` names the column 'no'"):
        curves(table, value="no")
    with pytest.raises(ConfigError, match="`ratio` must be a number"):
        curves(table.assign(ratio="high"))
    with pytest.raises(ConfigError, match="which curve a row belongs to"):
        curves(table.assign(layer=None), group=["layer"])
    with pytest.raises(ConfigError, match="at most 2000 curves"):
        curves(pd.DataFrame({"step": range(3000), "ratio": 1.0}), group=["step"])
    with pytest.raises(ConfigError, match="`estimator` of `curves` must be one of"):
        curves(table, "no_such")
    with pytest.raises(ConfigError, match="is no setting of"):
        curves(table, settings={"no_such": 1})


@pytest.mark.parametrize(
    ("model", "changes", "reason"),
    [
        ("emergence", {"n_bootstrap": 1}, "`n_bootstrap` must be a whole number of at least 20"),
        ("tanh", {"level": 95}, r"`level` must be in \(0, 1\), got 95"),
        ("emergence", {"settings": {"n_grid": 0}}, "`n_grid` must be a whole number"),
        ("emergence", {"settings": {"n_starts": 0}}, "`n_starts` must be a whole number"),
        ("emergence", {"settings": {"n_grid": None}}, "`n_grid` must be a whole number"),
        (
            "emergence",
            {"settings": {"beta": [1, 1]}},
            "`beta` must be .* at least 1% above",
        ),
        (
            "emergence",
            {"settings": {"beta": [-1, 3]}},
            "`beta` must be .* at least 1% above",
        ),
        ("saturation", {"settings": {"exponent": 0}}, "`exponent` must be in "),
        ("relaxation", {"settings": {"window": [9, 3]}}, "`window` must be .* rising or null"),
        (
            "relaxation",
            {"settings": {"shares": [90]}},
            r"must be a list, each in \(0, 1\)",
        ),
        ("relaxation", {"horizon_steps": -5}, "`horizon_steps` must be a whole number"),
        ("relaxation", {"steps_per_epoch": 0}, "`steps_per_epoch` must be a whole number"),
        ("relaxation", {"weight_decay": 1e-200}, "`weight_decay` must lie between"),
        ("emergence", {"seed": -1}, "`seed` must be a whole number of at least 0"),
    ],
)
def test_numbers_are_checked_before_anything_is_fitted(model, changes, reason) -> None:
    with pytest.raises(ConfigError, match=reason):
        curves(ratios(1), model, value="ratio", **changes)


@pytest.mark.parametrize("scale", [1e155, 1e-155])
def test_values_that_have_no_square_are_bad_input(scale: float) -> None:
    table = ratios(1)
    with pytest.raises(ConfigError, match=r"`ratio` must lie between 1e-100 .* another unit"):
        curves(table.assign(ratio=table["ratio"] * scale))


@pytest.mark.slow
def test_the_unit_of_values_changes_nothing_but_it() -> None:
    table = ratios(1)
    one, other = (
        curves(table.assign(ratio=table["ratio"] * k), n_bootstrap=20) for k in (1.0, 1e-90)
    )
    for name, unit in {"t_peak": 1.0, "height": 1e-90}.items():
        ends = [one.record["params"][name][e] * unit for e in ("value", "ci_high")]
        found = other.record["params"][name]
        assert [found["value"], found["ci_high"]] == pytest.approx(ends, rel=1e-5)


def test_a_curve_without_values_is_a_refusal() -> None:
    for estimator in ("emergence", "relaxation"):
        with pytest.raises(FitRefusedError, match="got 0"):
            curves(ratios(1).assign(ratio=np.nan), estimator, value="ratio")


PROBE = (
    Column(name="ratio", unit="1", meaning="top1 / median", dims=("layer",)),
    Column(name="l2", unit="1", meaning="norm"),
)
TOP = Column(name="top1", unit="1", meaning="largest", dims=("layer",))
SITE = "probes/massive_mlp_out"


def write_study(folder: Path) -> Path:
    """Two replicas at weight decay 1 and one at 0.1, with two layers; the second ends early."""
    run = folder / "runs" / "0123456789ab"
    manifest = {
        "schema_version": 1, "run_id": "0123456789ab", "identity": "0" * 64, "status": "done",
        "steps_per_epoch": 10, "horizon_steps": 4000, "config": {},
        "tables": {"probes/massive_activations": [c.to_json() for c in PROBE[:1]],
                   "probes/weight_norm": [c.to_json() for c in PROBE[1:]],
                   SITE: [c.to_json() for c in (*PROBE[:1], TOP)],
                   "probes/massive_gate": [TOP.to_json()]},
    }  # fmt: skip
    decays = np.array([1.0, 1.0, 0.1])
    static = {"replica": np.arange(3), "seed": np.arange(3), "weight_decay": decays}
    create_run(run, manifest, {**static, "lr": np.full(3, 1e-3), "shard": np.zeros(3, int)}, "")
    tables = {"probes/massive_activations": PROBE[:1], "probes/weight_norm": PROBE[1:],
              SITE: (*PROBE[:1], TOP), "probes/massive_gate": (TOP,)}  # fmt: skip
    writer = ShardWriter(run / "shards" / "0", "0123456789ab", tables, 0)
    rng = np.random.default_rng(2)
    for step in range(0, 4001, 50):
        replicas = np.array([0, 1, 2] if step <= 3000 else [0, 2])
        size = replicas.size
        shape = 7.0 + 40 * np.exp(-step / 500) * np.log(step / 20 + 1.1)
        ratio = shape * (1 + 0.01 * rng.normal(size=(size, 2)))
        l2 = 30 + 40 * np.exp(-1.86e-3 * decays[replicas] * step) + 0.1 * rng.normal(size=size)
        at = np.full(size, step)
        writer.append("probes/massive_activations", replicas, at, {"ratio": ratio})
        writer.append(SITE, replicas, at, {"ratio": 2 * ratio, "top1": ratio})
        writer.append("probes/massive_gate", replicas, at, {"top1": 3 * ratio})
        writer.append("probes/weight_norm", replicas, at, {"l2": l2})
    writer.flush(4000)
    return folder


def test_a_column_of_several_tables_is_named_with_its_table(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    usual, named, site = (
        curves(study, value=value, group=["replica", "layer"], n_bootstrap=20).records[0]
        for value in (None, "ratio", "massive_mlp_out.ratio")
    )
    assert usual["curves"] == named["curves"]
    height = usual["params"]["height"]["value"]
    assert site["params"]["height"]["value"] == pytest.approx(2 * height)
    assert site["event"] == "massive_mlp_out.ratio"
    with pytest.raises(ConfigError, match=r"one of massive_gate\.top1, massive_mlp_out\.top1"):
        curves(study, value="top1")
    with pytest.raises(ConfigError, match="must be recorded"):
        curves(study, value="massive_mlp_out.l2")


@pytest.mark.slow
def test_a_run_that_has_just_begun_has_no_curve_yet(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    begun = study / "runs" / "ba9876543210"
    shutil.copytree(study / "runs" / "0123456789ab", begun)
    shutil.rmtree(begun / "shards" / "0" / "probes" / "massive_activations")
    manifest = json.loads((begun / "manifest.json").read_text())
    manifest |= {"run_id": begun.name, "identity": "1" * 64}
    (begun / "manifest.json").write_text(json.dumps(manifest))
    found = curves(study, group=["run_id", "replica", "layer"], n_bootstrap=20)
    assert {record["group"]["run_id"] for record in found.records} == {"0123456789ab"}


def test_a_study_brings_its_probes_layers_and_epochs(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    found = curves(study, n_bootstrap=50)
    groups = [record["group"] for record in found.records]
    assert groups == [{"weight_decay": w, "layer": n} for w in (0.1, 1.0) for n in (0, 1)]
    assert [record["n"] for record in found.records] == [81, 81, 61, 61]
    assert "last one kept is 3000" in " ".join(found.records[2]["warnings"])
    found = curves(study, "relaxation", n_bootstrap=50)
    kappa = found.params["weight decay 1", "kappa"]
    assert kappa == pytest.approx(18.6, rel=0.03)
    assert found.records[1]["horizon_epochs"] == 400
    with pytest.raises(ConfigError, match="must be recorded by the run"):
        curves(study, value="no_such")
    with pytest.raises(StoreError, match="is no study"):
        curves(tmp_path)
    by_replica = curves(study, "relaxation", group=["replica"], n_bootstrap=50)
    assert len(by_replica.records) == 3
