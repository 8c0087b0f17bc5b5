"""What every event of `conf/event` keeps: intervals, censoring and resolution."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import yaml

import observatory

FILES = sorted((Path(observatory.__file__).parent / "conf" / "event").glob("*.yaml"))
STEPS = np.arange(0, 2501, 25)
PRESETS = {"mem", "first99", "first95", "held99", "verma"}


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def event(request):
    node = yaml.safe_load(request.param.read_text())
    assert list(node) == [request.param.stem], "a preset nests under its own name"
    settings = node[request.param.stem]
    module, _, name = settings.pop("_target_").rpartition(".")
    return getattr(import_module(module), name)(**settings)


def test_the_presets_of_the_definitions_exist() -> None:
    assert {file.stem for file in FILES} >= PRESETS


def test_looks_at_a_series_that_is_always_recorded(event) -> None:
    assert event.series in {"train_acc", "val_acc", "train_loss", "val_loss"}


@pytest.mark.parametrize("onset", [1, 613, 1250, 2299])
def test_a_planted_onset_lies_in_the_interval(event, onset: int) -> None:
    found = event.locate(STEPS, np.where(onset <= STEPS, 1.0, 0.1))
    assert found.observed
    assert found.t_lo < onset <= found.t_hi
    assert found.t_hi - found.t_lo == 25
    assert found.watched == 2500


def test_no_onset_is_censored_at_the_last_look(event) -> None:
    for values in (np.full(STEPS.size, 0.5), np.full(STEPS.size, np.nan)):
        found = event.locate(STEPS, values)
        assert (found.t_lo, found.t_hi, found.observed) == (None, None, False)
        assert found.watched == 2500


def test_a_timed_event_is_not_moved_by_what_comes_later(event) -> None:
    values = np.where(STEPS >= 500, 1.0, 0.1)
    before = event.locate(STEPS[:40], values[:40])
    values[60:] = 0.0
    after = event.locate(STEPS, values)
    assert (before.t_lo, before.t_hi) == (after.t_lo, after.t_hi) == (475.0, 500.0)


def test_changes_nothing(event) -> None:
    values = np.random.default_rng(0).random(STEPS.size)
    kept, clock = values.copy(), STEPS.copy()
    assert event.locate(STEPS, values) == event.locate(STEPS, values)
    assert np.array_equal(values, kept)
    assert np.array_equal(clock, STEPS)
