"""Replicas that still train: their events so far, and the step up to which all are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory import fits
from observatory.analysis.fit.study import write_replicas_csv
from observatory.analysis.page.facts import gather
from observatory.analysis.page.groups import groups
from observatory.analysis.tables.cells import cells_record
from observatory.analysis.tables.last_looks import last_looks
from observatory.analysis.tables.outcomes import numbers
from observatory.analysis.tables.recorded import common_step, horizon_of, recorded
from observatory.core.errors import ConfigError
from observatory.store.reader import Study
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

PLAN = Plan(weight_decays=(0.15, 0.3, 1.0), n_seeds=4, probes=())


@pytest.fixture(scope="module")
def going(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The last 6 of 12 replicas still train."""
    plan = Plan(**{**vars(PLAN), "study": "going", "unfinished": 6})
    return Study(fabricate_study(tmp_path_factory.mktemp("results"), plan))


def test_events_of_what_still_trains_are_those_that_its_looks_show(
    going: Study, tmp_path: Path
) -> None:
    done = Study(fabricate_study(tmp_path, PLAN)).runs[0].outcomes()
    found = recorded(going.runs)
    assert found["outcome"].isna().sum() == 6
    names = [f"{event}_{end}" for event in ("mem", "first99", "held99") for end in ("lo", "hi")]
    for name in [*names, "first99_observed", "step"]:
        np.testing.assert_array_equal(numbers(found, name), numbers(done, name))


def test_all_are_cut_at_the_step_that_every_one_has(going: Study) -> None:
    rows = recorded(going.runs)
    until = common_step(rows)
    assert until == numbers(rows, "step")[6:].min() < 2500
    assert until == horizon_of(going.runs, rows)
    found = fits.boundary(going, "firth")
    assert (found.record["n"], found.record["horizon_steps"]) == (12, until)
    assert any("still train" in warning for warning in found.warnings)
    with pytest.raises(ConfigError, match="`horizon_steps` must be at most"):
        fits.boundary(going, "firth", horizon_steps=2500)
    with pytest.raises(ConfigError, match="6 replicas of going have not finished"):
        last_looks(going, ["val_acc"])
    group = groups(going)[0]
    counted = cells_record(group.replicas, "first99", group.horizon, 1, 0.95)
    facts = gather(group, [counted])
    assert facts.times["t_hi"].max() <= facts.times["watched"].max() <= group.horizon == until
    assert (facts.cells["n"].sum(), facts.cells["unfinished"].sum()) == (12, 6)
    rate = facts.times["t_hi"].notna().groupby(facts.times["weight_decay"]).mean()
    assert rate.tolist() == facts.cells["rate"].tolist()


@pytest.mark.slow
def test_replicas_of_a_file_say_the_same(going: Study) -> None:
    table = pd.read_csv(write_replicas_csv(going))
    until = common_step(recorded(going.runs))
    with pytest.raises(ConfigError, match=f"`horizon_steps` must be at most {until}"):
        fits.boundary(table, "firth")
    file, study = fits.boundary(table, "firth", horizon_steps=until), fits.boundary(going, "firth")
    assert file.params.tolist() == study.params.tolist()
