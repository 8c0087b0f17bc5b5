"""How a study grows with its replicas: files, bytes, the time to read its outcomes and fit them."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory import fit_boundary
from observatory.store.reader import Study
from tests.unit.analysis.report.fabricate import LAPTOP_DECAYS, Plan, fabricate_study

pytestmark = pytest.mark.benchmark
SEEDS = 46  # with 11 weight decays 506 replicas: a job of a few dozen slots, refilled


def test_growth_with_the_number_of_runs(tmp_path: Path) -> None:
    points = []
    for n_runs in (1, 4, 16):
        results = tmp_path / str(n_runs)
        for run in range(n_runs):
            plan = Plan(study="large", n_seeds=SEEDS, n_shards=1, run_id=f"{run:012x}")
            folder = fabricate_study(results, plan)
        files = [path for path in folder.rglob("*") if path.is_file()]
        began = time.process_time()
        runs = Study(folder).runs
        opened = time.process_time()
        outcomes = [run.outcomes() for run in runs]
        read = time.process_time()
        table = pd.concat(outcomes)
        table["grokked"] = table["first99_observed"].astype(bool)
        kept = table[(table["weight_decay"] > 0) & (table["weight_decay"] <= 1)]
        fitting = time.process_time()
        fit_boundary(kept, x="weight_decay", success="grokked", horizon_steps=2500)
        ended = time.process_time()
        n = len(table)
        size = sum(path.stat().st_size for path in files)
        print(
            f"\n{n} replicas in {n_runs} runs: {len(files)} files, {size / n / 1000:.0f} kB each, "
            f"open {opened - began:.2f}, read {read - opened:.2f}, fit {ended - fitting:.2f} CPU-s"
        )
        points.append((n, read - began))
    assert len(LAPTOP_DECAYS) * SEEDS * 16 == points[-1][0]
    slope = np.polyfit(*np.log(points).T, 1)[0]
    print(f"time to read grows as n^{slope:.2f}")
