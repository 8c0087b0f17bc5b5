"""A laptop map on disk, made once for all tests of the report."""

from pathlib import Path
from typing import Any

import pytest

from observatory.training.compose import compose
from tests.unit.report.fabricate import Plan, fitted_study


@pytest.fixture(scope="session")
def laptop_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted_study(tmp_path_factory.mktemp("results"), Plan())


@pytest.fixture(scope="session")
def fit_settings() -> dict[str, Any]:
    """The `fit` node of the default configuration, with few resamples."""
    return compose("map", ["fit.study.n_bootstrap=40"])["fit"]
