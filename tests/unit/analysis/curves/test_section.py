"""Panels of laws of curves: what a study's fits hold, and only where there are data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.curves.question import QUESTIONS, curves
from observatory.analysis.curves.study_fits import fit_emergence, fit_relaxation
from observatory.analysis.fit.settings import fit_nodes
from observatory.analysis.fit.study import fit_group
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.facts import Facts, gather
from observatory.analysis.page.groups import Group, groups
from observatory.analysis.page.wording import estimate
from observatory.store.reader import Study
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

[QUESTION] = QUESTIONS
PROBES = ("massive_activations", "weight_norm")
SMALL = Plan(study="small", weight_decays=(0.3, 1.0), n_seeds=3, horizon=1500, probes=PROBES)


def settings_of(*changes: str) -> dict[str, Any]:
    """The curves of a study's fits alone."""
    whole = composed("map", *(f"fit.{change}" for change in changes))["fit"]
    return {k: v for k, v in whole.items() if k == "study" or k.startswith("curves")}


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    folder = fabricate_study(tmp_path_factory.mktemp("results"), SMALL)
    return groups(Study(folder))[0]


def facts_of(group: Group, settings: dict[str, Any]) -> Facts:
    return gather(group, fit_group(group, [], settings))


def panel(facts: Facts, name: str) -> Drawing:
    [found] = [
        d for d in QUESTION.collect("section", facts) if isinstance(d, Drawing) and d.name == name
    ]
    return found


def reasons(facts: Facts) -> dict[str, str]:
    return {d.what: d.reason for d in QUESTION.collect("section", facts) if isinstance(d, NotDrawn)}


@pytest.mark.slow
def test_emergence_is_what_the_command_finds(group: Group, tmp_path: Path) -> None:
    facts = facts_of(group, settings_of("study.max_emergence_curves=4"))
    made = panel(facts, "emergence")
    assert made.table is not None
    assert [row[:2] for row in made.table.rows] == [["0.3", "0"], ["0.3", "1"], ["1", "0"],
                                                    ["1", "1"]]  # fmt: skip
    frame = group.table("probes/massive_activations", ["ratio"])
    assert frame is not None
    frame = frame.merge(group.replicas[["replica", "weight_decay"]], on="replica")
    frame = frame.assign(ratio=[row[1] for row in frame["ratio"]])
    found = curves(frame, group=["weight_decay"], n_bootstrap=100, seed=0)
    rows = [row for row in made.table.rows if row[1] == "1"]
    stored = [r for r in facts.records if r["fit"] == "emergence" and r["group"]["layer"] == 1]
    for row, record, kept in zip(rows, found.records, stored, strict=True):
        assert record["refused"] is None
        assert kept["params"] == record["params"]
        assert row[4:6] == [estimate(record, name) for name in ("t_peak", "height")]
        assert row[7] == ("yes" if record["extras"]["K_identified"] else "no")
        assert row[3].startswith(record["extras"]["class"])
    assert "from 100 resamples" in made.table.caption
    made.figure.savefig(tmp_path / "drawn.svg")
    assert (tmp_path / "drawn.svg").read_text().count('id="map"') >= 2
    assert "n = 6 replicas" in made.caption


@pytest.mark.slow
def test_what_is_fitted_is_set_and_can_be_stored(group: Group) -> None:
    changes = ("study.max_emergence_curves=1", "study.max_emergence_layers=1",
               "curves_emergence.n_bootstrap=40")  # fmt: skip
    settings = settings_of(*changes)
    facts = facts_of(group, settings)
    [record] = [r for r in facts.records if r["fit"] == "emergence"]
    assert record["group"] == {"weight_decay": 1.0, "layer": 1}
    assert record["extras"]["n_bootstrap"] == 40
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert fit_emergence(facts, {"study": settings["study"]}) == []


def test_nothing_is_drawn_where_nothing_was_fitted_or_read(group: Group, tmp_path: Path) -> None:
    bare = facts_of(group, {"study": settings_of()["study"]})
    assert panel(bare, "emergence").table is None
    assert reasons(bare)["Relaxation of the weight norm"] == "fits.json has no such fit"
    plan = Plan(study="off", weight_decays=(0.3, 1.0), n_seeds=3, horizon=1500, probes=())
    off = facts_of(groups(Study(fabricate_study(tmp_path, plan)))[0], settings_of())
    assert set(reasons(off)) == {"Emergence of massive activations",
                                 "Relaxation of the weight norm"}  # fmt: skip
    assert all("was off" in reason for reason in reasons(off).values())


def planted(group: Group, kappa: float) -> pd.DataFrame:
    """Norms that relax at kappa per step, lr 0.01."""
    steps = np.arange(0, 1500, 20)
    rng = np.random.default_rng(0)
    pieces = [
        pd.DataFrame({"run_id": r.run_id, "replica": r.replica, "step": steps}).assign(
            l2=20 + 30 * np.exp(-0.01 * kappa * r.weight_decay * steps)
            + 0.1 * rng.normal(size=steps.size)
        )
        for r in group.replicas.itertuples()
    ]  # fmt: skip
    return pd.concat(pieces, ignore_index=True)


@pytest.mark.slow
def test_relaxation_is_drawn_where_the_law_applies(
    group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of()
    none = facts_of(group, settings)
    reason = reasons(none)["Relaxation of the weight norm"]
    assert "applies to none of the 2 highest weight decays" in reason
    frame = planted(group, kappa=0.5)
    frame.loc[frame["replica"] < 3, "l2"] = 7.0  # flat at the lower weight decay: refused there
    monkeypatch.setattr(Group, "table", lambda self, name, columns: frame)
    low, high = fit_relaxation(none, settings)
    assert low["refused"] is not None
    kappa = high["params"]["kappa"]["value"]
    assert kappa == pytest.approx(0.5, rel=0.01)
    assert high["params"]["bound_0.5"]["value"] == pytest.approx(
        np.log(2) / (0.01 * kappa * 1500), rel=1e-9
    )
    [bounded] = fit_relaxation(none, settings_of("study.max_relaxation_decays=1"))
    assert bounded["params"] == high["params"]
    records = [r for r in none.records if r["fit"] != "relaxation"]
    monkeypatch.undo()
    cells = [r for r in fit_group(group, [], {"study": settings["study"]}) if r["fit"] == "cells"]
    made = panel(gather(group, [*cells, *records, low, high]), "relaxation")
    assert made.table is not None
    assert [row[0] for row in made.table.rows] == ["1"]
    assert [note.split(":")[0] for note in made.table.notes] == ["Weight decay 0.3"]
    assert made.table.rows[0][2] == estimate(high, "kappa")
    assert "applies to 1 of the 2 highest weight decays" in made.caption
    made.figure.savefig(tmp_path / "drawn.svg")
    assert (tmp_path / "drawn.svg").read_text().count('id="fit"') == 1


def test_settings_of_a_study_change_no_fit_that_is_asked_for_by_itself() -> None:
    assert fit_nodes()["curves_emergence"]["n_bootstrap"] == 400
    assert settings_of()["curves_emergence"]["n_bootstrap"] == 100
