"""The settings of fits: files of `conf/fit`, numbers of one's own, classes of one's own."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory import fits
from observatory.analysis.fit.plan import read_settings
from observatory.analysis.fit.settings import (
    build,
    changed,
    draw_seed,
    estimators,
    fit_nodes,
    settings_of,
)
from observatory.analysis.fit.study import fit_outcomes
from observatory.cli import main as cli
from observatory.core.errors import ConfigError
from tests.made_outcomes import laptop

COUNTS = pd.DataFrame(
    {"weight_decay": [0.0, 0.01, 0.03, 0.1, 0.3], "n": 20, "n_grokked": [0, 1, 6, 15, 20]}
)


def test_settings_come_from_the_yaml_and_may_be_changed() -> None:
    assert {"lsq", "mle", "firth"} <= set(estimators("boundary"))
    name, node = settings_of("boundary", "lsq")
    assert (name, node["level"], node["n_bootstrap"]) == ("boundary_lsq", 0.95, 1500)
    assert settings_of("boundary", "boundary_lsq") == (name, node)
    assert settings_of("boundary", "lsq", {"level": 0.5})[1] == {**node, "level": 0.5}
    assert changed(name, node, {"level": 0.5})["level"] == 0.5
    smoothed = fits.boundary(COUNTS, "lsq", smoothing=0.5, n_bootstrap=100)
    assert smoothed.record["estimator"] == "least_squares_smoothed"
    assert (
        smoothed.to_json()
        == fits.boundary(COUNTS, "lsq", settings={"smoothing": 0.5, "n_bootstrap": 100}).to_json()
    )


def test_what_a_caller_changes_of_the_settings_is_not_kept() -> None:
    fit_nodes()["boundary_lsq"]["level"] = 0.1
    assert settings_of("boundary", "lsq")[1]["level"] == 0.95


def test_what_is_unknown_lists_what_is_known() -> None:
    with pytest.raises(ConfigError, match=r"`estimator` of `boundary` must be one of .*'lsq'"):
        fits.boundary(COUNTS, "ols")
    with pytest.raises(ConfigError, match=r"got 'firht'\. Did you mean firth\?"):
        fits.boundary(COUNTS, "firht")
    with pytest.raises(
        ConfigError, match=r"`smoothing` is no setting of `boundary_firth`, which has"
    ):
        fits.boundary(COUNTS, "firth", smoothing=0.5)
    with pytest.raises(ConfigError, match=r"`horizon` is no setting of this fit"):
        fits.boundary(COUNTS, "firth", horizon=5)  # pyright: ignore[reportCallIssue]


def test_whole_numbers_of_any_kind_are_taken() -> None:
    assert type(changed("x", {"n_tests": None}, {"n_tests": 1e6})["n_tests"]) is int
    assert changed("x", {"n_tests": None}, {"n_tests": np.int64(3)})["n_tests"] == 3
    assert draw_seed(3) == 3


def test_numbers_of_a_study_keep_their_rules_too() -> None:
    node = {**settings_of("boundary", "firth")[1], "level": 95}
    with pytest.raises(ConfigError, match=r"`fit\.boundary_firth`: `level` must be"):
        read_settings({"study": fit_nodes()["study"], "boundary_firth": node})


MEDIAN = '''
"""The value at which half of all runs grokked, by eye."""

from dataclasses import dataclass

from observatory.analysis.stats.estimate import Estimate, Parameter


@dataclass(frozen=True)
class Halfway:
    level: float
    window_max: float | None
    offset: float
    fit_name: str = "boundary"
    estimator: str = "halfway"

    def fit(self, data, seed):
        inside = data.within(self.window_max)
        first = inside.weight_decay[inside.grokked].min()
        return Estimate(
            fit="boundary", estimator="halfway", event=data.event, level=self.level, seed=seed,
            horizon_steps=data.horizon_steps, horizon_epochs=None, n=inside.n,
            params={"critical": Parameter(float(first + self.offset))},
        )
'''
HALFWAY_YAML = """
boundary_halfway:
  _target_: halfway_of_mine.Halfway
  level: ${fit.study.level}
  window_max: ${fit.study.window_max}
  offset: 0.5
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of configurations with an estimator whose class is in no package of ours."""
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "boundary_halfway.yaml").write_text(HALFWAY_YAML)
    (tmp_path / "halfway_of_mine.py").write_text(MEDIAN)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_an_estimator_of_ones_own_is_a_class_and_a_yaml_in_a_folder(mine: Path) -> None:
    assert "halfway" in estimators("boundary", mine)
    assert "halfway" not in estimators("boundary")
    found = fits.boundary(COUNTS, "halfway", config_dir=mine)
    assert found.params["critical"] == 0.01 + 0.5
    assert (found.record["estimator"], found.record["level"]) == ("halfway", 0.95)
    lower = fits.boundary(COUNTS, "halfway", config_dir=mine, level=0.5, settings={"offset": 0.0})
    assert (lower.params["critical"], lower.record["level"]) == (0.01, 0.5)
    with pytest.raises(ConfigError, match=r"`interval` is no setting of `boundary_halfway`"):
        fits.boundary(COUNTS, "halfway", config_dir=mine, interval="bca")


@pytest.mark.slow
def test_a_class_of_ones_own_fits_a_study_where_its_folder_is_named(
    mine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted: list[str] = []

    def refit(study: Path, settings: dict) -> list[dict]:
        shared = {**settings["study"], "events": ["first99"]}
        own = {"study": shared, "boundary_halfway": settings["boundary_halfway"]}
        records = fit_outcomes(laptop(), 2500, 10, own)
        fitted.extend(record["estimator"] for record in records)
        return []

    monkeypatch.setattr("observatory.pipeline.refit", refit)
    asked = ["fit", str(mine), "--set", "fit=[study,boundary_halfway]", "--config-dir", str(mine)]
    assert cli.run(asked) == 0, capsys.readouterr().err
    assert "halfway" in fitted
    nodes = fit_nodes(mine)
    shared = {**nodes["study"], "events": ["first99"]}
    stored = {"study": shared, "boundary_halfway": nodes["boundary_halfway"]}
    with pytest.raises(ConfigError, match="must name a class in"):
        fit_outcomes(laptop(), 2500, 10, stored)
    for command in ("map", "sweep", "train"):
        monkeypatch.setattr(
            "observatory.cli.runs.perform",
            lambda verb, runs, quiet: fit_outcomes(laptop(), 2500, 10, stored),
        )
        assert cli.run([command, "experiment=smoke", "--config-dir", str(mine)]) == 0
    again = "observatory.pipeline.rebuild_report"
    monkeypatch.setattr(again, lambda study, formats: fit_outcomes(laptop(), 2500, 10, stored))
    assert cli.run(["report", str(mine), "--config-dir", str(mine)]) == 0
    assert cli.run(["report", str(mine)]) == 2


@pytest.mark.slow
def test_a_file_of_ones_own_replaces_ours_of_its_name(mine: Path) -> None:
    node = {**settings_of("boundary", "firth")[1], "level": 0.6}
    text = "\n".join(f"  {k}: {'null' if v is None else v}" for k, v in node.items())
    (mine / "fit" / "boundary_firth.yaml").write_text(f"boundary_firth:\n{text}\n")
    assert fits.boundary(COUNTS, "firth", config_dir=mine).record["level"] == 0.6
    assert fits.boundary(COUNTS, "firth").record["level"] == 0.95


def test_a_folder_without_fits_and_a_file_without_its_node_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`config_dir` must hold a folder `fit` .* got "):
        fits.boundary(COUNTS, config_dir=tmp_path)
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "boundary_other.yaml").write_text("boundary_mine:\n  level: 0.9\n")
    with pytest.raises(ConfigError, match=r"`fit/boundary_other\.yaml` must hold a node"):
        fits.boundary(COUNTS, config_dir=tmp_path)
    (tmp_path / "fit" / "boundary_other.yaml").write_text("boundary_other:\n  level: ${fit.x.y}\n")
    with pytest.raises(ConfigError, match=r"fit\.x\.y"):
        fits.boundary(COUNTS, config_dir=tmp_path)


def test_a_class_of_elsewhere_needs_a_folder_of_ones_own() -> None:
    node = {**settings_of("boundary", "firth")[1], "_target_": "halfway_of_mine.Halfway"}
    with pytest.raises(ConfigError, match=r"must name a class in .* by `--config-dir`"):
        build("boundary_firth", node)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("observatory.analysis.fits.boundary_lsq.BoundaryLsq", "boundary_lsq"),
        ("observatory.analysis.fits.boundary_mle.BoundaryMle", "boundary_mle"),
        ("observatory.analysis.fits.times.TimePowerLaw", "times"),
        ("observatory.analysis.times.estimators.uncensored.TimePowerLaw", "times_free"),
        ("observatory.analysis.fits.times_aft.TimesAft", "times_weibull"),
    ],
)
def test_an_older_study_names_a_class_where_it_was_and_it_is_found(target, name: str) -> None:
    node = fit_nodes()[name]
    now = build(name, node)
    before = build(name, {**node, "_target_": target})
    assert (type(before), vars(before)) == (type(now), vars(now))
