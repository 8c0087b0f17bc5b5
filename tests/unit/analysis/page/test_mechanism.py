"""The mechanism of a page: silent without its probes, and with them what was recorded."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from observatory.analysis.fit.study import fit_group
from observatory.analysis.page.drawing import Drawing
from observatory.analysis.page.facts import Facts, gather
from observatory.analysis.page.groups import Group, groups
from observatory.analysis.training.mechanism import MECHANISM, draw_mechanism
from observatory.store.reader import Study
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

SMALL = Plan(study="small", weight_decays=(0.3, 1.0), n_seeds=2, horizon=1500,
             probes=("weight_norm",))  # fmt: skip
LOOKS = (0, 1, 10, 100, 1000)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    [group] = groups(Study(fabricate_study(tmp_path_factory.mktemp("results"), SMALL)))
    return gather(group, fit_group(group, [], {"study": composed("map")["fit"]["study"]}))


def test_nothing_is_drawn_where_nothing_was_recorded(facts: Facts) -> None:
    assert draw_mechanism(facts) == []


def test_a_map_per_weight_decay_and_the_panels_that_were_recorded(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = facts.group.replicas
    base = pd.DataFrame(
        [
            {"run_id": run, "replica": replica, "step": step, "place": place}
            for run, replica in zip(rows["run_id"], rows["replica"], strict=True)
            for place, step in enumerate(LOOKS)
        ]
    )
    shares = [[1 - p / 10, p / 10, *[0.0] * 9] for p in base["place"]]
    planted: dict[str, dict[str, Any]] = {
        "probes/group_structure": {
            "logit_share": shares,
            "key_count": 5.0 - base["place"],
            "explained": base["place"] / 10,
        },
        "probes/references": {"final_nn_acc": base["place"] / 10},
    }
    monkeypatch.setattr(Group, "columns", lambda self, name: set(planted.get(name, {})))

    def table(self: Group, name: str, names: list[str]) -> pd.DataFrame | None:
        known = planted.get(name, {})
        return base.assign(**{n: known[n] for n in names}) if set(names) <= set(known) else None

    monkeypatch.setattr(Group, "table", table)
    made = {item.name: item for item in draw_mechanism(facts) if isinstance(item, Drawing)}
    assert list(made) == ["mechanism-spectrum", "mechanism-circuit", "mechanism-references"]
    made["mechanism-spectrum"].figure.savefig(tmp_path / "map.svg")
    assert (tmp_path / "map.svg").read_text().count('id="spectrum"') == 2  # two weight decays
    ticks = made["mechanism-spectrum"].figure.axes[0].get_yticks()
    assert all(tick == round(tick) for tick in ticks), "an irrep has a whole number"
    titles = [axes.get_title("left") for axes in made["mechanism-circuit"].figure.axes]
    assert [title for title in titles if title] == ["key irreps", "share explained by the answer"]


def test_every_column_that_is_drawn_is_one_of_its_probe() -> None:
    for shown in MECHANISM:
        for panel in shown.panels:
            if panel.probe == "evaluation":
                continue
            kind = "".join(word.capitalize() for word in panel.probe.split("_"))
            module = __import__(f"observatory.probes.{panel.probe}", fromlist=[kind])
            assert panel.column in {column.name for column in getattr(module, kind).columns}
