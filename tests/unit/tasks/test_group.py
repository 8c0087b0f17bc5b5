from itertools import permutations

import pytest
import torch

from observatory.maths.groups import symmetric
from observatory.tasks.group import GroupComposition


def compose(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x[y[i]] for i in range(len(x)))


def inverse(x: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x.index(i) for i in range(len(x)))


WORDS = {
    "xy": compose,
    "xyx^-1": lambda x, y: compose(compose(x, y), inverse(x)),
    "xyx": lambda x, y: compose(compose(x, y), x),
}


@pytest.mark.parametrize("expression", WORDS)
@pytest.mark.parametrize("n", [3, 4])
def test_words_are_those_of_permutations_in_a_loop(expression, n) -> None:
    task = GroupComposition(group=symmetric(n), expression=expression, random_labels=False)
    elements = list(permutations(range(n)))
    expected = [elements.index(WORDS[expression](x, y)) for x in elements for y in elements]
    assert task.labels(torch.Generator()).tolist() == expected
    assert task.inputs().tolist() == [
        [x, y] for x in range(len(elements)) for y in range(len(elements))
    ]
    assert task.group.order == task.n_symbols == task.n_classes == len(elements)
