"""Panels of heads and of late records: they show what was read, and only where there are data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.fit.study import fit_group
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.facts import Facts, gather
from observatory.analysis.page.groups import Group, groups
from observatory.analysis.training.heads import head_readings
from observatory.analysis.training.section import (
    draw_order_parameters,
    draw_tail,
    training_sections,
)
from observatory.store.reader import Study
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

PROBES = ("massive_activations", "attention", "weight_norm")
SMALL = Plan(study="small", weight_decays=(0.3, 1.0), n_seeds=3, horizon=1500, probes=PROBES)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    [group] = groups(Study(fabricate_study(tmp_path_factory.mktemp("results"), SMALL)))
    return gather(group, fit_group(group, [], {"study": composed("map")["fit"]["study"]}))


def svg(drawing: Drawing, folder: Path) -> str:
    drawing.figure.savefig(folder / "drawn.svg")
    return (folder / "drawn.svg").read_text()


def drawn(item: Drawing | NotDrawn | None) -> Drawing:
    assert isinstance(item, Drawing), item
    return item


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


def test_order_parameters_are_those_of_the_last_look(facts: Facts, tmp_path: Path) -> None:
    table = facts.group.table("probes/attention", ["pr_norm", "sigma_h"])
    readings = head_readings(facts)
    assert table is not None
    assert readings is not None
    for row in readings.itertuples():
        own = table[table["replica"] == row.replica].sort_values("step")
        assert row.pr_norm == own["pr_norm"].iloc[-1]
        assert row.sigma_h == own["sigma_h"].max()
    text = svg(drawn(draw_order_parameters(facts)), tmp_path)
    assert text.count('id="median"') == 6  # three panels, two weight decays
    assert draw_tail(facts) is None  # no record goes on for long


def test_long_records_have_a_panel_of_their_late_part(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("observatory.analysis.training.section.LONG", 1.05)
    made = drawn(draw_tail(facts))
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
    items = {getattr(i, "name", ""): i for section in training_sections(facts) for i in section()}
    made = drawn(items["weight-spectrum"])
    assert svg(made, tmp_path).count('id="median"') == 4  # two panels, two weight decays
