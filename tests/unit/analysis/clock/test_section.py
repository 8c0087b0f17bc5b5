"""What a study says of threshold or clock: its record, its figure, and studies without."""

from dataclasses import replace
from typing import Any

import pytest

from observatory.analysis.clock.figure import draw_record
from observatory.analysis.clock.question import QUESTIONS
from observatory.analysis.clock.section import verdict_sentence
from observatory.analysis.fit.study import fit_group
from observatory.analysis.page.comparison import GroupComparison, StudyGroup, compare
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.facts import gather
from observatory.analysis.page.groups import groups
from observatory.store.reader import Study
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

[QUESTION] = QUESTIONS
LRS = (0.005, 0.01, 0.02)
DECAYS = (0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4)


def settings() -> dict[str, Any]:
    whole = composed("map")["fit"]
    return {name: whole[name] for name in ("study", "clock")}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> GroupComparison:
    """A study of three learning rates whose times go as 1 / (lr x weight decay)."""
    plan = Plan(study="clock", weight_decays=DECAYS, n_seeds=5, lrs=LRS, probes=())
    found = groups(Study(fabricate_study(tmp_path_factory.mktemp("clock"), plan)))
    only = {"study": settings()["study"]}
    beside = [
        StudyGroup(group.label, gather(group, fit_group(group, [], only)), group.label)
        for group in found
    ]
    return compare(beside)


def fitted(comparison: GroupComparison) -> list[Any]:
    return QUESTION.collect("fit_across", comparison, settings())


def drawn(comparison: GroupComparison, records: list[Any]) -> list[Drawing | NotDrawn]:
    return list(QUESTION.collect("section_across", replace(comparison, records=records)))


def test_a_study_with_learning_rates_has_one_record_and_one_figure(
    comparison: GroupComparison,
) -> None:
    [record] = fitted(comparison)
    assert (record["fit"], record["event"], record["refused"]) == ("clock", "first99", None)
    assert (record["n"], record["horizon_steps"]) == (150, 2500)
    assert record["extras"]["verdict"] == "clock"
    assert record["extras"]["lrs"] == "0.005, 0.01, 0.02"
    assert "group" not in record
    [figure] = drawn(comparison, [record])
    assert isinstance(figure, Drawing)
    assert figure.caption.startswith("Verdict: clock.")
    assert "n = 150 replicas at learning rates 0.005, 0.01, 0.02" in figure.caption
    above, boundary, residuals = figure.figure.axes
    points = [line for line in boundary.lines if line.get_gid() == "boundary"]
    assert [len(line.get_xdata()) for line in points] == [3] * len(points)
    seen = sum(len(one.get_xdata()) for one in above.lines if one.get_gid() == "decay-time")
    assert seen == 30
    assert any(line.get_gid() == "residual" for line in residuals.lines)
    assert figure.table is not None
    assert figure.table.rows[0][0] == "b, slope of the boundary against lr"


def test_one_learning_rate_or_a_study_that_does_not_ask_has_none(
    comparison: GroupComparison,
) -> None:
    assert fitted(replace(comparison, groups=comparison.groups[:1])) == []
    assert QUESTION.collect("fit_across", comparison, {"study": settings()["study"]}) == []


def test_groups_that_differ_in_more_are_fitted_apart(comparison: GroupComparison) -> None:
    others = [replace(g, label=f"task = Mul, {g.label}") for g in comparison.groups]
    both = replace(comparison, groups=[*comparison.groups[:2], *others[:2], others[2]])
    first, second = fitted(both)
    assert (first["n"], second["n"]) == (100, 150)
    assert second["group"] == {"setting": "task = Mul"}
    titles = [one.title for one in drawn(both, [first, second]) if isinstance(one, Drawing)]
    assert titles == ["Threshold or clock?", "Threshold or clock? task = Mul"]


def test_a_refusal_is_said_and_drawn(comparison: GroupComparison) -> None:
    [record] = fitted(comparison)
    refused = {**record, "refused": "No replica had the event.", "params": {}}
    [said] = drawn(comparison, [refused])
    assert isinstance(said, NotDrawn)
    assert said.reason == "the fit refused: No replica had the event"
    assert len(draw_record(refused).axes) == 1


@pytest.mark.parametrize("verdict", ["clock", "threshold", "both", "cannot tell"])
def test_every_verdict_has_words(verdict: str) -> None:
    text = verdict_sentence({"extras": {"verdict": verdict, "reason": "because."}})
    assert text.startswith(f"Verdict: {verdict}. ")
    assert text.endswith("Because.")
