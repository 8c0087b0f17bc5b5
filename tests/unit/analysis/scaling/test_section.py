"""Groups of several sizes: the stored chain and amplitudes, and why there are none."""

from dataclasses import replace
from typing import Any

import pytest

from observatory.analysis.fit.study import fit_group
from observatory.analysis.page.comparison import GroupComparison, StudyGroup, compare
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.facts import gather
from observatory.analysis.page.groups import groups
from observatory.analysis.scaling.question import QUESTIONS
from observatory.store.reader import Study
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

[QUESTION] = QUESTIONS


def settings_of(*changes: str) -> dict[str, Any]:
    """The sizes of a study's fits alone."""
    whole = composed("map", *(f"fit.{change}" for change in changes))["fit"]
    return {name: whole[name] for name in ("study", "scaling", "curves_saturation")}


SETTINGS = settings_of("scaling.n_bootstrap=20", "scaling.n_null=19")


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> GroupComparison:
    """Three studies that differ in modulus and width, slower the larger they are."""
    found = []
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
        folder = fabricate_study(tmp_path_factory.mktemp("sizes"), plan)
        [group] = groups(Study(folder))
        facts = gather(group, fit_group(group, [], {"study": SETTINGS["study"]}))
        found.append(StudyGroup(f"p{p}", facts, ""))
    return compare(found)


def drawn(comparison: GroupComparison, settings: dict[str, Any]) -> list[Drawing | NotDrawn]:
    records = QUESTION.collect("fit_across", comparison, settings)
    return list(QUESTION.collect("section_across", replace(comparison, records=records)))


@pytest.mark.slow
def test_sizes_have_a_chain_and_amplitudes(sizes: GroupComparison) -> None:
    chain, amplitude = drawn(sizes, SETTINGS)
    assert isinstance(chain, Drawing)
    assert "by task.p, 3 sizes" in chain.caption
    assert "verdict: " in chain.caption
    assert "20 resamples and 19 crossovers" in chain.caption
    left = chain.figure.axes[0].get_xlim()[0]
    assert 0.01 < left < 0.03  # a log axis of the control, not down to 1e-30
    assert isinstance(amplitude, NotDrawn)  # 3 of 4 sizes
    assert amplitude.reason.startswith("A law of saturation needs values at 4 values of `d_head`")


def test_what_cannot_be_fitted_is_a_refusal_with_its_reason(sizes: GroupComparison) -> None:
    few = compare(sizes.groups[:2])
    refused = drawn(few, SETTINGS)[0]
    assert isinstance(refused, NotDrawn)
    assert refused.reason.startswith("the chain refused: Scaling with size needs 3 sizes")
    twice = compare([*sizes.groups, sizes.groups[0]])
    refused = drawn(twice, SETTINGS)[0]
    assert isinstance(refused, NotDrawn)
    assert "Several groups have one size" in refused.reason


def test_groups_without_heads_have_no_amplitudes(
    sizes: GroupComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("observatory.analysis.scaling.study_fits.head_readings", lambda facts: None)
    only = {name: SETTINGS[name] for name in ("study", "curves_saturation")}
    assert drawn(sizes, only) == [
        NotDrawn("Peak of sigma_h against d_head", "A group lacks the attention probe")
    ]


def test_groups_of_one_size_have_no_panel_of_sizes(sizes: GroupComparison) -> None:
    one = sizes.groups[0].facts
    assert drawn(compare([StudyGroup("a", one, ""), StudyGroup("b", one, "")]), SETTINGS) == []
    assert drawn(sizes, {"study": SETTINGS["study"]}) == []
