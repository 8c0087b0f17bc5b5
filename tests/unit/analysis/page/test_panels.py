"""Panels of laws, heads and sizes: they tell what the fits tell, and only where there are data."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.curves import section_emergence as draw_emergence
from observatory.analysis.curves import section_laws as curve_laws
from observatory.analysis.curves import section_relaxation as draw_relaxation
from observatory.analysis.curves.question import curves
from observatory.analysis.curves.section_laws import fit_curve
from observatory.analysis.page.comparison import GroupComparison, StudyGroup, compare
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.groups import Group
from observatory.analysis.page.wording import estimate
from observatory.analysis.report.gathering import gather_study
from observatory.analysis.scaling import section as draw_sizes
from observatory.analysis.training import section_heads as draw_heads
from observatory.analysis.training.section_training import draw_training
from observatory.store.reader import Study
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

FIT = {"study": {"events": ["first99"], "level": 0.95}}
PROBES = ("massive_activations", "attention", "weight_norm")
SMALL = Plan(study="small", weight_decays=(0.3, 1.0), n_seeds=3, horizon=1500, probes=PROBES)


def facts_of(folder: Path) -> Facts:
    [found], _ = gather_study(Study(folder), FIT)
    return found


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return facts_of(fabricate_study(tmp_path_factory.mktemp("results"), SMALL))


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> GroupComparison:
    """Three studies that differ in modulus and width, slower the larger they are."""
    groups = []
    for index, p in enumerate((13, 23, 43)):
        model = {"n_layers": 1, "n_heads": 4, "d_model": 8 * 2**index}
        plan = Plan(
            study=f"p{p}",
            weight_decays=(0.03, 0.06, 0.1, 0.2, 0.4),
            n_seeds=5,
            probes=("attention",),
            config={"task": {"_target_": "a.Modular", "p": p}, "model": model},
            run_id=f"{index:012d}",
            slowness=1.0 + 0.5 * index,
        )
        found = facts_of(fabricate_study(tmp_path_factory.mktemp("sizes"), plan))
        groups.append(StudyGroup(f"p{p}", found, ""))
    return compare(groups)


def svg(drawing: Drawing, folder: Path) -> str:
    drawing.figure.savefig(folder / "drawn.svg")
    return (folder / "drawn.svg").read_text()


def drawn(item: Drawing | NotDrawn | None) -> Drawing:
    assert isinstance(item, Drawing), item
    return item


def test_emergence_is_what_the_command_tells(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw_emergence, "MAX_FITS", 2)
    made = drawn(draw_emergence.draw_emergence(facts))
    assert made.table is not None
    assert [row[:2] for row in made.table.rows] == [["0.3", "1"], ["1", "1"]]
    frame = facts.group.table("probes/massive_activations", ["ratio"])
    assert frame is not None
    frame = frame.merge(facts.group.replicas[["replica", "weight_decay"]], on="replica")
    frame = frame.assign(ratio=[row[1] for row in frame["ratio"]])
    found = curves(frame, group=["weight_decay"], n_bootstrap=curve_laws.N_BOOTSTRAP, seed=0)
    for row, record in zip(made.table.rows, found.records, strict=True):
        assert record["refused"] is None
        assert row[4:6] == [estimate(record, name) for name in ("t_peak", "height")]
        assert row[7] == ("yes" if record["extras"]["K_identified"] else "no")
        assert row[3].startswith(record["extras"]["class"])
    text = svg(made, tmp_path)
    assert text.count('id="map"') >= 2
    assert "n = 6 replicas" in made.caption


def planted(facts: Facts, kappa: float) -> pd.DataFrame:
    """Norms that relax at kappa per step, lr 0.01."""
    rows = facts.group.replicas
    steps = np.arange(0, 1500, 20)
    rng = np.random.default_rng(0)
    pieces = [
        pd.DataFrame({"run_id": r.run_id, "replica": r.replica, "step": steps}).assign(
            l2=20 + 30 * np.exp(-0.01 * kappa * r.weight_decay * steps)
            + 0.1 * rng.normal(size=steps.size)
        )
        for r in rows.itertuples()
    ]  # fmt: skip
    return pd.concat(pieces, ignore_index=True)


def test_relaxation_is_drawn_where_the_law_applies(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw_relaxation, "MAX_DECAYS", 2)
    none = draw_relaxation.draw_relaxation(facts)
    assert isinstance(none, NotDrawn)
    assert "applies to none of the 2 highest weight decays" in none.reason
    frame = planted(facts, kappa=0.5)
    found = fit_curve(facts.group, frame, "l2", 1.0, None, "relaxation").record
    kappa = found["params"]["kappa"]["value"]
    assert kappa == pytest.approx(0.5, rel=0.01)
    assert found["params"]["bound_0.5"]["value"] == pytest.approx(
        np.log(2) / (0.01 * kappa * 1500), rel=1e-9
    )
    frame.loc[frame["replica"] < 3, "l2"] = 7.0  # flat at the lower weight decay: refused there
    monkeypatch.setattr(Group, "table", lambda self, name, columns: frame)
    made = drawn(draw_relaxation.draw_relaxation(facts))
    assert made.table is not None
    assert [row[0] for row in made.table.rows] == ["0.3", "1"]
    assert made.table.rows[0][2] == "–"
    assert made.table.rows[1][2] == estimate(found, "kappa")
    assert svg(made, tmp_path).count('id="fit"') == 1


def test_order_parameters_are_those_of_the_last_look(facts: Facts, tmp_path: Path) -> None:
    table = facts.group.table("probes/attention", ["pr_norm", "sigma_h"])
    readings = draw_heads.head_readings(facts)
    assert table is not None
    assert readings is not None
    for row in readings.itertuples():
        own = table[table["replica"] == row.replica].sort_values("step")
        assert row.pr_norm == own["pr_norm"].iloc[-1]
        assert row.sigma_h == own["sigma_h"].max()
    text = svg(drawn(draw_heads.draw_order_parameters(facts)), tmp_path)
    assert text.count('id="median"') == 6  # three panels, two weight decays
    assert draw_heads.draw_tail(facts) is None  # no record goes on for long


def test_long_records_have_a_panel_of_their_late_part(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw_heads, "LONG", 1.05)
    made = drawn(draw_heads.draw_tail(facts))
    assert svg(made, tmp_path).count('id="replica"') >= 4
    assert "on a linear axis" in made.caption


def test_heavy_tails_are_drawn_where_they_are_recorded(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"probes/weight_spectrum": {"alpha", "stable_rank"}}
    monkeypatch.setattr(Group, "columns", lambda self, name: columns.get(name, set()))
    base = planted(facts, 0.5)

    def table(self: Group, name: str, names: list[str]) -> pd.DataFrame | None:
        if name != "probes/weight_spectrum":
            return None
        lists = [[value, None, value + 2.0] for value in base["l2"]]
        return base.assign(alpha=lists, stable_rank=lists)

    monkeypatch.setattr(Group, "table", table)
    items = {getattr(item, "name", ""): item for item in draw_training(facts)}
    made = drawn(items["weight-spectrum"])
    assert svg(made, tmp_path).count('id="median"') == 4  # two panels, two weight decays


def test_sizes_have_a_chain_amplitudes_and_differences(
    sizes: GroupComparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw_sizes, "N_RESAMPLES", 20)
    monkeypatch.setattr(draw_sizes, "N_NULL", 19)
    items: Iterator[Drawing | NotDrawn] = draw_sizes.draw_sizes(sizes)
    chain, amplitude = items
    assert "by task.p, 3 sizes" in drawn(chain).caption
    assert "verdict: " in drawn(chain).caption
    left = chain.figure.axes[0].get_xlim()[0]
    assert 0.01 < left < 0.03  # a log axis of the control, not down to 1e-30
    told = drawn(amplitude).table
    assert told is not None
    assert told.notes[0].startswith("Refused at weight decay 0.03")  # 3 of the 4 sizes it needs
    few = compare(sizes.groups[:2])
    refused = next(iter(draw_sizes.draw_sizes(few)))
    assert isinstance(refused, NotDrawn)
    assert "the chain refused" in refused.reason


def test_groups_of_one_size_have_no_panel_of_sizes(facts: Facts) -> None:
    alike = compare([StudyGroup("a", facts, ""), StudyGroup("b", facts, "")])
    assert list(draw_sizes.draw_sizes(alike)) == []
