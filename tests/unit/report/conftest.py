"""A laptop map on disk, made once for all tests of the report."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.report.fabricate import Plan, add_records, fitted_study, published
from tests.unit.report.records import every_kind


@pytest.fixture(scope="session")
def laptop_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fitted_study(tmp_path_factory.mktemp("results"), Plan())
    add_records(folder, every_kind())
    return folder


@pytest.fixture(scope="session")
def fit_settings() -> dict[str, Any]:
    """The published fits of the default configuration, with few resamples."""
    return published(40)
