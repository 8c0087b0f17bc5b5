"""What holds for every test: one thread, no telemetry, no skip that goes unseen."""

import gc
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

import tests.typechecking

# Before torch, matplotlib or mlflow are imported; subprocesses inherit it.
os.environ.update(
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    MLFLOW_DISABLE_TELEMETRY="true",
    DO_NOT_TRACK="true",
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="1",
    MPLBACKEND="agg",
)
os.environ.setdefault("MPLCONFIGDIR", os.path.join(tempfile.gettempdir(), "observatory-matplotlib"))

# What is imported is compiled once, not by each worker and each command that is started: rewritten
# asserts and checked types are half the time of a collection.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

NO_SKIP = os.environ.get("OBSERVATORY_NO_SKIP") == "1"


@pytest.fixture(scope="module")
def without_checks_of_calls() -> Iterator[None]:
    """For modules that simulate or train: checks of types take half their time again."""
    with tests.typechecking.unchecked():
        yield


@pytest.fixture(autouse=True)
def no_handler_outlives_its_test() -> Iterator[None]:
    """Hydra logs to the stream that a test had, which is closed when the next one logs."""
    before = [*logging.root.handlers]
    yield
    for handler in [*logging.root.handlers]:
        if type(handler) is logging.StreamHandler and handler not in before:
            logging.root.removeHandler(handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave benchmarks out unless `-m` speaks of them."""
    if "benchmark" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("benchmark")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("benchmark")]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs CUDA")


def pytest_collection_finish() -> None:
    """What was imported stays: neither the collector nor a forked process goes through it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """With OBSERVATORY_NO_SKIP=1 a skipped test has failed, but for those that need CUDA."""
    report = yield
    expected = item.get_closest_marker("gpu") or hasattr(report, "wasxfail")
    if NO_SKIP and report.skipped and not expected:
        report.outcome, report.longrepr = (
            "failed",
            f"skipped, which nothing may be: {report.longrepr}",
        )
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[Any]:
    """The same for a file that skips itself while it is collected."""
    report = yield
    if NO_SKIP and report.skipped:
        report.outcome, report.longrepr = (
            "failed",
            f"skipped, which nothing may be: {report.longrepr}",
        )
    return report
