"""A made-up laptop map and its page, built once for all tests of a process that read them."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.page import style
from observatory.analysis.report.build import build_report
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, add_records, fitted_study, published
from tests.unit.analysis.report.records import every_kind

EVERY_FORMAT = dict(style.FORMATS)


@contextmanager
def cheap_pages(*formats: str) -> Iterator[None]:
    """Pages with figures in some formats only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "FORMATS", {kind: EVERY_FORMAT[kind] for kind in formats})
        yield


def laws() -> dict[str, Any]:
    """What a page says of curves and forecasts, with one curve of each law and few draws."""
    few = {"curves_emergence": 20, "curves_relaxation": 20, "forecast": 99}
    one = ("emergence_curves", "emergence_layers", "relaxation_decays")
    overrides = [f"fit.{name}.n_bootstrap={draws}" for name, draws in few.items()]
    overrides += ["fit.forecast.n_permutations=99", "fit.study.n_bootstrap=60"]
    settings = composed("map", *overrides, *(f"fit.study.max_{name}=1" for name in one))["fit"]
    return {name: settings[name] for name in ("study", *few)}


@functools.cache
def mapped(folder: Path) -> Path:
    """A study with the numbers of a laptop map and every kind of record, its page in it."""
    study = fitted_study(folder, Plan(), {**published(60), **laws()})
    add_records(study, every_kind())
    with cheap_pages(*EVERY_FORMAT):
        build_report(study)
    return study
