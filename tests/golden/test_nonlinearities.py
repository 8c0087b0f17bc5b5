"""Values and slopes that nonlinearities must give.

| quantity | tolerance, why | source |
|---|---|---|
| ELU, SELU | 1e-14: float64 | closed forms, arXiv:1511.07289, arXiv:1706.02515 |
| moments of SELU: map, trace, fixed points | 1e-11, 1e-10, 1e-9: iterated | quadrature |
| Jacobian at (0, 1), tau_c | 1e-6: printed digits | central differences, closed form |
| ASH: values and gradients, thresholds | 1e-12: float64 | formula of arXiv:2210.11672 |
| CRReLU: values, both slopes | 1e-14: float64 | closed form, arXiv:2405.12954 |
| EvoNorm S0, 1 and 2 groups | 1e-12: float64 | formula of arXiv:2004.02967 |
| x cos x, protected log and sqrt | 1e-14, 1e-13: float64 | closed forms, arXiv:2601.10740 |
| A'^2, B', alpha of the deep kernels | 1e-12: exact quadrature | arXiv:2204.14126 |
| sign with a surrogate slope | 1e-15: float64 | arXiv:2405.15539 |
| TauGate, soft and hard, slope in tau | 1e-13: float64 | arXiv:2602.11726 |
| cubic B-splines, G = 5 on [-1, 1] | 1e-12: float64 | scipy's BSpline, arXiv:2404.19756 |
"""

import math

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import Tensor
from torch.autograd.functional import jacobian

from observatory.maths.nonlinearities import Nonlinearity
from observatory.maths.splines import b_splines
from observatory.nonlinearities.ash import ash
from observatory.nonlinearities.elementwise import crrelu
from observatory.nonlinearities.evonorm import evonorm_s0
from observatory.nonlinearities.infinite_depth import SQUARES
from observatory.nonlinearities.named import nonlinearity
from observatory.nonlinearities.tau_gate import TauGate, hardened, tau_gate
from tests.selu_moments import ALPHA, SCALE, selu_moments

POINTS = [-5.0, -2.0, -1.0, -0.5, -0.001, 0.0, 0.001, 0.5, 1.0, 2.0, 5.0]


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: object, wanted: object, tolerance: float) -> None:
    found = torch.as_tensor(found, dtype=torch.float64)
    torch.testing.assert_close(found, double(wanted), rtol=0, atol=tolerance)


def value_and_slope(function: Nonlinearity, points: object) -> tuple[Tensor, Tensor]:
    x = double(points).requires_grad_()
    y = function(x)
    return y.detach(), torch.autograd.grad(y.sum(), x)[0]


ELU = [
    -0.9932620530009145, -0.8646647167633873, -0.6321205588285577, -0.3934693402873666,
    -0.0009995001666250085, 0.0, 0.001, 0.5, 1.0, 2.0, 5.0,
]  # fmt: skip
ELU_SLOPE = [
    0.006737946999085467, 0.1353352832366127, 0.36787944117144233, 0.6065306597126334,
    0.999000499833375, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0,
]  # fmt: skip
SELU = [
    -1.74625336066962, -1.520166468595695, -1.1113307378125625, -0.6917581878028713,
    -0.0017572205841202705, 0.0, 0.0010507009873554805, 0.5253504936777402, 1.0507009873554805,
    2.101401974710961, 5.253504936777402,
]  # fmt: skip
SELU_SLOPE = [
    0.011845980177756718, 0.2379328722516818, 0.646768603034814, 1.0663411530445053,
    1.7563421202632563, 1.7580993408473766, 1.0507009873554805, 1.0507009873554805,
    1.0507009873554805, 1.0507009873554805, 1.0507009873554805,
]  # fmt: skip
X_COS = [
    -1.4183109273161312, 0.8322936730942848, -0.5403023058681398, -0.4387912809451864,
    -0.0009999995000000417, 0.0, 0.0009999995000000417, 0.4387912809451864, 0.5403023058681398,
    -0.8322936730942848, 1.4183109273161312,
]  # fmt: skip
X_COS_SLOPE = [
    5.078283558778919, -2.234741690198506, -0.30116867893975674, 0.6378697925882713,
    0.9999985000002083, 1.0, 0.9999985000002083, 0.6378697925882713, -0.30116867893975674,
    -2.234741690198506, 5.078283558778919,
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values", "slopes"),
    [
        ("elu", ELU, ELU_SLOPE),
        ("selu", SELU, SELU_SLOPE),
        ("formula:mul(cos(x), x)", X_COS, X_COS_SLOPE),
        ("formula:x*cos(x)", X_COS, X_COS_SLOPE),
    ],
)
def test_values_and_slopes(name: str, values: list[float], slopes: list[float]) -> None:
    y, slope = value_and_slope(nonlinearity(name, 1), POINTS)
    close(y, values, 1e-14)
    close(slope, slopes, 1e-14)


