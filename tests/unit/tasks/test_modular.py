import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator
from observatory.tasks.modular import Modular, is_prime

RNG = torch.Generator()


def quotient(a: int, b: int, p: int) -> int:
    return next(c for c in range(p) if c * b % p == a)


FORMULAS = {
    "add": lambda a, b, p: (a + b) % p,
    "sub": lambda a, b, p: (a - b) % p,
    "mul": lambda a, b, p: a * b % p,
    "div": quotient,
    "div_sub": lambda a, b, p: quotient(a, b, p) if b % 2 == 1 else (a - b) % p,
    "sum_squares": lambda a, b, p: (a * a + b * b) % p,
    "quadratic": lambda a, b, p: (a * a + a * b + b * b) % p,
    "quadratic_x": lambda a, b, p: (a * a + a * b + b * b + a) % p,
    "cubic_xy": lambda a, b, p: (a * a * a + a * b) % p,
    "cubic_xyy_y": lambda a, b, p: (a * a * a + a * b * b + b) % p,
}


@pytest.mark.slow
@pytest.mark.parametrize("operation", FORMULAS)
@pytest.mark.parametrize("p", [2, 13, 97])
def test_answers_are_those_of_a_loop(operation, p) -> None:
    task = Modular(p=p, operation=operation, random_labels=False)
    pairs = [(a, b) for a in range(p) for b in range(p) if operation != "div" or b != 0]
    assert task.inputs().tolist() == [list(pair) for pair in pairs]
    assert task.labels(RNG).tolist() == [FORMULAS[operation](a, b, p) for a, b in pairs]


@pytest.mark.parametrize("operation", ["div", "div_sub"])
def test_division_needs_a_prime(operation) -> None:
    with pytest.raises(ConfigError, match="must be prime for division, got 9"):
        Modular(p=9, operation=operation, random_labels=False)
    Modular(p=9, operation="mul", random_labels=False)


def test_too_many_examples_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"at most 1,000,000 examples, got 1009\^2"):
        Modular(p=1009, operation="add", random_labels=False)


def test_multiplication_without_zero_is_addition_modulo_one_less() -> None:
    p, root = 13, 2  # 2 generates all residues but 0 modulo 13
    task = Modular(p=p, operation="mul", random_labels=False)
    logarithm = {root**k % p: k for k in range(p - 1)}
    for (a, b), c in zip(task.inputs().tolist(), task.labels(RNG).tolist(), strict=True):
        if a and b:
            assert logarithm[c] == (logarithm[a] + logarithm[b]) % (p - 1)


def test_random_labels_differ_from_the_answers_and_between_seeds() -> None:
    twin = Modular(p=29, operation="add", random_labels=True)
    truth = Modular(p=29, operation="add", random_labels=False).labels(RNG)
    one, two = (twin.labels(named_generator(seed, "data")) for seed in (0, 1))
    # 841 labels agree by chance at a rate of 1/29: 29 expected, sd 5.3; 60 is six sd away.
    assert int((one == truth).sum()) < 60
    assert int((one == two).sum()) < 60


def test_primes() -> None:
    assert [n for n in range(-2, 30) if is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
