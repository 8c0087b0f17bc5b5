"""A laptop map on disk, made once for all tests of the report."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.analysis.report.fabricate import published
from tests.unit.analysis.report.laptop import mapped


@pytest.fixture(scope="session")
def laptop_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study whose page is built, with every file."""
    return mapped(tmp_path_factory)


@pytest.fixture(scope="session")
def fit_settings() -> dict[str, Any]:
    """The published fits of the default configuration, with few resamples."""
    return published(40)
