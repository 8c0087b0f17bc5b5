"""Patching and its estimates against slow plain twins, and where all of them must agree.

| quantity | tolerance, why | source |
|---|---|---|
| a toy with GELU: all four scores | 1e-9: printed so | autograd, recomputation |
| coefficients of the rule of norms, of the half rule | 1e-12: float64 | autograd, parts held |

Both after arXiv:2508.21258.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from observatory.fleet.stack import vmapped_patched, vmapped_record
from observatory.maths.attribution.patching import normalised, patched
from observatory.maths.attribution.scores import (
    METHODS,
    Pairs,
    Site,
    activation_patching,
    corrupted_examples,
    estimates,
    recovered,
)
from observatory.maths.examples import all_tuples
from observatory.maths.hooks import HookPoint
from observatory.probes.attribution import KINDS, agreement, live, sites_of
from tests.small_networks import network_of

P, STEPS = 7, 4


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: Tensor, wanted: object, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, torch.as_tensor(wanted, dtype=torch.float64),
                               rtol=tolerance, atol=tolerance)  # fmt: skip


def patched_in(network: nn.Module) -> Callable[..., Tensor]:
    """As `EveryExample.patched`, of this network."""
    return lambda params, inputs, given, only, relevance: vmapped_patched(network, relevance)(
        params, inputs, given, only
    )


def params_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach()[None] for name, p in network.named_parameters()}


def drawn(preset: str, seed: int = 0, **settings: object) -> nn.Module:
    """A network with weights so large that nothing is nearly linear."""
    network = network_of(preset, p=P, n_operands=2, **settings).double()
    rng = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = 0.7 * torch.randn(parameter.shape, dtype=torch.float64, generator=rng)
    return network


def sites_at(network: nn.Module, n: int = 5) -> tuple[Pairs, dict[str, list[Site]]]:
    """Some pairs of addition and the sites of every kind."""
    inputs, params = all_tuples(P, 2), params_of(network)
    clean, corrupted = corrupted_examples(inputs, n, 0)
    answers = inputs.sum(dim=1) % P
    pairs = Pairs(
        patched_in(network), params, inputs[corrupted], answers[clean], answers[corrupted]
    )
    with torch.no_grad():
        seen = [vmapped_record(network)(params, inputs[each]) for each in (clean, corrupted)]
    return pairs, {kind: sites_of(kind, seen[0], seen[1]) for kind in KINDS}


def slow_forward(
    network: Any, inputs: Tensor, rules: bool, given: dict[str, Tensor], seen: dict[str, Tensor]
) -> Tensor:
    """A transformer or perceptron written out, head by head; with `rules` parts are held.

    `given` sets whole activations, `seen` notes them.
    """

    def at(name: str, value: Tensor) -> Tensor:
        seen[name] = given.get(name, value)
        return seen[name]

    def act(z: Tensor) -> Tensor:
        if not rules:
            return F.gelu(z)
        away = z + 1e-6 * torch.where(z >= 0, 1.0, -1.0)
        return away * (F.gelu(z) / away).detach()

    def norm(layer: Any, x: Tensor) -> Tensor:
        std = (x.var(dim=-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        std = std.detach() if rules else std
        return (x - x.mean(dim=-1, keepdim=True)) / std * layer.weight + layer.bias

    if not hasattr(network, "n_heads"):
        x = network.W_E[inputs].flatten(1)
        for i, block in enumerate(network.blocks):
            z = at(f"blocks.{i}.mlp_pre", at(f"blocks.{i}.mlp_in", x) @ block.W_in + block.b_in)
            x = at(f"blocks.{i}.mlp_post", act(z))
        return x @ network.W_U
    tokens = F.pad(inputs, (0, 1), value=P)
    x = network.W_E[tokens] + network.W_pos
    for i, block in enumerate(network.blocks):
        x = at(f"blocks.{i}.resid_pre", x)
        a, h, heads = block.attn, norm(block.ln1, x), []
        width = x.shape[-1] // network.n_heads
        for head in range(network.n_heads):
            own = slice(head * width, (head + 1) * width)
            q, k, v = ((h @ getattr(a, f"W_{c}") + getattr(a, f"b_{c}"))[..., own] for c in "QKV")
            scores = q @ k.mT / math.sqrt(width)
            future = torch.ones(3, 3, dtype=torch.bool).triu(1)
            heads.append(scores.masked_fill(future, -torch.inf).softmax(dim=-1) @ v)
        z = at(f"blocks.{i}.attn_z", torch.cat(heads, dim=-1))
        x = x + z @ a.W_O + a.b_O
        m, h = block.mlp, norm(block.ln2, x)
        if m.gated:
            gate, u = act(at(f"blocks.{i}.mlp_pre", h @ m.W_gate + m.b_gate)), h @ m.W_in + m.b_in
            hidden = gate * u
            hidden = hidden / 2 + (hidden / 2).detach() if rules else hidden
        else:
            hidden = act(at(f"blocks.{i}.mlp_pre", h @ m.W_in + m.b_in))
        x = at(f"blocks.{i}.resid_post", x + at(f"blocks.{i}.mlp_post", hidden) @ m.W_out + m.b_out)
    return norm(network.ln_final, x)[:, -1] @ network.W_U


def slow_scores(network: Any, pairs: Pairs, site: Site) -> dict[str, Tensor]:
    """One site, one pair and one piece of the way at a time."""
    found = {name: torch.zeros(site.count).double() for name in ("patching", *METHODS)}
    n = len(pairs.right)
    for i in range(n):
        right, wrong = int(pairs.right[i]), int(pairs.wrong[i])

        def m(value: Tensor, rules: bool, i: int = i, ends: tuple[int, int] = (right, wrong)):
            given = {site.name: value.unflatten(0, site.shape)[None]}
            z = slow_forward(network, pairs.corrupted[i : i + 1], rules, given, {})[0]
            return z[ends[0]] - z[ends[1]]

        a, way = site.corrupted[i], site.clean[i] - site.corrupted[i]

        def slope(value: Tensor, rules: bool, m: Any = m) -> Tensor:
            leaf = value.clone().requires_grad_()
            return torch.autograd.grad(m(leaf, rules), leaf)[0]

        ways = [slope(a + (j + 0.5) / STEPS * way, rules=False) for j in range(STEPS)]
        slopes = (slope(a, rules=False), torch.stack(ways).mean(dim=0), slope(a, rules=True))
        for j in range(site.count):
            own = (site.of_entry == j).double()
            patched = a + own * way
            found["patching"][j] += (m(patched, False) - m(a, False)).detach() / n
            for name, each in zip(METHODS, slopes, strict=True):
                found[name][j] += (own * way * each).sum() / n
    return found


@pytest.mark.parametrize(
    ("preset", "settings"),
    [("mlp", {}), ("transformer", {}), ("transformer", {"gated": True, "n_layers": 1})],
)
def test_they_are_those_of_a_slow_twin(preset: str, settings: dict[str, Any]) -> None:
    network = drawn(preset, activation="gelu", d_model=4, d_mlp=4, **settings)
    pairs, sites = sites_at(network, n=1)
    names = list[str]()
    for site in [each for of_kind in sites.values() for each in of_kind]:
        slow = slow_scores(network, pairs, site)
        names.append(site.name)
        close(activation_patching(pairs, site), slow["patching"])
        for name, found in estimates(pairs, site, STEPS).items():
            close(found, slow[name])
    assert len(names) == len(set(names)) == (5 if preset == "mlp" else 5 if settings else 9)


def test_in_a_linear_network_all_are_the_truth() -> None:
    """RelP up to the stabiliser of its identity rule, 1e-6 over what enters an activation."""
    pairs, sites = sites_at(drawn("mlp", activation="formula:x"))
    assert not sites["head"] + sites["stream"]
    for site in sites["embedding"] + sites["pre"] + sites["post"]:
        truth = activation_patching(pairs, site)
        for name, found in estimates(pairs, site, 1).items():
            close(found, truth, 1e-4 if name == "relp" else 1e-10)
            assert agreement(truth, found, 3) == pytest.approx(
                {"pearson": 1, "sign": 1, "overlap": 1}, abs=1e-8
            )


def test_integrated_gradients_of_a_whole_activation_are_complete() -> None:
    pairs, sites = sites_at(drawn("transformer", activation="gelu", d_mlp=6))
    for site, *_ in sites.values():
        whole = pairs.metric({site: site.clean[None]}) - pairs.metric({site: site.corrupted[None]})
        close(estimates(pairs, site, 400)["integrated_gradients"].sum(), whole.mean(), 1e-3)


@pytest.mark.parametrize("settings", [{}, {"gated": True}, {"norm": "post_rms"}])
def test_the_rules_change_no_logit_and_nothing_is_left_behind(settings: dict[str, Any]) -> None:
    network = drawn("transformer", activation="silu", **settings)
    params, inputs = params_of(network), all_tuples(P, 2)[None]
    with torch.no_grad():
        plain = network(inputs[0])
        close(vmapped_patched(network, True)(params, inputs, {}, {})[0], plain)
        assert torch.equal(network(inputs[0]), plain)
    assert not any(module._forward_hooks for module in network.modules())


def test_corrupted_examples_differ_in_one_operand() -> None:
    inputs = all_tuples(P, 2)
    clean, corrupted = corrupted_examples(inputs, 99, 0)
    assert len(set(clean.tolist())) == P * P
    assert ((inputs[clean] != inputs[corrupted]).sum(dim=1) == 1).all()
    assert not len(corrupted_examples(torch.tensor([[0, 0], [1, 1]]), 2, 0)[0])


def test_a_circuit_of_all_sites_recovers_what_their_activation_does() -> None:
    pairs, sites = sites_at(drawn("transformer", activation="gelu"))
    for kind in ("embedding", "stream"):
        n = sum(site.count for site in sites[kind])
        everything = recovered(pairs, sites[kind], torch.ones(n, dtype=torch.bool))
        last = sites[kind][-1]
        none = pairs.metric({last: last.corrupted[None]})
        close(double(everything), (pairs.metric({last: last.clean[None]}) - none).mean())
        assert recovered(pairs, sites[kind], torch.zeros(n, dtype=torch.bool)) == 0


@pytest.mark.parametrize(("preset", "kind"), [("mlp", "pre"), ("transformer", "stream")])
def test_a_circuit_in_the_first_block_works_through_the_second(preset: str, kind: str) -> None:
    pairs, sites = sites_at(drawn(preset, activation="gelu", d_mlp=6))
    first, last = sites[kind]
    taken = torch.arange(first.count + last.count) < first.count
    whole = pairs.metric({first: first.clean[None]}) - pairs.metric({first: first.corrupted[None]})
    assert abs(float(whole.mean())) > 1e-3
    close(double(recovered(pairs, sites[kind], taken)), whole.mean())
    for alone in (2, first.count + 3):
        one = torch.arange(len(taken)) == alone
        score = torch.cat([activation_patching(pairs, site) for site in sites[kind]])[alone]
        close(double(recovered(pairs, sites[kind], one)), score)


def test_agreement_by_hand() -> None:
    truth, found = double([3.0, -2.0, 1.0, 0.0]), double([1.0, 2.0, 3.0, 0.0])
    assert agreement(truth, found, 2) == pytest.approx(
        {"pearson": -1 / math.sqrt(13 * 5), "sign": 0.75, "overlap": 0.5}
    )
    assert agreement(truth[:2], found[:2], 1)["pearson"] is None
    assert agreement(truth, found * 0, 1)["pearson"] is None
    assert live([truth, double([0.0, 0.0, 0.0, 1e-12])]).tolist() == [True, True, True, False]
    assert not live([truth * 0, found * 0]).any()


def test_goldens_of_a_toy() -> None:
    network: Any = network_of("mlp", p=2, n_operands=1, n_layers=1, d_model=2, d_mlp=2,
                              activation="gelu", bias=False).double()  # fmt: skip
    network.W_E.data = double([[1.0, 2.0], [-1.0, 0.5]])
    network.blocks[0].W_in.data = double([[1.2, -0.7], [0.4, 0.9]])
    network.W_U.data = double([[1.0, 0.0], [-1.5, 0.0]])
    params, (clean, corrupted) = params_of(network), torch.tensor([[[0]], [[1]]])
    seen = [vmapped_record(network)(params, each) for each in (clean, corrupted)]
    close(seen[0]["logits"][0, 0, 0], 0.5283487366651729)
    close(seen[1]["logits"][0, 0, 0], -1.6679061649573728)
    zero, one = torch.tensor([0]), torch.tensor([1])
    pairs = Pairs(patched_in(network), params, corrupted, zero, one)
    wanted = {
        "pre": {
            "patching": [2.1131549900350985, 0.08309991158744712],
            "attribution_patching": [-0.24994641176305904, 0.08338160800431126],
            "integrated_gradients": [2.113155022843161, 0.08309991158871971],
            "relp": [0.47596528582908526, 0.06561954776673719],
        },
        "embedding": {
            "patching": [3.105331969898997, -2.1966388934268375],
            "attribution_patching": [2.134727894710276, -2.301292698469024],
            "relp": [2.2181195661319157, -1.6765347325360933],
        },
    }
    for kind, scores in wanted.items():
        (site,) = sites_of(kind, seen[0], seen[1])
        found = {"patching": activation_patching(pairs, site), **estimates(pairs, site, 2000)}
        for name, values in scores.items():
            close(found[name], values, 1e-9)


def test_goldens_of_the_rules() -> None:
    x, w = double([1.0, 2.0, -1.0, 0.5]), double([0.3, -0.2, 0.5, 1.0])
    x.requires_grad_()
    norm = nn.LayerNorm(4, eps=1e-5, bias=False).double()
    norm.weight.data = w
    (slope,) = torch.autograd.grad(normalised(norm, x).sum(), x)
    held = [-0.09237564893507882, -0.554253893610473, 0.09237564893507882, 0.554253893610473]
    close(slope, held, 1e-12)
    close(double(held) @ x.detach(), normalised(norm, x).sum().detach(), 1e-12)  # all of it is kept
    gate, linear = double([0.7, -1.2]).requires_grad_(), double([2.0, 0.5]).requires_grad_()
    block = nn.ModuleDict({"mlp_pre": HookPoint(), "mlp_post": HookPoint(),
                           "mlp": nn.ParameterDict({"W_gate": linear})})  # fmt: skip
    with patched(nn.ModuleDict({"blocks": nn.ModuleList([block])}), {}, {}, relevance=True):
        out = block["mlp_post"](block["mlp_pre"](gate) * linear).sum()
    close(out.detach(), 0.7999999999999999, 1e-13)
    slopes = torch.autograd.grad(out, (gate, linear))
    close(slopes[0], [1.0, 0.25], 2e-6)  # the stabiliser of the identity rule before it
    close(slopes[1], [0.35, -0.6], 1e-12)
