"""Values and slopes that layers of splines and of products must give, and their sizes.

| quantity | tolerance, why | source |
|---|---|---|
| one edge of a KAN: value and slope | 1e-12: float64 | scipy's splines, arXiv:2404.19756 |
| parameters of a KAN | exact | formula of arXiv:2407.16674 |
| an edge of mixed families | 1e-12: float64 | closed forms, after arXiv:2408.08338 |
| EUGen layer of order 2: outputs, slope | 1e-12: float64 | formula of arXiv:2601.22563 |
| LSSA, LSSAR with p 3 and 15: patterns, slope | 1e-12: float64 | arXiv:2501.13428 |
| log-normal start: ln of the sizes | 4 standard errors | closed form, arXiv:2510.02730 |
| mean margin over the table of an additive network | 1e-10: a sum of 961 rows | proof |
"""

import pytest
import torch
from torch import Tensor

from observatory.core.rng import named_generator
from observatory.models.eugen.network import Block as EugenBlock
from observatory.models.eugen.network import Eugen
from observatory.models.kan.network import Block as KanBlock
from observatory.models.kan.network import Kan
from observatory.models.mlp.starts import draw_log_normal
from observatory.models.transformer.patterns import attention_pattern

P = 7


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: Tensor, wanted: object, tolerance: float) -> None:
    torch.testing.assert_close(found, double(wanted), rtol=0, atol=tolerance)


def test_one_edge() -> None:
    x = double([[-1.0], [-0.35], [0.0], [0.3], [0.999], [1.0], [1.2], [2.3]]).requires_grad_()
    coefficients = 1.3 * double([0.1, -0.2, 0.3, 0.05, -0.4, 0.2, 0.6, -0.1])
    y = KanBlock(5, 3, -1.0, 1.0)(x) @ torch.cat([double([0.7]), coefficients])
    values = [-0.2749256616256633, 0.0664475438139126, -0.20447916666666657, -0.10906759230288506,
              1.0532414425102976, 1.05340767170767, 0.962435818139175,
              1.4632920327660812]  # fmt: skip
    slopes = [0.37563064168995924, -0.5381105732726436, -0.6046875, 1.4233678822232174,
              0.17058595363937906, 0.16186935831004157, -0.8157263214073699,
              0.7695534301446939]  # fmt: skip
    close(y.detach(), values, 1e-12)
    close(torch.autograd.grad(y.sum(), x)[0][:, 0], slopes, 1e-12)


def test_one_edge_of_mixed_families() -> None:
    """Of splines alone it is the edge above; shares of a third each add up to closed forms."""
    x = double([[-1.0], [-0.35], [0.0], [0.3], [1.2], [2.3]])
    c = double([0.7, 0.1, -0.2, 0.3, 0.05, -0.4, 0.2, 0.6, -0.1, 0.3, -0.5, 0.2, 0.4, -0.3,
                0.1, 0.6, -0.2, 0.8, -0.7, 0.5])  # fmt: skip
    mixed, plain = KanBlock(5, 3, -1.0, 1.0, mixed=True).double(), KanBlock(5, 3, -1.0, 1.0)
    assert mixed.rho is not None
    with torch.no_grad():
        mixed.rho.copy_(double([0.0, -1e4, -1e4]))
        assert (mixed(x) @ c - plain(x) @ c[:9]).abs().max() < 1e-12
        mixed.rho.zero_()
    splines = plain(x)[:, 1:] @ c[1:9]
    degree = torch.arange(5).double()
    polynomials = (degree * x.tanh().arccos()).cos() @ c[9:14]
    u = (x - torch.linspace(-1, 1, 6, dtype=torch.float64)) / 0.4
    hats = (0.8673250705840776 * (1 - u**2) * (-(u**2) / 2).exp()) @ c[14:]
    base = 0.7 * x[:, 0] * torch.sigmoid(x[:, 0])
    with torch.no_grad():
        assert (mixed(x) @ c - base - (splines + polynomials + hats) / 3).abs().max() < 1e-12


def kan(**settings: object) -> Kan:
    usual = {
        "n_layers": 2, "functions": "spline", "d_model": None, "d_mlp": 12, "grid": 5, "order": 3,
        "grid_low": -1.0, "grid_high": 1.0, "embed_std": 0.3, "d_vocab": P,
        "n_classes": P, "n_operands": 2,
    }  # fmt: skip
    return Kan(**{**usual, **settings}).double()


