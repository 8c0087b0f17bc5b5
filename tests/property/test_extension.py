"""A longer horizon: what goes on equals a run to that horizon from the start, bit for bit."""

import shutil
from pathlib import Path

import pyarrow.compute as pc
import pytest

from observatory.launch import extend
from observatory.launch.compose import compose
from observatory.launch.run import launch
from observatory.launch.workers import StoppedError
from observatory.store.reader import Run, Study
from observatory.training import callbacks
from tests.property.test_looks import SETTINGS, replicas

SHORT, LONG = 16, 32
FEW = [*(s for s in SETTINGS if not s.startswith("horizon")), "batch_size=24"]
SEVERAL = ["fleet.size=2", replicas(0.001, 0.002, 0.003, 0.004, 0.005)]
"""Five replicas on two slots: all stop at the horizon, and those that go on wait for a seat."""
DIVERGES = [replicas(0.001, 1e30, 0.003)]
"""Three replicas on three slots, of which one leaves by a rule."""


def run_to(horizon: int, results: Path, *more: str) -> Run:
    return Run(
        launch(compose("map", [*FEW, f"horizon_steps={horizon}", f"results={results}", *more]))
    )


def tables(run: Run) -> dict[str, str]:
    """All that was recorded, to the last digit, but who sat where and the old horizon's states."""
    every = {name: run.arrow(name) for name in run.tables() if name != "events"}
    every["states"] = every["states"].filter(pc.field("step") == LONG)
    return {name: repr(table.to_pylist()) for name, table in every.items()}


@pytest.mark.slow
@pytest.mark.parametrize("whose", [SEVERAL, DIVERGES], ids=["several", "diverges"])
def test_an_extension_equals_the_run_from_the_start(tmp_path: Path, whose: list[str]) -> None:
    long = run_to(LONG, tmp_path / "whole", *whose)
    short = run_to(SHORT, tmp_path / "cut", *whose)
    extension = run_to(LONG, tmp_path / "cut", *whose)
    assert extension.run_id == long.run_id
    assert extension.manifest["extends"] == {"run_id": short.run_id, "horizon_steps": SHORT}
    assert tables(extension) == tables(long)
    spent = [run.manifest["cost"]["replica_steps"] for run in (long, short, extension)]
    assert spent[2] == spent[0] - spent[1] < spent[0]
    study = Study(short.folder.parents[1])
    assert [run.run_id for run in study.runs] == [long.run_id]  # no replica counts twice
    assert run_to(SHORT, tmp_path / "cut", *whose).status == "done"


@pytest.mark.slow
def test_an_extension_that_is_killed_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a shard is there, before it has its name, and while it trains."""
    whole = run_to(LONG, tmp_path / "whole", *SEVERAL)
    run_to(SHORT, tmp_path / "cut", *SEVERAL)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("write_continued", "rename_durably"):
        with monkeypatch.context() as patch:
            patch.setattr(extend, name, killed)
            with pytest.raises(KeyboardInterrupt):
                run_to(LONG, tmp_path / "cut", *SEVERAL)
    act = callbacks.StopCallback.act

    def stopping(self, trainer, module):
        if module.fleet.replica_steps > LONG - SHORT + 6:
            self.received.append(15)
        act(self, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.StopCallback, "act", stopping)
        with pytest.raises(StoppedError):
            run_to(LONG, tmp_path / "cut", *SEVERAL)
    assert tables(run_to(LONG, tmp_path / "cut", *SEVERAL)) == tables(whole)


@pytest.mark.slow
def test_what_cannot_go_on_says_why_and_is_trained_from_its_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = run_to(LONG, tmp_path / "whole", *DIVERGES)
    no_states = [*DIVERGES, "store.states.horizon=false"]
    run_to(SHORT, tmp_path / "none", *no_states)
    extension = run_to(LONG, tmp_path / "none", *DIVERGES)
    assert "the states at step 16 of its replicas [0, 2] were not kept" in caplog.text
    assert tables(extension) == tables(whole)
    caplog.clear()
    run_to(SHORT, tmp_path / "other", *DIVERGES, "loss=stablemax")
    extension = run_to(LONG, tmp_path / "other", *DIVERGES)
    assert "beside `horizon_steps` it differs in `loss._target_`" in caplog.text
    assert extension.manifest["extends"] is None
    short = run_to(SHORT, tmp_path / "lost", *DIVERGES)
    shutil.rmtree(short.folder / "shards" / "0" / "states")
    run_to(LONG, tmp_path / "lost", *DIVERGES)
    assert "is not continued: it is not done, or has lost rows" in caplog.text
