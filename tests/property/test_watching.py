"""Watching changes nothing: the same weights, bit for bit, whoever looks and however often."""

from pathlib import Path

import pytest

from observatory.launch.compose import compose
from observatory.launch.run import launch
from observatory.store.reader import Run

TINY = [
    "task.p=11", "model.d_model=16", "model.d_mlp=16", "horizon_steps=120", "evaluation.every=20",
    "+sweep.scientific.weight_decay=[0.0,1.0,30.0]", "+sweep.nuisance.seed=[0,1]", "fleet.shards=1",
    "fleet.size=4", "retirement.collapse_after=0", "retirement.collapse_looks=2",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", ["null", "32"])
def test_probes_evaluation_and_checkpoints_change_no_bit(tmp_path: Path, batch_size: str) -> None:
    full = f"batch_size={batch_size}"
    watched = launch(compose("train", [*TINY, f"results={tmp_path}", full]))
    blind = launch(compose("train", [*TINY, f"results={tmp_path}", full, "probe=[]"]))
    busy = launch(
        compose("train", [*TINY, f"results={tmp_path / 'busy'}", full, "store.checkpoint_every=7"])
    )
    tables = [
        Run(folder).table("evaluation").drop(columns="run_id") for folder in (watched, blind, busy)
    ]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])
    assert not Run(watched).table("probes/attention").empty
    assert "probes/attention" not in Run(blind).tables()


@pytest.mark.slow
def test_stopping_and_continuing_changes_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from observatory.launch.workers import StoppedError
    from observatory.training import callbacks

    whole = launch(compose("train", [*TINY, f"results={tmp_path / 'whole'}"]))
    act, ticks = callbacks.StopCallback.act, iter([30, 70, 130])
    stop_at = next(ticks)

    def stopping(self, trainer, module):
        if module.fleet.tick >= stop_at:
            self.received.append(15)
        act(self, trainer, module)

    monkeypatch.setattr(callbacks.StopCallback, "act", stopping)
    config = compose("train", [*TINY, f"results={tmp_path / 'parts'}"])
    for following in (*ticks, 10**9):
        with pytest.raises(StoppedError, match="same command continues"):
            launch(config)
        stop_at = following
    parts = launch(config)
    for name in Run(whole).tables():
        assert Run(whole).table(name).equals(Run(parts).table(name)), name
