"""What the answer claims follows from the records, whatever they say."""

import json
from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.page.facts import gather
from observatory.analysis.page.groups import groups
from observatory.analysis.report.answer import answer
from observatory.store.reader import Study


@pytest.fixture
def records(laptop_map: Path) -> list[dict[str, Any]]:
    return json.loads((laptop_map / "fits.json").read_text())["fits"]


def _told(folder: Path, records: list[dict[str, Any]]) -> list[str]:
    return answer(gather(groups(Study(folder))[0], records))


@pytest.mark.slow
def test_a_refused_estimator_is_named_beside_those_that_were_not(laptop_map: Path, records):
    first = next(record for record in records if record["fit"] == "boundary")
    first.update(refused="separated", params={})
    first = _told(laptop_map, records)[0]
    assert "(maximum likelihood lapse, 95% interval" in first
    assert "No estimate by least squares: the reasons are below the table of fits." in first


def test_an_estimate_has_an_interval_a_bound_or_neither(laptop_map: Path, records):
    lead = next(record for record in records if "lead" in record["extras"])
    critical = lead["params"]["critical"]
    for low, high, words in (
        (0.25, None, "λc = 0.5, above 0.25 (maximum likelihood lapse, 95% bound, n = 64"),
        (None, None, "λc = 0.5 (maximum likelihood lapse, without an interval, n = 64"),
    ):
        critical.update(value=0.5, ci_low=low, ci_high=high)
        assert words in _told(laptop_map, records)[0]


def test_the_lead_comes_first_and_is_named_where_it_refuses(laptop_map: Path, records):
    boundaries = [record for record in records if record["fit"] == "boundary"]
    why = "boundary_mle leads at every horizon: boundary_lsq refuses at 1000 steps."
    for record in (led := [r for r in boundaries if r["estimator"].startswith("maximum")]):
        record["extras"]["lead"] = why
    assert "(maximum likelihood lapse, 95% interval" in _told(laptop_map, records)[0]
    led[0].update(refused="Separation: nothing.", params={})
    first = _told(laptop_map, records)[0]
    assert first.startswith("maximum likelihood lapse, which leads at every horizon, gives no λc")
    assert "Separation: nothing. Other estimators of the same counts: " in first


def test_a_reason_shared_by_all_estimators_is_told_once(laptop_map: Path, records):
    for record in records:
        if record["fit"] != "cells":
            record.update(refused="No replica grokked.", params={})
    told = _told(laptop_map, records)
    assert told[0].endswith("Every estimator refused: No replica grokked.")
    assert len(told) == 2  # the rates remain; nothing is said of horizons and times


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("zero", "λc = 0 is preferred by these times"),
        ("cannot tell: free, zero", "These times do not distinguish λc from 0"),
        ("free", "A law with λc above 0 (free) is preferred"),
    ],
)
def test_the_verdict_on_a_critical_point_above_zero(laptop_map: Path, records, verdict, words):
    for record in records:
        if record["fit"] == "times_comparison":
            record["extras"]["verdict"] = verdict
    assert words in _told(laptop_map, records)[-1]
