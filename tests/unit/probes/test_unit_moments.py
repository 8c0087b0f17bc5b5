"""Moments of hidden units, and the fixed point that SELU units are drawn to."""

import torch

from observatory.core.layout import Params, Weight
from observatory.core.rng import named_generator
from observatory.core.view import FleetView
from observatory.fleet.stack import drawn_row, layout_of, vmapped_record
from observatory.probes.unit_moments import UnitMoments
from tests.selu_moments import selu_moments
from tests.small_networks import network_of

P, REPLICAS, LAYERS, WIDTH = 11, 8, 8, 256


def measured(activation: str, embed_std: float) -> dict:
    """The probe on fresh perceptrons of eight layers."""
    network = network_of(
        "mlp_selu", p=P, n_operands=2, n_layers=LAYERS, d_model=64, d_mlp=WIDTH,
        activation=activation, embed_std=embed_std,
    ).double()  # fmt: skip
    rows = [drawn_row(network, named_generator(seed, "init")) for seed in range(REPLICAS)]
    params: Params = layout_of(network).views(torch.stack(rows))
    inputs = torch.randint(P, (64, 2), generator=named_generator(0, "data"))
    zeros = torch.zeros(REPLICAS, dtype=torch.int64)
    weights: dict[str, Weight] = network.weights()
    view = FleetView(
        zeros, zeros, params, weights, inputs, torch.zeros(REPLICAS, 64, dtype=torch.int64),
        torch.zeros(REPLICAS, 64, dtype=torch.bool), vmapped_record(network)(params, inputs),
        "float64",
    )  # fmt: skip
    return dict(UnitMoments().measure(view))


def test_selu_is_drawn_to_its_fixed_point_from_both_sides_and_relu_is_not() -> None:
    """Eight layers of 256 units: the median of 8 networks comes to mean 0, variance 1.

    The map of moments has a slope of 0.78 in the variance, so that a fifth of the distance is left.
    A map that does not pull, as with a tau of 0.8 or without the scale of SELU, is caught.
    """
    for embed_std in (3**0.5, 0.3**0.5):
        found = measured("selu", embed_std)
        variance = found["post_variance"].median(dim=0).values
        assert found["post_mean"].median(dim=0).values[-1].abs() < 0.1
        distance = (variance - 1).abs()
        assert distance[0] > 0.35
        assert distance[-1] < 0.2
        assert distance[-1] < distance[0] / 3
    assert measured("relu", 1.0)["post_variance"].median(dim=0).values[-1] < 0.02


def test_each_layer_follows_the_map_of_moments() -> None:
    found = measured("selu", 3**0.5)
    means, variances = found["post_mean"], found["post_variance"]
    tau = found["squared_weights"].values[:, 1:]
    mapped = selu_moments(means[:, :-1], variances[:, :-1], torch.zeros_like(tau), tau)
    # a layer of 256 units has its own mean and variance, off by a few parts in sqrt(256)
    assert (mapped.variance - variances[:, 1:]).abs().median() < 0.1
    assert (mapped.mean - means[:, 1:]).abs().median() < 0.1
    assert ((mapped.variance - variances[:, 1:]).mean()).abs() < 0.1
    torch.testing.assert_close(tau.mean(), tau.new_tensor(1.0), rtol=0, atol=0.02)


def test_moments_before_and_after_are_those_of_the_activations() -> None:
    found = measured("square", 1.0)
    squares = found["pre_mean"] ** 2 + found["pre_variance"]
    assert (found["post_mean"] - squares)[:, 0].abs().max() < 1e-12
