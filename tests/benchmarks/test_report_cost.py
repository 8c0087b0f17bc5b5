"""What a page and the fits behind it cost: `make bench`."""

import time
from pathlib import Path

import pytest

from observatory.analysis.report.build import build_report
from observatory.launch.compose import compose
from observatory.pipeline import refit
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("n_seeds", [8, 91])
def test_cost_of_a_report(tmp_path: Path, n_seeds: int) -> None:
    folder = fabricate_study(tmp_path, Plan(study="large", n_seeds=n_seeds))
    settings = compose("map", [])["fit"]
    before = time.process_time()
    refit(folder, settings)
    fitted = time.process_time()
    build_report(folder)
    drawn = time.process_time()
    print(f"\n{11 * n_seeds} replicas: fits {fitted - before:.1f}, page {drawn - fitted:.1f} CPU-s")
