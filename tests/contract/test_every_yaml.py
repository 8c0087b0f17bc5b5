"""Every file of every group of `conf`: it composes, builds, and takes two steps with its looks."""

from pathlib import Path

import pytest
import torch

import observatory
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.training.build import build

CONF = Path(observatory.__file__).parents[1] / "conf"
LISTS = {"event": ["mem", "first99", "held99"], "probe": [], "arms": []}
TRAINED = (
    *("model", "task", "loss", "optimizer", "probe", "evaluation", "retirement", "event", "arms"),
)
OTHERS = ("fleet", "store", "sweep", "mlflow", "launcher")  # what does not enter a step
ELSEWHERE = {"fit", "experiment", "search", "low_precision"}  # test_fit.py and so on
TINY = [
    *("task=add", "task.p=13", "model=transformer", "model.d_model=8", "model.d_mlp=8"),
    *("batch_size=8", "fleet.size=1", "fleet.shards=1", "fleet.device=cpu"),
    *("fleet.probe_examples=8", "evaluation.subset=8", "probe=[weight_norm]"),
    "fit=[scaling]",  # of thirty files one, that needs no other
]
ELSEWHERE_TOO = {
    *(f"arms={how}_embedding" for how in ("transplant", "random", "permuted", "rotated")),
    *("arms=add_task_vector", "arms=noise_task_vector", "probe=progress_oracle"),
}
"""Files that need a finished study: property/test_arms.py, unit/launch/test_reprobe.py."""
INSTEAD = {  # what a file needs that the tiny network is not
    "probe=li2": ["model=li2", "model.d_mlp=8"],
    "probe=massive_state": ["model=lstm"],
}

NO_LOOK = {f"probe={name}": ["massive_state"] for name in ("default", "mechanism")}
"""Probes of a class of cost that the tiny network has nothing for."""


def files(*groups: str) -> list[str]:
    return [f"{group}={p.stem}" for group in groups for p in sorted((CONF / group).glob("*.yaml"))]


def chosen(file: str) -> list[str]:
    """The overrides that put the file in place of the tiny one of its group."""
    group, _, name = file.partition("=")
    kept = [o for o in TINY if not o.startswith((f"{group}.", f"{group}="))]
    if "model" in (INSTEAD.get(file) or [""])[0]:
        kept = [o for o in kept if not o.startswith("model")]
    if group == "task":
        kept = [o for o in kept if not o.startswith("task")]
    if group in LISTS:
        own = ",".join(dict.fromkeys([*LISTS[group], name]))
        return [*kept, f"{group}=[{own}]", *INSTEAD.get(file, [])]
    return [*kept, file, *INSTEAD.get(file, [])]


def groups_in_use() -> set[str]:
    return {path.name for path in CONF.iterdir() if path.is_dir() and list(path.glob("*.yaml"))}


def test_no_group_is_forgotten() -> None:
    assert groups_in_use() == {*TRAINED, *OTHERS} | ELSEWHERE


@pytest.mark.slow
@pytest.mark.parametrize(
    "file",
    [
        pytest.param(file, marks=pytest.mark.slow) if file == "model=large" else file
        for file in files(*TRAINED)
        if file not in ELSEWHERE_TOO
    ],
)
def test_it_takes_two_steps(file: str) -> None:
    parts = build(resolved(compose("train", chosen(file))))
    assert list(parts.unavailable) == NO_LOOK.get(file, [])
    fleet = parts.shard(0, 1)
    fleet.fill()
    fleet.advance(2)
    measured = fleet.evaluate([0], full=False)
    assert all(torch.isfinite(value).all() for value in measured.values())
    assert fleet.diverged_steps() == [None]
    with torch.no_grad():
        for scheduled in parts.probes.values():
            measured = scheduled.probe.measure(fleet.view(fleet.look([0])))
            assert list(measured) == [column.name for column in scheduled.probe.columns]


@pytest.mark.slow
@pytest.mark.parametrize("file", files(*OTHERS))
def test_the_rest_composes_and_builds(file: str) -> None:
    build(resolved(compose("train", chosen(file))))
