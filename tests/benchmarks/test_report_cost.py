"""What a page costs: `make bench`."""

import time
from pathlib import Path

import pytest

from observatory.analysis.report.build import build_report
from tests.unit.report.fabricate import Plan, fabricate_study
from tests.unit.report.test_build import FIT

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("n_seeds", [8, 91])
def test_cost_of_a_report(tmp_path: Path, n_seeds: int) -> None:
    folder = fabricate_study(tmp_path, Plan(study="large", n_seeds=n_seeds))
    before = time.process_time()
    build_report(folder, FIT)
    print(f"\n{11 * n_seeds} replicas: {time.process_time() - before:.1f} CPU-s")
