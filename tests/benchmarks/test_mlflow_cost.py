"""What MLflow costs: the mirror beside Lightning's logger on one database: `make bench`."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lightning.pytorch.loggers import MLFlowLogger

from observatory.mirror.cells import cells
from observatory.mirror.experiment import Point, open_experiment
from observatory.mirror.mirror import MlflowSettings, default_settings, mirror
from observatory.mirror.points import SKIPPED, Lines, fresh_points, measured
from observatory.store.reader import Study
from tests.postgres import serving
from tests.unit.analysis.report.fabricate import LAPTOP_DECAYS, Plan, fabricate_study

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]
ROUNDS = 5
WIDTH = 20
"""Metrics of one call in the plain comparison: losses, accuracies and a dozen diagnostics."""
DECAYS = {11: LAPTOP_DECAYS, 100: (0.0, *np.geomspace(0.01, 10, 99).round(4).tolist())}


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowSettings]:
    """A database with its schema made, which takes seconds and happens once."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp(request.param)
    plain = default_settings(folder)
    if request.param == "sqlite":
        MlflowClient(plain.tracking_uri).search_experiments()
        yield plain
        return
    with serving() as uri:
        MlflowClient(uri).search_experiments()
        yield replace(plain, tracking_uri=uri)


def by_tables(study: Study, settings: MlflowSettings) -> list[list[Point]]:
    """The curves of the study's first cell as the mirror draws them, one list per table."""
    (run,) = study.runs
    cell = cells(run.outcomes(), ["weight_decay", "lr"], "cell", "")[0]
    lines = Lines(
        settings.prefixes, settings.points, False, run.manifest["horizon_steps"],
        tuple(run.manifest["groups"]), True,
    )  # fmt: skip
    drawn = []
    for table in set(run.tables()) - set(SKIPPED):
        frame = run.table(table)
        frame = frame[frame["replica"].isin(list(cell.left))]
        columns = measured(run.columns(table), lines)
        drawn.append(fresh_points(cell, frame, table, columns, lines, -1)[0])
    return drawn


def plain_run() -> list[Point]:
    """A run of 200 looks at `WIDTH` metrics."""
    return [(f"part/metric{i}", 10 * k, 0.1 * i + k) for k in range(200) for i in range(WIDTH)]


def calls(points: Sequence[Point]) -> list[tuple[int, dict[str, float]]]:
    """What a logger is handed: the metrics of each step."""
    steps: dict[int, dict[str, float]] = {}
    for key, step, value in points:
        steps.setdefault(step, {})[key] = value
    return sorted(steps.items())


def seconds(action: Callable[[], object]) -> np.ndarray:
    """Wall and CPU time of one call."""
    before = time.perf_counter(), time.process_time()
    action()
    return np.array([time.perf_counter() - before[0], time.process_time() - before[1]])


def test_batches_beside_lightnings_logger(settings: MlflowSettings, tmp_path: Path) -> None:
    """The same points, in runs that exist, by calls of `log_metrics` and by batches."""
    from mlflow import MlflowClient

    folder = fabricate_study(tmp_path, Plan(study="one", weight_decays=(0.3,), n_seeds=8))
    tables = by_tables(Study(folder), settings)
    together = [point for points in tables for point in points]
    handed = {
        f"{WIDTH} metrics a call": calls(plain_run()),
        "a cell, a call per look of a table": [call for points in tables for call in calls(points)],
        "a cell, a call per step": calls(together),
    }
    experiment = open_experiment(MlflowClient(settings.tracking_uri), "batches", settings.artifacts)
    print(f"\n{settings.tracking_uri.partition(':')[0]}, {ROUNDS} interleaved rounds")
    for name, steps in handed.items():
        points = [(key, step, value) for step, found in steps for key, value in found.items()]
        ratios, spent = [], []
        for k in range(-1, ROUNDS):
            logger = MLFlowLogger("calls", f"{name} {k}", settings.tracking_uri)
            run_id = experiment.create(f"{name} {k}", name, 0).info.run_id
            assert logger.run_id

            def by_calls(logger: MLFlowLogger = logger) -> None:
                for step, metrics in steps:  # noqa: B023
                    logger.log_metrics(metrics, step)

            def by_batches(run_id: str = run_id) -> None:
                experiment.log_points(run_id, points, 0)  # noqa: B023

            slow, quick = seconds(by_calls), seconds(by_batches)
            if k >= 0:  # the first is to warm up
                ratios.append(slow / quick)
                spent.append(len(points) / quick)
        wall, cpu = np.median(ratios, axis=0)
        rate = np.median(spent, axis=0)[0]
        low, high = np.min(ratios, axis=0)[0], np.max(ratios, axis=0)[0]
        print(
            f"  {name}: {len(points)} points in {len(steps)} calls, ratio {wall:.1f} "
            f"[{low:.1f} to {high:.1f}] wall, {cpu:.1f} CPU; batches {rate:.0f} points per s"
        )


@pytest.mark.parametrize("n_cells", [11, 100])
def test_import_of_a_thousand_replicas(
    settings: MlflowSettings, tmp_path: Path, n_cells: int
) -> None:
    """The whole of `mirror`: reading, quantiles, runs, params, tags, points; then once more."""
    plan = Plan(study="large", weight_decays=DECAYS[n_cells], n_seeds=-(-1000 // n_cells))
    folder = fabricate_study(tmp_path, plan)
    for told in ("first", "again"):
        before = time.process_time()
        summary = mirror(folder, settings)
        cpu = time.process_time() - before
        assert summary.error is None
        print(
            f"\n{settings.tracking_uri.partition(':')[0]}, {n_cells} cells, {told}: "
            f"{summary.points_added} points, {summary.seconds:.1f} s, {cpu:.1f} CPU-s here"
        )
