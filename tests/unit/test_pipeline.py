"""What `map` and `sweep` end with."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from observatory import pipeline
from observatory.store.published import MADE, unchanged
from tests.composed import composed
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

PLAN = Plan(study="small", weight_decays=(0.5,), n_seeds=1, horizon=100, probes=())


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of a study whose MLflow server is not there; its fits and report are not made."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}"
    study = fabricate_study(tmp_path, PLAN)
    for name in MADE:
        (study / name).touch()
    monkeypatch.setattr(pipeline, "refit", lambda *_: [])
    monkeypatch.setattr(pipeline, "rebuild_report", lambda *_: study / "report.html")
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)  # as in a command
    made = composed("map", "experiment=smoke")
    mlflow = {**made["mlflow"], "tracking_uri": uri}
    return {**made, "results": str(tmp_path), "study": "small", "mlflow": mlflow}


def test_an_unreachable_mlflow_is_reported_once(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is asked after every batch of a search, beside the fits, and at the end."""
    said = list[str]()

    def search(_config: Any, _watch: Any, message: Any) -> None:
        message("a batch")
        message("found")

    monkeypatch.setattr(pipeline, "search_boundary", search)
    report = pipeline.run_sweep(config, None, said.append)
    assert said[:2] == ["a batch", "found"]
    (told,) = said[2:]
    assert told.startswith("MLflow was not updated: `small` was not mirrored to MLflow at http://")
    assert "does not answer" in told
    assert capfd.readouterr() == ("", "")
    assert unchanged(report.parent, {name: config[name] for name in ("fit", "mlflow")}) is None
