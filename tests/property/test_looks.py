"""What is recorded of a replica depends on it and its place: not on stops, nor on neighbours."""

import os
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from observatory.fleet.fleet import Fleet
from observatory.launch.compose import compose
from observatory.launch.run import launch
from observatory.launch.workers import StoppedError
from observatory.store.reader import Run

SETTINGS = [
    *("experiment=smoke", "study=s", "modulus=11", "model=mamba", "fleet.device=cpu"),
    *("horizon_steps=32", "evaluation.every=4", "store.checkpoint_every=16", "fleet.size=3"),
    *("probe=[representation,lar,weight_spectrum]", "fleet.probe_examples=8"),
    *(
        f"probe.{name}.schedule.schedules=[{{_target_:observatory.core.schedule.Every,k:{k}}}]"
        for name, k in (("representation", 4), ("lar", 4), ("weight_spectrum", 8))
    ),
]


def replicas(*rates: float) -> str:
    """Of these learning rates, seated in this order: the smallest weight decay comes first."""
    rows = (f"{{weight_decay:{n / 10},seed:{n},lr:{lr}}}" for n, lr in enumerate(rates))
    return f"+replicas=[{','.join(rows)}]"


def run(results: Path, *more: str) -> Run:
    return Run(launch(compose("map", [*SETTINGS, *more, f"results={results}"])))


def tables(run: Run) -> dict[str, pa.Table]:
    return {name: run.arrow(name) for name in run.tables()}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_loses_no_step_and_changes_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    three = replicas(0.001, 0.002, 0.003)
    whole = tables(run(tmp_path / "calm", three))
    advance, ticks = Fleet.advance, [6, 9, 21]

    def interrupted(fleet: Fleet, steps: int) -> None:
        advance(fleet, steps)
        if ticks and fleet.tick >= ticks[0]:
            ticks.pop(0)
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Fleet, "advance", interrupted)
    made = [0]
    while ticks:
        with pytest.raises(StoppedError) as stopped:
            run(tmp_path / "cut", three)
        assert stopped.value.exit_code == 130
        (folder,) = (tmp_path / "cut" / "s" / "runs").iterdir()
        (said,) = Run(folder).progress()
        made.append(said["tick"])
        assert made[-1] > made[-2], "the steps since the last checkpoint were kept"
    assert tables(run(tmp_path / "cut", three)) == whole


@pytest.mark.slow
def test_a_neighbour_that_diverges_changes_no_bit(tmp_path: Path) -> None:
    def others(lr_of_first: float) -> tuple[dict[str, pa.Table], int]:
        rates = (lr_of_first, 0.001, 0.002, 0.003, 0.004)
        made = run(tmp_path / str(lr_of_first), replicas(*rates))
        beside = pa.array([1, 2])
        own = {
            name: table.filter(pc.is_in(table["replica"], beside)).drop_columns("run_id")
            for name, table in tables(made).items()
            if name.startswith("probes/")
        }
        return own, int((made.outcomes()["outcome"] == "diverged").sum())

    (calm, none), (beside, one) = others(0.001), others(1e30)
    assert (none, one) == (0, 1)
    assert calm == beside