def test_crrelu_and_the_slope_of_its_bump() -> None:
    values = [
        -1.8633265860393355e-07, -0.0027067056647322543, -0.006065306597126334,
        -0.004412484512922977, -9.99999500000125e-06, 0.0, 0.0010099999950000014,
        0.504412484512923, 1.0060653065971263, 2.0027067056647323, 5.000000186332659,
    ]  # fmt: skip
    slopes = [
        -8.943967612988809e-07, -0.004060058497098381, 0.0, 0.006618726769384465,
        0.00999998500000625, 0.01, 1.0099999850000063, 1.0066187267693845, 1.0,
        0.9959399415029017, 0.9999991056032387,
    ]  # fmt: skip
    bump = [
        -1.8633265860393355e-05, -0.2706705664732254, -0.6065306597126334, -0.44124845129229767,
        -0.000999999500000125, 0.0, 0.000999999500000125, 0.44124845129229767, 0.6065306597126334,
        0.2706705664732254, 1.8633265860393355e-05,
    ]  # fmt: skip
    y, slope = value_and_slope(nonlinearity("crrelu_fixed", 1), POINTS)
    close(y, values, 1e-14)
    close(slope, slopes, 1e-14)
    at = jacobian(lambda eps: crrelu(double(POINTS), eps), double(0.01))
    close(at, bump, 1e-14)


def test_ash_of_one_token() -> None:
    x = double([-1.0, -0.2, 0.3, 0.9, 2.0]).requires_grad_()
    z_k, alpha = double([0.001]).requires_grad_(), double([1.0]).requires_grad_()
    std = float(x.detach().std(correction=0))  # the golden has nothing inside of the root
    scaled = z_k * std / math.sqrt(std**2 + 1e-5)
    y = ash(x, scaled, alpha)
    close(
        y.detach(),
        [-0.057214695361801605, -0.0462229354811751, 0.13489924134331938, 0.6575937307926639,
         1.9215157917985786],
        1e-12,
    )  # fmt: skip
    to_x, to_z, to_alpha = torch.autograd.grad(y.sum(), (x, z_k, alpha))
    wanted = [-0.14544835607339518, 0.06517881243683586, 0.5032415216151636, 0.9899341222424817,
              1.0165050071376829]  # fmt: skip
    close(to_x, wanted, 1e-8)  # 1e-3 std' and the 1e-5 inside of the root: 3e-9
    close(to_z, [-0.48115674524797586], 1e-12)
    close(to_alpha, [0.596764641272591], 1e-12)


