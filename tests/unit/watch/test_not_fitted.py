"""Watched trainings that cannot be fitted: the refusal says why, and a page has the curves."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from observatory import fits
from observatory.analysis.report.figure import figure
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.pipeline import rebuild_report, refit
from observatory.store.reader import Study
from observatory.watch.online.checkpoints import probe_checkpoints
from observatory.watch.online.observer import Observe
from tests.composed import composed
from tests.looks import stand_in  # noqa: F401

QUESTIONS = (fits.boundary, fits.times, fits.survival, fits.horizon, fits.forecast)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three saved states of one network, its weights 1, 2 and 4."""
    folder, model = tmp_path_factory.mktemp("saved"), nn.Linear(3, 2)
    for step, size in ((10, 1.0), (20, 2.0), (40, 4.0)):
        state = {name: torch.full_like(value, size) for name, value in model.state_dict().items()}
        torch.save(state, folder / f"step={step}.pt")
    paths = sorted(folder.glob("*.pt"))
    probe_checkpoints(model, paths, torch.ones(4, 3), folder / "study", probes=["weight_norm"])
    return folder / "study"


def watched(folder: Path, event: str | None = None) -> Study:
    """Two trainings of which a setting `width` is known, and no weight decay."""
    for width in (8, 16):
        watch = Observe(folder, batch=torch.ones(2, 2), every=5, budget=None, event=event)
        watch.begin(nn.Linear(2, 1), {"width": width}, horizon_steps=20)
        for step in range(1, 21):
            watch.step(step, loss=float(1 - step / 20 * (width == 16)))
        watch.end()
    return Study(folder)


def test_every_question_says_that_checkpoints_have_no_event(checkpoints: Path) -> None:
    for question in QUESTIONS:
        with pytest.raises(ConfigError, match=r"No event was named .* saved checkpoints.*Observe"):
            question(Study(checkpoints))
    with pytest.raises(ConfigError, match="No event was named"):
        refit(checkpoints, composed("map")["fit"])


def test_the_page_of_checkpoints_has_the_curves_and_says_why_nothing_is_fitted(
    checkpoints: Path,
) -> None:
    page = rebuild_report(checkpoints).read_text()
    assert "<h1>Saved checkpoints</h1>" in page
    assert "No event was named for this study" in page
    assert "We looked at 3 checkpoints of a Linear" in page
    assert re.search(r"\bnan\b", re.sub(r"<svg.*?</svg>|<pre>.*?</pre>", "", page)) is None
    assert "λ" not in page
    [axes] = figure(checkpoints, "baselines").axes
    [line] = [line for line in axes.get_lines() if line.get_gid() == "median"]
    assert line.get_xdata() == pytest.approx([10, 20, 40])
    assert line.get_ydata() == pytest.approx([8**0.5, 2 * 8**0.5, 4 * 8**0.5])
    assert axes.get_legend() is None


def test_without_a_weight_decay_the_setting_that_was_varied_can_be_named(
    tmp_path: Path,
    stand_in: None,  # noqa: F811
) -> None:
    study = watched(tmp_path, "loss <= 0.1")
    with pytest.raises(ConfigError, match=r"No `weight_decay` .* 2 of 2 watched.*--control lr"):
        fits.survival(study)
    assert "event reached" in str(fits.survival(study, control="width"))
    page = rebuild_report(tmp_path).read_text()
    assert "0 of 1 had the event." in page  # networks of different widths are not pooled
    assert "1 of 1 had the event." in page
    assert "with fits of its own" not in page


def test_laws_of_curves_say_what_watched_trainings_lack(tmp_path: Path, checkpoints: Path) -> None:
    study = watched(tmp_path, "loss <= 0.1")
    with pytest.raises(ConfigError, match=r"No `massive_activations` .*--value l2.*probes="):
        fits.curves(study)
    with pytest.raises(ConfigError, match=r"No `attention` was measured of the watched training"):
        fits.curves(Study(checkpoints), estimator="tanh")
    for lr, lacking in ((None, "lr"), (0.01, "weight_decay")):
        with pytest.raises(ConfigError, match=rf"No `{lacking}` .* 2 of 2 watched.*watch.begin"):
            fits.curves(study, estimator="relaxation", lr=lr)
    with pytest.raises(FitRefusedError, match=r"run id .* steps that it needs .* run id"):
        fits.curves(study, estimator="relaxation", lr=0.01, weight_decay=0.1)  # one curve per run


def test_without_an_event_no_other_control_helps(
    tmp_path: Path,
    stand_in: None,  # noqa: F811
) -> None:
    study = watched(tmp_path)
    with pytest.raises(ConfigError, match=r"No event was named.*on a metric"):
        fits.survival(study, control="width")
    assert "No event was named" in rebuild_report(tmp_path).read_text()