def eugen(**settings: object) -> Eugen:
    usual = {
        "n_layers": 1, "d_model": 8, "d_mlp": 12, "n_features": 4, "order": 2,
        "norm_feature": True, "embed_std": 0.5, "d_vocab": P, "n_classes": P, "n_operands": 2,
    }  # fmt: skip
    return Eugen(**{**usual, **settings}).double()


def test_the_parameters_are_those_of_the_formula() -> None:
    """Edges times G + k + 2 as published: one of them is the scale, which is left out here."""
    network = kan(d_mlp=128, d_vocab=31, n_classes=31)
    counts = [parameter.numel() for parameter in network.parameters()]
    edges = [62 * 128, 128 * 31]
    assert sorted(n + e for n, e in zip(sorted(counts), sorted(edges), strict=True)) == [
        39680,
        79360,
    ]
    for grid, order in ((3, 2), (8, 1)):
        network = kan(grid=grid, order=order, n_layers=3)
        edge = 14 * 12 + 12 * 12 + 12 * 7
        assert sum(p.numel() for p in network.parameters()) == edge * (grid + order + 1)


def test_eugen_of_order_two() -> None:
    layer = EugenBlock(3, 2, 2, 2, True).double()
    with torch.no_grad():
        layer.get_parameter("G_1_1").copy_(
            double([[0.3, -0.2, 0.5, 0.1, 0.4], [-0.6, 0.1, 0.2, 0.3, -0.1]]).T
        )
        layer.get_parameter("G_2_1").copy_(
            double([[0.2, 0.7, -0.3, 0.5, 0.1], [0.4, -0.4, 0.1, -0.2, 0.3]]).T
        )
        layer.get_parameter("G_2_2").copy_(
            double([[-0.1, 0.6, 0.2, 0.3, -0.5], [0.8, 0.1, -0.7, 0.2, 0.1]]).T
        )
        layer.W_out.copy_(double([0.1 * n for n in range(1, 13)]).reshape(6, 2))
    x = double([[0.5, -1.0, 0.25]]).requires_grad_()
    y = layer(x)
    close(y.detach(), [[1.220587447395356, 1.5465207326013692]], 1e-12)
    (slope,) = torch.autograd.grad(y[0, 0], x)
    close(slope, [[0.5827228933549118, -0.9904317738439348, 0.13850851375622403]], 1e-11)


@pytest.mark.parametrize(
    ("network", "additive"),
    [
        (kan(n_layers=1), True),
        (kan(n_layers=1, d_model=8), True),
        (kan(n_layers=1, functions="mixed"), True),
        (kan(n_layers=2), False),
        (eugen(order=1, norm_feature=False), True),
        (eugen(order=1), False),
        (eugen(order=2, norm_feature=False), False),
    ],
    ids=str,
)
def test_additive_networks_have_no_mean_margin_on_any_latin_square(
    network: Kan | Eugen, additive: bool
) -> None:
    """The logit of a + b, less that of a + b + 1, summed over all pairs: 0 for f(a) + g(b)."""
    network.initialise(named_generator(0, "init"))
    a, b = torch.meshgrid(torch.arange(P), torch.arange(P), indexing="ij")
    pairs = torch.stack([a.flatten(), b.flatten()], dim=1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += torch.randn(parameter.shape, generator=named_generator(1, "x"))
        logits, answers = network(pairs), pairs.sum(dim=1, keepdim=True) % P
    margin = (logits.gather(1, answers) - logits.gather(1, (answers + 1) % P)).mean()
    assert (float(margin.abs()) < 1e-10) == additive


# Attention ----------------------------------------------------------------------------------------

Q = [[0.2, -0.1, 0.4, 0.3], [1.0, 0.5, -0.3, 0.2], [0.7, -0.8, 0.1, 0.9], [-0.3, 0.2, 0.6, 0.1],
     [0.5, 0.5, -0.2, 0.4]]  # fmt: skip
K = [[0.5, 0.1, -0.2, 0.3], [-0.4, 0.6, 0.2, 0.1], [0.3, -0.5, 0.8, -0.1], [0.9, 0.1, 0.3, -0.6],
     [0.2, 0.2, 0.7, 0.4]]  # fmt: skip
V = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.5], [0.3, -0.2]]
ROWS = {  # the first three are the same at three positions and at five
    "lssa": [
        [1.0, 0.0, 0.0, 0.0, 0.0],
        [0.6639397243604455, 0.33606027563955454, 0.0, 0.0, 0.0],
        [0.47017438047543336, 0.12444505441216709, 0.4053805651123996, 0.0, 0.0],
        [0.09058067203081875, 0.43667274370405323, 0.3197853818619834, 0.15296120240314467, 0.0],
        [0.38788588958061887, 0.1638639699092708, 0.0684586137622019, 0.17723770946710948,
         0.20255381728079888],
    ],
    "lssar_3": [
        [1.0, 0.0, 0.0, 0.0, 0.0],
        [0.8852081675422854, 0.11479183245771471, 0.0, 0.0, 0.0],
        [0.6026006272162898, 0.011173407093892538, 0.3862259656898176, 0.0, 0.0],
        [0.0, 0.9503483733322089, 0.049651626667791014, 0.0, 0.0],
        [0.999997488773548, 0.0, 0.0, 0.0, 2.511226451982796e-06],
    ],
    "lssar_15": [
        [1.0, 0.0, 0.0, 0.0, 0.0],
        [0.9999633299116932, 3.667008830684072e-05, 0.0, 0.0, 0.0],
        [0.9023982316766789, 1.977782135751202e-09, 0.09760176634553894, 0.0, 0.0],
        [0.0, 0.9999996107280965, 3.892719035135516e-07, 0.0, 0.0],
        [1.0, 0.0, 0.0, 0.0, 9.986995169853732e-29],
    ],
}  # fmt: skip


