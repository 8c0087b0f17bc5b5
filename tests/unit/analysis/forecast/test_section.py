"""A page's forecasts: fitted once per group of a study, then drawn from the record alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import observatory.fits
from observatory.analysis.fit.study import fit_study
from observatory.analysis.forecast.prepare import fit_group
from observatory.analysis.forecast.section import draw_forecast, ranked
from observatory.analysis.forecast.text import rows_of
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.facts import Facts, gather
from observatory.analysis.page.frames import column, where
from observatory.analysis.page.groups import groups
from observatory.store.reader import Study
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

PLAN = Plan(
    study="seen",
    weight_decays=(0.1, 0.15, 0.2, 0.3, 1.0),
    n_seeds=6,
    probes=("attention", "weight_norm", "logit_scale"),
)
FAMILY = ["s_bar", "sigma_h", "pr_norm", "spectral_gap"]


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    whole = composed("map")["fit"]
    return {name: whole[name] for name in ("study", "forecast")}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]) -> Facts:
    study = Study(fabricate_study(tmp_path_factory.mktemp("results"), PLAN))
    return gather(groups(study)[0], fit_study(study, settings))


@pytest.mark.slow
def test_what_is_stored_is_what_the_command_prints(facts: Facts, settings: dict[str, Any]) -> None:
    [record] = facts.of("forecast")
    study = facts.group.runs[0].folder.parent.parent
    asked = {name: settings["forecast"][name] for name in ("n_bootstrap", "n_permutations")}
    found = observatory.fits.forecast(study, signals=FAMILY, settings=asked).record
    for part in ("params", "table", "warnings", "n", "level", "seed", "horizon_epochs"):
        assert record[part] == found[part]


def test_a_page_shows_its_record(facts: Facts) -> None:
    [record] = facts.of("forecast")
    [made] = draw_forecast(facts)
    assert isinstance(made, Drawing)
    assert made.table is not None
    shown = {row[0].removesuffix(" (baseline)"): row for row in made.table.rows}
    assert set(shown) == set(record["params"])
    assert {"clock", "train_loss", "val_loss", "weight_norm", "logit_scale"} < set(shown)
    for name in FAMILY:
        assert shown[name][1].startswith(f"{record['params'][name]['value']:.2f}")
        assert shown[name][-1] == record["table"][name]["verdict"]
    assert list(made.table.notes) == record["warnings"]
    assert made.table.caption.startswith("499 resamples")
    assert f"({record['extras']['n_events']} events" in made.caption
    order = ranked(rows_of(record))
    assert set(order[: len(order) - len(FAMILY)]).isdisjoint(FAMILY)


def test_part_of_a_run_is_refused(facts: Facts, settings: dict[str, Any]) -> None:
    few = where(facts.group.replicas, column(facts.group.replicas, "seed") < 3)
    part = replace(facts, group=replace(facts.group, replicas=few))
    part = replace(part, records=fit_group(part, settings))
    [found] = draw_forecast(part)
    assert isinstance(found, NotDrawn)
    assert "forecasts take its runs whole" in found.reason


def test_too_little_and_no_record_are_not_drawn(tmp_path: Path, settings: dict[str, Any]) -> None:
    small = Plan(study="small", weight_decays=(0.3, 1.0), n_seeds=3, probes=("attention",))
    study = Study(fabricate_study(tmp_path, small))
    found = gather(groups(study)[0], fit_study(study, settings))
    [few] = draw_forecast(found)
    assert isinstance(few, NotDrawn)
    assert "events" in few.reason
    blind = {**settings["forecast"], "signals": ["class_ratio"]}
    [record] = fit_group(found, {**settings, "forecast": blind})
    assert record["refused"] == "No probe was on that records a signal of the family."
    assert fit_group(found, {"study": settings["study"]}) == []
    [none] = draw_forecast(replace(found, records=[]))
    assert isinstance(none, NotDrawn)
    assert "not fitted" in none.reason
