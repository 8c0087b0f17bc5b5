import numpy as np
import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.tasks.function import FunctionTask


def task(function, n_symbols=4, n_operands=2, n_classes=4) -> FunctionTask:
    return FunctionTask(
        function=function,
        n_symbols=n_symbols,
        n_operands=n_operands,
        n_classes=n_classes,
        random_labels=False,
    )


def test_the_function_is_called_on_every_tuple() -> None:
    given = task(lambda a, b, c: (a + 2 * b + 3 * c) % 5, n_symbols=3, n_operands=3, n_classes=5)
    expected = [(a + 2 * b + 3 * c) % 5 for a in range(3) for b in range(3) for c in range(3)]
    assert given.labels(torch.Generator()).tolist() == expected
    assert given.inputs().shape == (27, 3)
    assert (given.n_symbols, given.n_classes) == (3, 5)


def test_integers_of_numpy_and_torch_are_integers() -> None:
    for kind in (np.int32, torch.tensor):
        labels = task(lambda a, b, kind=kind: kind(max(a, b))).labels(torch.Generator())
        assert labels.tolist() == [max(a, b) for a in range(4) for b in range(4)]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a, b: a + b, r"in 0\.\.3, got f\(1, 3\) = 4"),
        (lambda a, b: a - b, r"in 0\.\.3, got f\(0, 1\) = -1"),
        (lambda a, b: a / 2, r"integers in 0\.\.3, got f\(0, 0\) = 0\.0"),
        (lambda a, b: None, r"got f\(0, 0\) = None"),
        (lambda a, b: a // b, r"got ZeroDivisionError.* from f\(0, 0\)"),
        (lambda a: a, r"got TypeError.* from f\(0, 0\)"),
    ],
)
def test_values_that_are_no_answers_are_refused_with_their_operands(function, message) -> None:
    with pytest.raises(ConfigError, match=message):
        task(function)


@pytest.mark.parametrize("size", ["n_symbols", "n_operands", "n_classes"])
def test_sizes_are_checked(size) -> None:
    with pytest.raises(ConfigError, match=f"`{size}` must be at least"):
        task(lambda a, b: 0, **{size: 0})
