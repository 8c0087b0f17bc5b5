"""Task vectors: where they lead, and coefficients that a linear network has in closed form."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from observatory.core.errors import ConfigError
from observatory.interventions.task_vectors import combined, learned_coefficients, task_vector


def weights(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"weight": (2, 3), "bias": (2,)}
    return {name: rng.normal(size=of).astype(np.float32) for name, of in shapes.items()}


def test_coefficients_of_0_give_the_first_weights_and_of_1_the_last() -> None:
    first, last = weights(0), weights(1)
    vector = task_vector(first, last)
    for coefficient, expected in ((0.0, first), (1.0, last)):
        found = combined(first, [vector], torch.full((1, 2), coefficient))
        assert all(np.array_equal(found[n].float().numpy(), expected[n]) for n in expected)


def test_every_vector_has_a_coefficient_of_each_weight() -> None:
    """By hand, as theta_0 + sum_i c[i, weight] tau_i; exact but for rounding."""
    first = {"a": np.array([1.0, 2.0]), "b": np.array([0.0])}
    vectors = [
        {"a": torch.tensor([0.5, -1.0]), "b": torch.tensor([2.0])},
        {"a": torch.tensor([1.0, 1.0]), "b": torch.tensor([-1.0])},
    ]
    coefficients = torch.tensor([[0.3, 1.0], [-0.2, 0.5]], dtype=torch.float64)
    found = combined(first, vectors, coefficients)
    assert found["a"].tolist() == pytest.approx([0.95, 1.5], abs=1e-13)
    assert found["b"].tolist() == pytest.approx([1.5], abs=1e-13)


def test_learned_coefficients_of_a_linear_network_are_those_that_made_the_answers() -> None:
    """Its outputs are linear in them, by four independent columns: squares have one minimum."""
    first, network = weights(0), nn.Linear(3, 2)
    before = {name: each.clone() for name, each in network.state_dict().items()}
    vectors = [task_vector(first, weights(seed)) for seed in (2, 3)]
    inputs = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    true = torch.tensor([[0.3, 1.0], [-0.2, 0.5]], dtype=torch.float64)
    wanted = combined(first, vectors, true)
    labels = inputs @ wanted["weight"].T + wanted["bias"]
    found = learned_coefficients(
        network, first, vectors, inputs, labels, steps=300, lr=0.1, weight_decay=0.0,
        loss=mse_loss,
    )  # fmt: skip
    torch.testing.assert_close(found, true, rtol=0, atol=1e-5)
    assert all(torch.equal(each, before[name]) for name, each in network.state_dict().items())


def test_weight_decay_draws_coefficients_to_0() -> None:
    first, network = weights(0), nn.Linear(3, 2)
    vectors = [task_vector(first, weights(1))]
    inputs, labels = torch.eye(3, dtype=torch.float64)[:2], torch.tensor([0, 1])
    loose, tight = (
        learned_coefficients(
            network, first, vectors, inputs, labels, steps=200, lr=0.05, weight_decay=decay
        )
        for decay in (0.0, 5.0)
    )
    assert 0 < tight.norm() < 0.5 * loose.norm()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: task_vector(weights(0), {"weight": np.ones((2, 3))}), "`last` must have"),
        (lambda: combined(weights(0), [{"bias": torch.ones(2)}], torch.ones(1, 2)), r"vectors\[0"),
        (lambda: combined(weights(0), [], torch.ones(0, 2)), "at least one vector"),
        (
            lambda: combined(weights(0), [task_vector(weights(0), weights(1))], torch.ones(2, 1)),
            r"\[1, 2\], got \[2, 1\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        call()
