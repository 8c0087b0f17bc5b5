"""Every nonlinearity in a perceptron and in a transformer keeps what all networks keep."""

import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.core.layout import Layout
from observatory.core.rng import named_generator
from observatory.fleet.stack import flat_row, layout_of, vmapped
from observatory.maths.nonlinearities import ACTIVATIONS
from observatory.nonlinearities.contract import is_trained
from observatory.nonlinearities.named import FIXED, MADE, nonlinearity
from tests.small_networks import NONLINEARITIES, network_of

P = 7


@pytest.fixture(params=["mlp", "transformer"])
def preset(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=NONLINEARITIES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def drawn(preset: str, name: str) -> tuple[object, Layout]:
    network = network_of(preset, p=P, n_operands=2, activation=name).double()
    network.initialise(named_generator(0, "init"))
    return network, layout_of(network)


def inputs() -> torch.Tensor:
    return torch.randint(P, (6, 2), generator=named_generator(1, "data"))


def test_all_are_tried() -> None:
    kinds = {name.partition(":")[0] for name in NONLINEARITIES}
    assert kinds | {"evonorm_b0"} == (FIXED.keys() | MADE.keys()) - ACTIVATIONS.keys()


def test_an_example_alone_is_the_same_as_among_others(preset: str, name: str) -> None:
    network, _ = drawn(preset, name)
    together = network(inputs())  # type: ignore[operator]
    for row, example in enumerate(inputs()):
        alone = network(example[None])  # type: ignore[operator]
        assert (alone[0] - together[row]).abs().max() < 1e-12


def test_replicas_do_not_mix_and_permute(preset: str, name: str) -> None:
    network, layout = drawn(preset, name)
    rng = named_generator(2, "weights")
    flat = flat_row(network) + 0.3 * torch.randn(  # type: ignore[arg-type]
        3, sum(layout.sizes), generator=rng, dtype=torch.float64
    )
    rows = inputs().expand(3, -1, -1)
    forward = network.fast_path() or vmapped(network)  # type: ignore[attr-defined]
    whole = forward(layout.views(flat), rows)
    order = [2, 0, 1]
    permuted = forward(layout.views(flat[order]), rows)
    assert (permuted - whole[order]).abs().max() < 1e-12
    sick = flat.clone()
    sick[1] = torch.nan
    others = forward(layout.views(sick), rows)[[0, 2]]
    assert (others - whole[[0, 2]]).abs().max() < 1e-12


def test_parameters_are_pointwise_and_set_by_the_seed(preset: str, name: str) -> None:
    network, layout = drawn(preset, name)
    first = flat_row(network)  # type: ignore[arg-type]
    own = [
        (n, role) for n, role in zip(layout.names, layout.roles, strict=True) if "linearity" in n
    ]
    assert all(role == "pointwise" for _, role in own)
    assert bool(own) == is_trained(nonlinearity(name, 12))
    with torch.no_grad():
        for parameter in network.parameters():  # type: ignore[attr-defined]
            parameter.fill_(torch.nan)
    network.initialise(named_generator(0, "init"))  # type: ignore[attr-defined]
    assert torch.equal(flat_row(network), first)  # type: ignore[arg-type]
    assert (network.fast_path() is None) == bool(own)  # type: ignore[attr-defined]


def test_slopes_are_those_of_the_values(name: str) -> None:
    """Central differences; kinks and steps, where there are none, are at 0 and left out."""
    if name in ("sign", "threshold"):  # whose slope is another's on purpose
        return
    layer = nonlinearity(name, 8)
    if isinstance(layer, torch.nn.Module):
        layer.double().initialise(named_generator(3, "init"))  # type: ignore[operator]
    x = torch.tensor([[-2.3, -1.1, -0.4, 0.3, 0.8, 1.7, 2.1, -0.2]], dtype=torch.float64)
    slopes = torch.stack(
        [
            torch.autograd.functional.jacobian(lambda row, i=i: layer(row)[0, i], x)[0]
            for i in range(8)
        ]
    )
    step = 1e-6 * torch.eye(8, dtype=torch.float64)
    differences = (layer(x + step) - layer(x - step)).T / 2e-6
    assert (slopes - differences).abs().max() < 1e-7


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("evonorm_b0", "depend on which others"),
        ("evonorm_s0:5", "divides the 8 units"),
        ("evonorm_s0:0", "at least 1"),
        ("ash:0", r"in \(0, 100\)"),
        ("ash:many", "percentage"),
        ("relu:2", "no argument"),
        ("rleu", "Did you mean relu"),
        ("spline:0.5", "whole number"),
        ("tau_gate:0", "must be positive"),
        ("tau_gate:steep", "slope of its gates"),
        ("infinite_depth", "singular_4"),
    ],
)
def test_a_wrong_name_is_refused_with_the_reason(wrong: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        nonlinearity(wrong, 8)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot be read"),
        ("2+3", "has no x"),
        ("x*y", "only variable is x"),
        ("x.real", "no part of a formula"),
        ("x if x else 1", "no part of a formula"),
        ("(lambda: x)()", "no part of a formula"),
        ("__import__('os').system(x)", "no part of a formula"),
        ("eval(x)", "none of its functions"),
        ("sine(x)", "Did you mean sin"),
        ("sin(x, x)", "takes 1 argument"),
        ("sin(x, out=x)", "no part of a formula"),
        ("x**0.5", "whole number from 1 to 9"),
        ("1/x", "not finite at x = 0"),
        ("x*1e999", "not finite"),
        ("-" * 20 + "x", "more than 12 deep"),
        ("+".join(["x"] * 40), "79 nodes"),
        ("x*" + "9" * 400, "too large"),
        ("True*x", "no part of a formula"),
    ],
)
def test_a_wrong_formula_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        nonlinearity(f"formula:{text}", 8)


def test_formulas_mean_what_python_means_by_them() -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    for text, wanted in {
        "x**3 - 2*x + 1": x**3 - 2 * x + 1,
        "-x**2": -(x**2),
        "max(x, 0.1*x)": torch.maximum(x, 0.1 * x),
        "x/(1 + abs(x))": x / (1 + x.abs()),
        "sub(tanh(x), erf(neg(x)))": x.tanh() + torch.erf(x),
    }.items():
        assert (nonlinearity(f"formula:{text}", 1)(x) - wanted).abs().max() < 1e-14
