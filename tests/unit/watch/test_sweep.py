"""A sweep over the user's own model, read by the verbs of a study."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from observatory import fits
from observatory.bundle.export import export_study
from observatory.bundle.unpack import import_bundle
from observatory.core.errors import ConfigError
from observatory.launch.status import study_status, text
from observatory.mirror.descriptions import headline
from observatory.mirror.mirror import mirror
from observatory.mirror.settings import mlflow_settings
from observatory.pipeline import rebuild_report, refit
from observatory.store.describe import task_and_model
from observatory.store.reader import Study
from observatory.watch.online.observer import Observe
from tests.composed import composed
from tests.looks import stand_in  # noqa: F401

DECAYS = (0.02, 0.04, 0.06, 0.1, 0.3)


def sweep(folder: Path, *, seeds: int = 6, end: bool = True) -> Study:
    """Trainings of which val accuracy rises at a step that falls with weight decay."""
    rng = np.random.default_rng(0)
    for decay in DECAYS:
        for seed in range(seeds):
            watch = Observe(
                folder, batch=torch.ones(2, 2), every=50, budget=None, event="val_acc >= 0.9"
            )
            settings = {"weight_decay": decay, "seed": seed, "lr": 0.1}
            watch.begin(nn.Linear(2, 1), settings, horizon_steps=200)
            rises = 12 / decay * np.exp(0.9 * rng.standard_normal())
            for step in range(10, 201, 10):
                watch.step(step, val_acc=float(step > rises), train_loss=1.0)
            if end or seed:
                watch.end()
            else:
                watch.pause()
    return Study(folder)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        from observatory.watch.online import observer
        from tests.looks import Instrument

        patch.setattr(observer, "Instrument", Instrument)
        return sweep(tmp_path_factory.mktemp("results") / "mine")


@pytest.mark.slow
def test_a_sweep_gives_a_boundary_and_times(study: Study) -> None:
    found = fits.boundary(study, "firth")
    low, high = found.conf_int().loc["critical"]
    assert low < 12 / 200 < high  # where the median time is the horizon
    assert "event reached, horizon 200 steps" in str(found)
    times = fits.times(study)
    assert 0.5 < times.params["nu"] < 1.5


@pytest.mark.slow
def test_trainings_that_go_on_are_cut_at_what_is_recorded(
    tmp_path: Path,
    stand_in: None,  # noqa: F811
) -> None:
    study = sweep(tmp_path, seeds=3, end=False)
    rows = study.replicas()
    assert rows["outcome"].isna().sum() == len(DECAYS)
    found = fits.boundary(study, "firth")
    assert "still train" in str(found)
    assert study_status(tmp_path)[0]["replica_steps"] == 200


@pytest.mark.slow
def test_status_fits_and_page_of_a_sweep(study: Study) -> None:
    assert text(study_status(study.folder)).count("1/1 replicas finished") == 30
    settings = composed("map")["fit"]
    few = {k: settings[k] for k in ("study", "boundary_firth")}
    records = refit(study.folder, few)
    assert {record["event"] for record in records} == {"reached"}
    assert (study.folder / "replicas.csv").read_text().count("reached") >= 1
    page = rebuild_report(study.folder).read_text()
    assert "<h1>Observed trainings</h1>" in page
    assert "study mine" in page
    assert "eight decay switches the network to the event at λc" in page
    for words in (
        "phase map of grokking",
        "time to grok",
        "times to grok",
        "from memorising to grokking",
        "Training trajectories",
    ):
        assert words not in page


def test_without_an_event_there_is_nothing_to_fit(
    tmp_path: Path,
    stand_in: None,  # noqa: F811
) -> None:
    watch = Observe(tmp_path, batch=torch.ones(2, 2), every=50, budget=None)
    watch.begin(nn.Linear(2, 1))
    watch.end()
    with pytest.raises(ConfigError, match="No event was named"):
        refit(tmp_path, composed("map")["fit"])


@pytest.mark.slow
def test_a_bundle_of_an_observed_study_is_taken_among_others(study: Study, tmp_path: Path) -> None:
    bundle = export_study(
        study.folder, tmp_path / "mine.tar", weights=False, partial=False, authors=[], trust=False
    )
    there = Study(import_bundle(bundle, tmp_path / "elsewhere"))
    assert there.replicas().equals(study.replicas())
    assert "watched in its owner's loop for 200 steps" in task_and_model(there.runs[0].manifest)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_an_observed_study_is_mirrored(study: Study, tmp_path: Path) -> None:
    settings = composed("map")["mlflow"]
    done = mirror(study.folder, mlflow_settings(settings, tmp_path))
    assert done.error is None
    assert done.complete
    words = headline([], study.runs[0].manifest, "report.html")
    assert "Linear · 0 cells · 0 of 0 replicas finished, 0 reached" in words