def test_the_threshold_of_a_percentage() -> None:
    wanted = {50: 0.0, 30: 0.5244005127080409, 10: 1.2815515655446004, 1: 2.3263478740408408}
    for percent, z_k in wanted.items():
        layer = nonlinearity(f"ash:{percent}", 4)
        close(layer.start, z_k, 1e-12)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("groups", "values", "to_x", "to_v"),
    [
        (1,
         [-0.2909583922584745, 0.3367085764070828, 1.9058075948950763, -0.13811876261897746,
          0.0567956767611083, 0.2590797626694498, -0.25128329542879724, 0.9977283571058583],
         [2.616787508626468, 1.153099595225532, 0.10575400434717697, 2.6690486399039193,
          3.323106092735231, 4.2611517232122935, 3.2787359583095466, 6.6574339595469425],
         [0.21270762868495177, 0.12712118112680149, 1.3630670047406246, 0.09520954754130899,
          0.013489564261372575, 0.2495325738585301, 0.8227316842426513, 2.2171141197143815]),
        (2,
         [-0.24103009722818383, 0.27892957573420446, 1.57877209291045, -0.11441766131809848,
          0.07719364046455666, 0.3521273306640658, -0.34153079016327986, 1.3560589198307056],
         [1.2644352479290653, 1.1417770860792795, 1.3640171404276302, 1.8163305422278193,
          4.9313696378614456, 5.241443532444952, 7.444044025530566, 5.925362046778564],
         [0.17620712028668797, 0.10530725857027452, 1.1291654800913995, 0.07887164320232698,
          0.018334292907466142, 0.3391513032171662, 1.1182128192495735, 3.0133827077366493]),
    ],
)  # fmt: skip
def test_evonorm_s0(groups: int, values: list, to_x: list, to_v: list) -> None:
    x = double([-1.0, 0.5, 2.0, -0.3, 0.1, 0.4, -0.7, 1.2]).requires_grad_()
    one, zero = torch.ones(8, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    v = one.clone().requires_grad_()
    y = evonorm_s0(x, v, one, zero, groups)
    close(y.detach(), values, 1e-12)
    slopes = torch.autograd.grad((torch.arange(1, 9) * y).sum(), (x, v))
    for found, wanted in zip(slopes, (to_x, to_v), strict=True):
        close(found, wanted, 1e-11)  # sums of eight terms times up to 8


def test_protected_operators() -> None:
    x = double([0.0, 5e-07, 2e-06, 0.5, -2.0])
    log = [0.0, 0.0, -13.122363377404328, -0.6931471805599453, 0.6931471805599453]
    root = [0.001, 0.0012247448713915891, 0.0017320508075688774, 0.7071074882929752,
            1.4142139159264415]  # fmt: skip
    close(nonlinearity("formula:log(x)", 1)(x), log, 1e-13)
    close(nonlinearity("formula:sqrt(x)", 1)(x), root, 1e-13)


def test_sign_has_the_slope_of_erf() -> None:
    y, slope = value_and_slope(nonlinearity("sign", 1), [-2.0, 0.0, 0.7])
    assert y.tolist() == [-1.0, 0.0, 1.0]
    close(slope, [2 / math.sqrt(math.pi) * math.exp(-x * x) for x in (-2.0, 0.0, 0.7)], 1e-15)


# SELU's moments -----------------------------------------------------------------------------------


def test_the_map_of_moments() -> None:
    given = double([[0, 0, 1, 1], [0, 0, 1, 0.5], [0, 0, 1, 2], [0.1, 0.1, 1.5, 1.1],
                    [-0.1, 0.1, 0.8, 0.95], [0.5, 0.2, 3, 1]])  # fmt: skip
    mu, omega, nu, tau = given.T
    found = selu_moments(mu, nu, omega, tau)
    wanted = [[0, 1], [-0.041430000033197086, 0.5774997532014158],
              [0.08961208376396099, 1.7144780716637495],
              [0.06772510168987858, 1.4815749582711653],
              [-0.03106050179221761, 0.8037117576791127],
              [0.2611543208893719, 2.4215337934575247]]  # fmt: skip
    close(torch.stack([found.mean, found.variance], dim=1), wanted, 1e-11)


def test_the_map_of_moments_far_below_zero() -> None:
    minus, one = double([-5.0]), double([1.0])
    found = selu_moments(minus, one / 100, one, one)
    assert float(found.mean) == pytest.approx(SCALE * ALPHA * (math.exp(-4.995) - 1), rel=1e-12)


def iterated(tau: float, layers: int) -> list[float]:
    zero = torch.zeros(1, dtype=torch.float64)
    mean, variance = zero, zero + 1
    for _ in range(layers):
        mean, variance = selu_moments(mean, variance, zero, zero + tau)
    return [float(mean), float(variance)]


@pytest.mark.parametrize(
    ("tau", "layer", "wanted"),
    [
        (1.0, 20, [0.0, 1.0]),
        (0.9, 5, [-0.025188180693884725, 0.7626182660284699]),
        (0.9, 20, [-0.03317468206934943, 0.6769605246071094]),
        (0.5, 20, [-0.022700803624368465, 0.0159522924696514]),
        (2.0, 5, [0.6172387152652223, 5.825829527017941]),
        (2.0, 20, [1.6048197084153948, 16.19635176524232]),
    ],
)
def test_the_trace_of_moments(tau: float, layer: int, wanted: list[float]) -> None:
    close(iterated(tau, layer), wanted, 1e-10)


@pytest.mark.parametrize(
    ("tau", "wanted"),
    [
        (0.8, [-0.05187901850371851, 0.4107096831560322]),
        (1.1, [0.04851779666766637, 1.3993080868246348]),
        (2.0, [1.7804210836984162, 18.459900820767906]),
    ],
)
def test_fixed_points(tau: float, wanted: list[float]) -> None:
    close(iterated(tau, 3000), wanted, 1e-9)


def test_the_jacobian_and_where_the_variance_dies() -> None:
    zero = double([0.0])

    def mapped(moments: Tensor) -> Tensor:
        return torch.cat(selu_moments(moments[:1], moments[1:], zero, zero + 1))

    found = jacobian(mapped, double([0.0, 1.0]))
    close(found, [[0.0, 0.0888348], [0.0, 0.7826479]], 1e-6)
    slope = SCALE**2 * ((1 + ALPHA**2) / 2 - (ALPHA - 1) ** 2 / (2 * math.pi))
    close(1 / slope, 0.49558930065570056, 1e-12)
    assert iterated(0.49, 2000)[1] < 1e-8 < iterated(0.51, 2000)[1]


# Infinite depth -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("regime", "a", "b", "alpha"),
    [
        ("singular_1", 1 / 2, 4.0, 1.0),
        ("singular_2", 1 / 2, 2.0, 2.0),
        ("singular_4", 1 / 4, 2.0, 4.0),
        ("singular_8", 1 / 16, 2.0, 8.0),
        ("nearest_neighbour", 0.0, 2.0, None),
        ("majority", 0.2, 1.7, None),
    ],
)
def test_the_numbers_that_decide_the_regime(
    regime: str, a: float, b: float, alpha: float | None
) -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)  # exact up to degree 79
    share = double(weights / weights.sum())
    value, slope = value_and_slope(nonlinearity(f"infinite_depth:{regime}", 1), nodes.tolist())
    close((share * value * value).sum(), 1.0, 1e-12)
    close((share * slope).sum() ** 2, a, 1e-12)
    close((share * slope * slope).sum(), b, 1e-12)
    close((share * value).sum() ** 2, SQUARES[regime].get(0, 0.0), 1e-12)
    if alpha is not None:
        found = -4 * math.log(math.sqrt(a)) / math.log(b)
        close(found, alpha, 1e-12)


