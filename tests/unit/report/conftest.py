"""A laptop map on disk, made once for all tests of the report."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.report import curve_laws, draw_emergence, draw_forecast, draw_relaxation
from tests.unit.report.fabricate import Plan, add_records, fitted_study, published
from tests.unit.report.records import every_kind


@pytest.fixture(scope="session", autouse=True)
def few_laws() -> Iterator[None]:
    """One curve of each law, with few resamples: seconds less per page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curve_laws, "N_BOOTSTRAP", 20)
        patch.setattr(draw_emergence, "MAX_FITS", 1)
        patch.setattr(draw_emergence, "MAX_LAYERS", 1)
        patch.setattr(draw_relaxation, "MAX_DECAYS", 1)
        patch.setattr(draw_forecast, "SETTINGS", {"n_bootstrap": 99, "n_permutations": 99})
        yield


@pytest.fixture(scope="session")
def laptop_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fitted_study(tmp_path_factory.mktemp("results"), Plan())
    add_records(folder, every_kind())
    return folder


@pytest.fixture(scope="session")
def fit_settings() -> dict[str, Any]:
    """The published fits of the default configuration, with few resamples."""
    return published(40)
