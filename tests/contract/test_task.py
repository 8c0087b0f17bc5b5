"""Every YAML of conf/task makes a task that keeps the contract, its random-label twin included."""

from functools import cache
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

import observatory
from observatory.core.contracts import Task
from observatory.core.rng import named_generator
from observatory.fleet.replicas import Dataset
from tests.composed import block

NAMES = sorted(
    path.stem for path in (Path(observatory.__file__).parents[1] / "conf" / "task").glob("*.yaml")
)


@cache
def made(name: str, twin: bool) -> Task:
    """The task of a YAML, small where it has a modulus."""
    settings = block("task", f"task={name}")
    small = {"p": 13} if "p" in settings else {}
    assert settings["random_labels"] is False
    return instantiate({**settings, **small, "random_labels": twin}, _convert_="all")


@pytest.fixture(params=[(name, twin) for name in NAMES for twin in (False, True)], ids=str)
def task(request: pytest.FixtureRequest) -> Task:
    return made(*request.param)


@pytest.mark.slow
def test_labels_are_answers_and_fixed_by_the_seed(task: Task) -> None:
    assert isinstance(task, Task)
    labels = task.labels(named_generator(3, "labels"))
    assert labels.dtype == torch.int64
    assert labels.shape == (len(task.inputs()),)
    assert int(labels.min()) >= 0
    assert int(labels.max()) < task.n_classes
    assert torch.equal(labels, task.labels(named_generator(3, "labels")))


def test_every_example_is_there_once(task: Task) -> None:
    inputs = task.inputs()
    assert inputs.dtype == torch.int64
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
    other = torch.cat(task.split(fraction, named_generator(6, "data")))
    assert torch.equal(train, again)
    assert not torch.equal(torch.cat([train, val]), other)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_and_its_twin_differ_in_labels_alone(name: str) -> None:
    task, twin = made(name, twin=False), made(name, twin=True)
    assert torch.equal(task.inputs(), twin.inputs())
    assert (task.n_symbols, task.n_classes) == (twin.n_symbols, twin.n_classes)
    for seed in (0, 1):  # the task's answers do not depend on the seed, the twin's do
        assert torch.equal(
            task.labels(named_generator(seed, "labels")), task.labels(named_generator(9, "labels"))
        )
        assert not torch.equal(
            twin.labels(named_generator(seed, "labels")), twin.labels(named_generator(9, "labels"))
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_twin_is_trained_on_the_examples_of_its_real_run(name: str) -> None:
    for seed in (0, 7):
        real, twin = (Dataset.of(made(name, twin=t), 0.5).draw(seed) for t in (False, True))
        assert torch.equal(real.train, twin.train)
        assert torch.equal(real.val, twin.val)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_says_in_one_line_whether_it_is_known_not_to_grok(name: str) -> None:
    known = made(name, twin=False).negative
    assert known is None or (known.strip() and "\n" not in known and "arXiv:" in known)
    text = (Path(observatory.__file__).parents[1] / "conf" / "task" / f"{name}.yaml").read_text()
    assert ("# Negative: " in text) == (known is not None)
    reason = made(name, twin=True).negative
    assert reason is not None
    assert reason.startswith("random labels")
