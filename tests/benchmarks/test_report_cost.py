"""What comes after training: opening a study, its fits, its page, its copy in MLflow."""

from pathlib import Path

import pytest

from observatory.analysis.report.build import build_report
from observatory.launch.compose import compose
from observatory.mirror.mirror import mirror
from observatory.mirror.settings import mlflow_settings
from observatory.pipeline import refit
from observatory.store.reader import Study
from tests.benchmarks.cost import cost_of
from tests.unit.analysis.report.fabricate import LAPTOP_DECAYS, Plan, fabricate_study

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


@pytest.mark.parametrize("n_seeds", [8, 91, 910])
def test_cost_after_training(tmp_path: Path, n_seeds: int) -> None:
    folder = fabricate_study(tmp_path, Plan(study="large", n_seeds=n_seeds))
    config = compose("map", [])
    mlflow = mlflow_settings(config["mlflow"], tmp_path)

    def copied() -> None:
        assert mirror(folder, mlflow).complete

    print(f"\n{len(LAPTOP_DECAYS) * n_seeds} replicas")
    for name, action in (
        ("open", lambda: Study(folder).replicas()),
        ("fit", lambda: refit(folder, config["fit"])),
        ("page", lambda: build_report(folder)),
        ("mirror", copied),
    ):
        print(f"  {name:7s}{cost_of(action)}", flush=True)
