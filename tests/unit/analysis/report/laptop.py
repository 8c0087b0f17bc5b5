"""A made-up laptop map and its page, built once for all tests of a run that read them."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.report.build import build_report
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, add_records, fitted_study, published
from tests.unit.analysis.report.records import every_kind


def laws() -> dict[str, Any]:
    """What a page says of curves and forecasts, with one curve of each law and few draws."""
    few = {"curves_emergence": 20, "curves_relaxation": 20, "forecast": 99}
    one = ("emergence_curves", "emergence_layers", "relaxation_decays")
    overrides = [f"fit.{name}.n_bootstrap={draws}" for name, draws in few.items()]
    overrides += ["fit.forecast.n_permutations=99", "fit.study.n_bootstrap=60"]
    settings = composed("map", *overrides, *(f"fit.study.max_{name}=1" for name in one))["fit"]
    return {name: settings[name] for name in ("study", *few)}


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first of all workers fills and the others find; it is not to be changed."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all workers
    folder, filled = shared / name, shared / f"{name}.filled"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not filled.exists():
            make(folder)
            filled.touch()
    return folder


def mapped(factory: pytest.TempPathFactory) -> Path:
    """A study with the numbers of a laptop map and every kind of record, its page in it."""
    return once(factory, "mapped", _mapped) / Plan().study


def _mapped(results: Path) -> None:
    study = fitted_study(results, Plan(), {**published(60), **laws()})
    add_records(study, every_kind())
    build_report(study)
