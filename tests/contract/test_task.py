"""Every YAML of conf/task makes a task that keeps the contract."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

import observatory
from observatory.core.contracts import Task
from observatory.core.rng import named_generator
from observatory.training.compose import compose

NAMES = sorted(
    path.stem for path in (Path(observatory.__file__).parents[1] / "conf" / "task").glob("*.yaml")
)


@pytest.fixture(params=[(name, twin) for name in NAMES for twin in (False, True)], ids=str)
def task(request: pytest.FixtureRequest) -> Task:
    name, twin = request.param
    config = compose(
        "train", [f"task={name}", "task.p=13", f"task.random_labels={str(twin).lower()}"]
    )
    return instantiate(config["task"])


def test_labels_are_answers_and_fixed_by_the_seed(task: Task) -> None:
    labels = task.labels(named_generator(3, "data"))
    assert labels.shape == (len(task.inputs()),)
    assert int(labels.min()) >= 0
    assert int(labels.max()) < task.n_classes
    assert torch.equal(labels, task.labels(named_generator(3, "data")))


def test_every_example_is_there_once(task: Task) -> None:
    inputs = task.inputs()
    assert len(torch.unique(inputs, dim=0)) == len(inputs)
    assert int(inputs.min()) >= 0
    assert int(inputs.max()) < task.n_symbols


@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.9])
def test_the_split_is_disjoint_exhaustive_and_fixed_by_the_seed(
    task: Task, fraction: float
) -> None:
    train, val = task.split(fraction, named_generator(5, "data"))
    n = len(task.inputs())
    assert len(train) == round(fraction * n)
    assert torch.equal(torch.cat([train, val]).sort().values, torch.arange(n))
    again, _ = task.split(fraction, named_generator(5, "data"))
    other, _ = task.split(fraction, named_generator(6, "data"))
    assert torch.equal(train, again)
    assert not torch.equal(train, other)