@pytest.mark.parametrize("n_ctx", [3, 5])
@pytest.mark.parametrize("rule", ROWS)
def test_patterns_of_softplus_attention(rule: str, n_ctx: int) -> None:
    q, k = double(Q)[:n_ctx], double(K)[:n_ctx]
    wanted = [row[:n_ctx] for row in ROWS[rule][:n_ctx]]
    close(attention_pattern(q, k, rule, causal=True), wanted, 1e-12)  # type: ignore[arg-type]


def test_the_slope_of_sharpened_attention() -> None:
    q = double(Q)[:3].requires_grad_()
    output = attention_pattern(q, double(K)[:3], "lssar_3", causal=True) @ double(V)[:3]
    (slope,) = torch.autograd.grad(output[2, 0], q)
    wanted = [0.013849704405192384, -0.009484513150828381, -0.007397042281134657,
              -0.018380777084648782]  # fmt: skip
    close(slope[2], wanted, 1e-12)
    assert (slope[:2] == 0).all()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("rule", ["softmax", "qk_norm", *ROWS])
def test_patterns_are_shares_finite_at_zero_and_only_the_softmax_sees_sizes(
    rule: str, causal: bool
) -> None:
    q, k = double(Q), double(K)
    q[3] = 0.0  # every key is as good: nothing exceeds the offset
    leaf = q.requires_grad_()
    made = attention_pattern(leaf, k, rule, causal)  # type: ignore[arg-type]
    close(made.sum(dim=-1).detach(), [1.0] * 5, 1e-12)
    close(made[3].detach(), [1 / 4] * 4 + [0.0] if causal else [1 / 5] * 5, 1e-12)
    if causal:
        assert (made.triu(1) == 0).all()
    assert torch.autograd.grad(made[4, 0] + made[2, 1], leaf)[0].isfinite().all()
    larger = attention_pattern(3 * q, 2 * k, rule, causal)  # type: ignore[arg-type]
    assert ((larger - made).abs().max() > 1e-3) == (rule == "softmax")


# Starts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_row", [True, False])
def test_log_normal_sizes(by_row: bool) -> None:
    """Mean and spread of ln|w| of 512 000 weights: 4 standard errors are 0.0034 and 0.0024.

    A spread of 0.61 in place of 0.6064 is found with a probability above 0.9.
    """
    weight = torch.empty(16000, 32, dtype=torch.float64)
    draw_log_normal(weight, 32**-0.5, named_generator(0, "init"), by_row=by_row)
    logs = weight.abs().log()
    assert abs(float(logs.mean()) + 2.1005927315251807) < 0.0034
    assert abs(float(logs.std()) - 0.6064031498312961) < 0.0024
    same = (weight.sign() == weight.sign()[:, :1]).all(dim=1)
    assert bool(same.all()) == by_row
    assert abs(float((weight > 0).double().mean()) - 0.5) < (0.016 if by_row else 0.0028)
