"""Groups of a study compared seed by seed: what is drawn is what was stored."""

from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.fit.settings import fit_nodes
from observatory.analysis.page.comparison import GroupComparison, StudyGroup, compare
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.facts import Facts, gather
from observatory.analysis.page.groups import groups
from observatory.analysis.paired.question import QUESTIONS
from observatory.analysis.tables.cells import cells_record
from observatory.store.reader import Study
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

QUESTION = QUESTIONS[0]


def facts_of(folder: Path) -> Facts:
    [group] = groups(Study(folder))
    parts = ("first99", group.horizon, group.steps_per_epoch, 0.95)
    return gather(group, [cells_record(group.replicas, *parts)])


def three_groups(folder: Path, probes: tuple[str, ...]) -> GroupComparison:
    """Studies that differ in the modulus, slower the larger it is."""
    made = []
    for index, p in enumerate((13, 23, 43)):
        plan = Plan(
            study=f"p{p}",
            weight_decays=(0.03, 0.06, 0.1, 0.2, 0.4),
            n_seeds=5,
            probes=probes,
            config={"task": {"_target_": "a.Modular", "p": p}, "model": {"n_heads": 4}},
            run_id=f"{index:012d}",
            slowness=1.0 + 0.5 * index,
        )
        made.append(StudyGroup(f"p{p}", facts_of(fabricate_study(folder / f"p{p}", plan)), ""))
    return compare(made)


@pytest.fixture(scope="module")
def with_heads(tmp_path_factory: pytest.TempPathFactory) -> GroupComparison:
    return three_groups(tmp_path_factory.mktemp("heads"), ("attention",))


def settings(**study: Any) -> dict[str, Any]:
    nodes = fit_nodes()
    return {**nodes, "study": {**nodes["study"], **study}}


@pytest.mark.slow
def test_every_group_is_compared_with_the_first_at_every_weight_decay(
    with_heads: GroupComparison, tmp_path: Path
) -> None:
    [record] = QUESTION.collect("fit_across", with_heads, settings())
    assert len(record["params"]) == 10  # two groups less the first, five weight decays
    assert record["event"] == "peak sigma_h (nats)"
    row = record["table"]["weight decay 0.03: p23 - p13"]
    assert (row["arm"], row["reference"], row["n"]) == ("p23", "p13", 5)
    [drawn] = QUESTION.collect("section_across", compare(with_heads.groups, [record]))
    assert isinstance(drawn, Drawing)
    drawn.figure.savefig(tmp_path / "drawn.svg")
    assert (tmp_path / "drawn.svg").read_text().count('id="estimate"') == 10
    assert "minus that of p13, over the seeds that both have, at 5 of 5" in drawn.caption


@pytest.mark.slow
def test_weight_decays_are_thinned_to_the_contrasts_that_are_wanted(
    with_heads: GroupComparison,
) -> None:
    [record] = QUESTION.collect("fit_across", with_heads, settings(max_contrasts=4))
    assert {row["condition"] for row in record["table"].values()} == {
        "weight decay 0.03",
        "weight decay 0.4",
    }
    assert (record["extras"]["n_controls"], record["extras"]["n_controls_run"]) == (2, 5)


@pytest.mark.slow
def test_groups_without_heads_are_compared_by_their_events(tmp_path: Path) -> None:
    [record] = QUESTION.collect("fit_across", three_groups(tmp_path, ()), settings())
    assert record["event"] == "share with first99 (dimensionless)"
    assert record["extras"]["rates"]


def test_refusals_are_stored_and_told(with_heads: GroupComparison) -> None:
    nodes = settings()
    nodes["paired"]["min_pairs"] = 6
    [record] = QUESTION.collect("fit_across", with_heads, nodes)
    assert "5 pairs, at least 6 are needed" in record["refused"]
    [note] = QUESTION.collect("section_across", compare(with_heads.groups, [record]))
    assert isinstance(note, NotDrawn)
    assert note.reason.startswith("the comparison refused: No contrast can be tested")


def test_nothing_is_drawn_that_was_not_fitted(with_heads: GroupComparison) -> None:
    assert list(QUESTION.collect("section_across", with_heads)) == []
    one = [StudyGroup("a", with_heads.groups[0].facts, "")] * 2
    assert (
        len(QUESTION.collect("fit_across", compare(one), settings())) == 1
    )  # equal: refused, but told