def test_the_kernel_of_two_inputs() -> None:
    """E phi(u) phi(v) at cosine 0.5 is the dual there, and after 5 layers the golden's."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    share = double(weights / weights.sum())
    phi, u = nonlinearity("infinite_depth:singular_2", 1), double(nodes)
    c = 0.5
    for layer in range(1, 6):
        v = c * u[:, None] + math.sqrt(1 - c * c) * u[None, :]
        c = float((share[:, None] * share[None, :] * phi(u)[:, None] * phi(v)).sum())
        if layer == 1:
            close(c, 0.3125, 1e-12)
    close(c, 0.022285210202853466, 1e-12)


# Splines ------------------------------------------------------------------------------------------


def test_splines_are_those_of_scipy() -> None:
    x = double([-1.0, -0.35, 0.0, 0.3, 0.999, 1.0, 1.2, 2.3])
    bases = b_splines(x, 5, 3, -1.0, 1.0)
    close(bases[0, :4], [1 / 6, 2 / 3, 1 / 6, 0], 1e-12)
    close(bases[6].sum(), 0.9791666666666667, 1e-12)
    assert (bases[7] == 0).all()
    knots = -1 + 0.4 * np.arange(-3, 9)
    for j in range(8):
        whole = BSpline.basis_element(knots[j : j + 5], extrapolate=False)
        close(bases[:, j], np.nan_to_num(whole(x.numpy())).tolist(), 1e-12)


def test_gates_with_thresholds() -> None:
    z, gain = double([-1.0, 0.0, 0.3, 0.5, 2.0]), double([1.0, 2.0, 1.0, 0.5, 1.5])
    tau = double([0.0, 0.0, 0.5, 0.5, 1.0])
    soft = [0.0, 0.0, 0.03576087660663526, 0.125, 2.999863806393893]
    close(tau_gate(z, tau, gain, 10.0), soft, 1e-13)
    close(tau_gate(z, tau, gain, math.inf), [0.0, 0.0, 0.0, 0.0, 3.0], 1e-13)
    found = jacobian(lambda t: tau_gate(z, t, torch.ones(5).double(), 10.0), tau).diagonal()
    slopes = [-0.0004539580773595167, -2.5, -1.0499358540350652, -2.5, -0.0004539580773590766]
    wanted = double(slopes) * z.clamp(min=0)  # of a gate, times relu
    assert (found - wanted).abs().max() < 1e-13


def test_a_hardened_network_is_a_copy_with_hard_gates() -> None:
    gates = TauGate(5, 10.0)
    gates.initialise(torch.Generator())
    soft = torch.nn.Sequential(gates)
    z = torch.tensor([-3.0, -1.0, 0.01, 0.5, 2.0])
    with torch.no_grad():
        gates.tau.fill_(0.4)
        hard = hardened(soft)(z)
    assert hard.tolist() == [0.0, 0.0, 0.0, 0.5, 2.0]
    assert soft(z)[2] > 0
