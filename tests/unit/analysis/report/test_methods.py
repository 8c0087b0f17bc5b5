"""What a referee asks of a study stands on its page: rules, seeds, and how to train one again."""

from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.report.methods import rules_words
from observatory.analysis.report.provenance import run_page
from observatory.store.reader import Study
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

RULES = composed("map")["retirement"]


def _said(**changes: Any) -> str:
    config = {"retirement": {**RULES, **changes}, "evaluation": {"every": 25}}
    return " ".join(rules_words(config))


def test_the_rules_are_those_of_the_settings():
    said = _said(collapse_after=321, lost_level=0.87)
    assert "The seed of a replica draws its split" in said
    assert "read every 25 steps" in said
    assert "below 0.3 at 8 consecutive looks after step 321" in said
    assert "below 0.87 at 3 consecutive looks" in said
    assert "held99 was seen and 200 steps had passed" in said


def test_without_the_rule_of_settling_none_is_told():
    assert "ended at collapse, at divergence, or at the horizon." in _said(settle=False)


@pytest.mark.parametrize("command", ["observatory map experiment=smoke", "python mine.py"])
def test_provenance_has_the_command_of_one_network(tmp_path: Path, command: str):
    plan = Plan(weight_decays=(0.1, 1.0), n_seeds=2, probes=())
    run = Study(fabricate_study(tmp_path, plan)).runs[0]
    run.manifest["command"] = command
    said = dict(map(tuple, run_page(run).facts.rows))["One network again"]
    if command.startswith("observatory"):
        assert "observatory train experiment=smoke" in said
        assert "++sweep.fixed.weight_decay=0.1" in said
    else:
        assert said == "–"
