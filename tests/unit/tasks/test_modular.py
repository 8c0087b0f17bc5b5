import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator
from observatory.tasks.modular import Modular, is_prime


@pytest.mark.parametrize(
    ("operation", "undone"),
    [
        ("add", lambda a, b, c, p: (c - b) % p == a % p),
        ("sub", lambda a, b, c, p: (c + b) % p == a % p),
        ("mul", lambda a, b, c, p: a * b % p == c),
        ("div", lambda a, b, c, p: c * b % p == a % p),
    ],
)
def test_answers_undo_the_operation_on_every_pair(operation, undone) -> None:
    p = 13
    task = Modular(p=p, operation=operation, random_labels=False)
    pairs, labels = task.inputs(), task.labels(torch.Generator())
    assert len(pairs) == (p * (p - 1) if operation == "div" else p * p)
    for (a, b), c in zip(pairs.tolist(), labels.tolist(), strict=True):
        assert undone(a, b, c, p)


def test_division_by_zero_is_left_out_and_composites_are_refused() -> None:
    assert (Modular(p=7, operation="div", random_labels=False).inputs()[:, 1] != 0).all()
    with pytest.raises(ConfigError, match="must be prime for division, got 9"):
        Modular(p=9, operation="div", random_labels=False)
    Modular(p=9, operation="mul", random_labels=False)


def test_random_labels_differ_from_the_answers_and_between_seeds() -> None:
    twin = Modular(p=29, operation="add", random_labels=True)
    truth = Modular(p=29, operation="add", random_labels=False).labels(torch.Generator())
    one, two = (twin.labels(named_generator(seed, "data")) for seed in (0, 1))
    # 841 labels agree by chance at a rate of 1/29: 29 expected, sd 5.3; 60 is six sd away.
    assert int((one == truth).sum()) < 60
    assert int((one == two).sum()) < 60


def test_primes() -> None:
    assert [n for n in range(-2, 30) if is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
