"""Values that rounding, small floats and sparsification must give.

| quantity | tolerance, why | source |
|---|---|---|
| INT8 of ten numbers | 5e-9: printed digits | procedure of arXiv:2605.15572 |
| AWQ: scales, losses of 20 exponents, weights | 1e-12: float64 | definition, arXiv:2306.00978 |
| E1M2, E2M1, E3M0: grids, rounding, biases | 1e-12: float64 | formula of arXiv:2310.16836 |
| pre-shifted biases | 1e-12: float64 | the same |
| NVFP4, MXFP4 of a block | 1e-6: float32 scales | by hand from the formats |
| WINA: scores, choice, best of all subsets | 1e-12: float64 | arXiv:2505.19427, enumeration |
| CHESS and CATS thresholds | 1e-12: float64 | definition, arXiv:2409.01366 |
| CETT at three norms | 5e-9: printed digits | definition, arXiv:2411.02335 |
"""

from itertools import combinations

import pytest
import torch
from torch import Tensor

from observatory.maths.awq import awq_scales, awq_search
from observatory.maths.integers import absmax, asymmetric_groups, rounding_error, symmetric
from observatory.maths.small_floats import SmallFloat, mxfp4, nvfp4, preshifted
from observatory.maths.sparsify import cats_threshold, chess_thresholds, kept, wina_scores
from observatory.maths.truncation import cett, neuron_norms, strong, threshold_of

FORMATS = {"E1M2": SmallFloat(1, 2), "E2M1": SmallFloat(2, 1), "E3M0": SmallFloat(3, 0)}
TEN = [0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8, 0.9, 100.0]


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: object, wanted: object, tolerance: float) -> None:
    torch.testing.assert_close(
        torch.as_tensor(found, dtype=torch.float64), double(wanted), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize(
    ("threshold", "values", "rel_rms", "rel_mae", "sqnr", "clipped"),
    [
        (100.0, [0, 0, 0, -0.787402, 0.787402, -0.787402, 0.787402, -0.787402, 0.787402, 100],
         0.00654334, 0.01602682, 43.684009, 0.0),
        (1.0, [0.102362, -0.196850, 0.299213, -0.401575, 0.503937, -0.598425, 0.700787, -0.803150,
               0.897638, 1], 0.98985896, 0.94755679, 0.08853365, 0.1),
    ],
)  # fmt: skip
def test_int8(threshold, values, rel_rms, rel_mae, sqnr, clipped) -> None:
    x = double(TEN)
    rounded = symmetric(x, double(threshold), 8)
    close(rounded, values, 5e-7)
    error = rounding_error(x, rounded, threshold)
    close([error.rel_rms, error.rel_mae], [rel_rms, rel_mae], 5e-9)
    close(error.sqnr, sqnr, 5e-7)
    assert error.clipped == clipped


def test_absmax_is_the_largest_of_all_or_of_each_row() -> None:
    x = double([TEN, [value / 100 for value in TEN]])
    assert torch.equal(absmax(x, 8, per_token=False), symmetric(x, double(100.0), 8))
    assert torch.equal(absmax(x, 8, per_token=True)[1], symmetric(x[1], double(1.0), 8))


def test_awq() -> None:
    w = double([[0.9, -0.31, 0.12, 0.05], [-0.4, 0.22, 0.7, -0.06]])
    x = double([[0.1, 0.2, -0.1, 6.0], [0.3, -0.1, 0.2, -5.0], [-0.2, 0.4, 0.1, 4.0]])
    close(x.abs().mean(0), [0.2, 7 / 30, 2 / 15, 5.0], 1e-12)
    plain = [
        [0.8642857142857142, -0.3457142857142857, 0.17285714285714285, 0.0],
        [-0.47142857142857153, 0.15714285714285717, 0.6285714285714287, 0.0],
    ]
    close(asymmetric_groups(w, 3, 4), plain, 1e-12)
    found = awq_search(w, x, bits=3, group=4, n_grid=20)
    losses = [
        0.0805570238095238, 0.0800332143295571, 0.06867415851140664, 0.04952031026921263,
        0.022888945331182298, 0.009068542148347595, 0.0038532268409517067, 0.004054176459391192,
        0.0032225201812913964, 0.0015899921828088873, 0.004146113869675364, 0.0018171467249687193,
        0.00011633499331940144, 0.0017926588853947182, 0.00041279720649084, 0.0005710552008427072,
        0.0006368533671631885, 0.0007595918762070692, 0.00023581107309194173,
        0.0005900955871687317,
    ]  # fmt: skip
    close(found.losses, losses, 1e-12)
    assert found.ratio == 12 / 20
    best = [
        [0.8857427229792351, -0.3229977600217454, 0.22593959402774386, 0.05135746502926851],
        [-0.4126096181213765, 0.2507725606226568, 0.7016698881944733, -0.05981021205043874],
    ]
    close(found.weights, best, 1e-12)


def test_dead_channels_move_no_scale() -> None:
    size = double([0.0, 1.0, 4.0])
    close(awq_scales(size, 0.5), [1.0, 1 / 2**0.5, 2**0.5], 1e-12)
    assert torch.equal(awq_scales(torch.zeros(3), 0.5), torch.ones(3))


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("E1M2", [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]),
        ("E2M1", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]),
        ("E3M0", [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]),
    ],
)
def test_grids(name: str, grid: list[float]) -> None:
    close(FORMATS[name].grid(1.0), grid, 1e-12)
    fine = torch.linspace(-70, 70, 28_001, dtype=torch.float64)
    assert set(FORMATS[name].round(fine, 1.0).abs().tolist()) == set(grid)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("E1M2", [0.0, 0.0, 0.25, 0.75, 1.25, 1.75, 1.75, 1.75, -1.75, -0.25]),
        ("E2M1", [0.0, 0.0, 0.5, 1.0, 1.0, 2.0, 3.0, 4.0, -6.0, 0.0]),
        ("E3M0", [0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 4.0, 4.0, -8.0, 0.0]),
    ],
)
def test_rounding_to_four_bits(name: str, values: list[float]) -> None:
    x = double([0.0, 0.1, 0.26, 0.75, 1.25, 2.5, 3.4, 5.0, -7.0, -0.24])
    close(FORMATS[name].round(x, 1.0), values, 1e-12)


@pytest.mark.parametrize(
    ("name", "biases"),
    [
        ("E1M2", [2.807354922057604, 0.2223924213364481, -0.777607578663552, -1.514573172829758]),
        ("E2M1", [4.584962500721156, 2.0, 1.0, 0.2630344058337939]),
        ("E3M0", [8.0, 5.415037499278844, 4.415037499278844, 3.6780719051126383]),
    ],
)
def test_bias_of_the_largest(name: str, biases: list[float]) -> None:
    sizes = double([0.5, 3.0, 6.0, 10.0])
    close(FORMATS[name].bias_of(sizes), biases, 1e-12)
    close(FORMATS[name].largest(double(biases)), sizes.tolist(), 1e-12)


def test_preshifted_biases() -> None:
    close(preshifted(double([2.3, 3.9, 7.2, 1.2]), 2), [2.2, 4.2, 4.2, 1.2], 1e-12)


def test_formats_of_blocks() -> None:
    x = torch.tensor([[7.0, 3.0, 1.0, -0.2]])
    # 7 = 1.75 * 2^2: scale 2^(2 - 2) = 1, and 7 is beyond 6
    close(mxfp4(x, 4), [[6.0, 3.0, 1.0, 0.0]], 1e-6)
    # scale 7 / 6 exactly: the block is the tensor, its scale 448 of E4M3
    close(nvfp4(x, 4), [[7.0, 3.5, 7 / 6, 0.0]], 1e-6)
    two = torch.tensor([[7.0, 3.0, 1.0, -0.2, 0.05, -0.02, 0.0, 0.0]])
    # the second block's scale is 0.05 / 7 * 448 = 3.2, in E4M3 3.25
    scale = 3.25 * 7 / (6 * 448)
    close(nvfp4(two, 4)[:, 4:], [[6 * scale, -2 * scale, 0.0, 0.0]], 1e-6)
    assert not nvfp4(torch.zeros(2, 3)).any()
    assert not mxfp4(torch.zeros(2, 3)).any()


def test_wina() -> None:
    w = double([[2.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.1], [0.0, 0.6, 0.8]])
    x = double([0.4, -1.0, 1.5, 0.7])
    close(wina_scores(x, w), [0.8, 0.5, 0.15, 0.7], 1e-12)
    chosen, largest = kept(wina_scores(x, w), 0.5), kept(x.abs(), 0.5)
    assert chosen.tolist() == [True, False, False, True]
    assert largest.tolist() == [False, True, True, False]

    def error(mask: Tensor) -> float:
        return float((torch.where(mask, x, 0.0) @ w - x @ w).norm())

    close(error(chosen), 0.5220153254455275, 1e-12)
    close(error(largest), 1.063014581273465, 1e-12)
    subsets = [torch.tensor([i in pair for i in range(4)]) for pair in combinations(range(4), 2)]
    close(min(map(error, subsets)), 0.5220153254455275, 1e-12)
    assert not kept(x.abs(), 0.2).any()


def test_chess_and_cats() -> None:
    gate = double([[0.2, -0.05, 1.0, 0.4], [0.6, 0.3, -0.1, 0.02], [-0.17, 0.9, 0.25, 0.5]])
    up = double([[1.0, 3.0, 0.2, 0.5], [-2.0, 1.0, 0.1, 0.4], [1.0, -2.0, 0.3, 2.0]])
    found = chess_thresholds(gate, up, 0.5)
    close(found.mean_square, [2.0, 14 / 3, 0.14 / 3, 1.47], 1e-12)
    close(found.importance, 0.0578, 1e-12)
    close(
        found.thresholds,
        [0.17, 0.11129112402035612, 1.1129112402035612, 0.1982920267967335],
        1e-12,
    )
    # -0.17 lies on its threshold up to rounding: what decides there is not looked at
    stays = (gate.abs() > found.thresholds + 1e-12).int().tolist()
    assert stays == [[1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 0, 1]]
    assert cats_threshold(gate, 0.5) == 0.25
    assert (gate.abs() > 0.25).int().tolist() == [[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1]]


def test_a_dead_channel_is_dropped_and_without_sparsity_all_stays() -> None:
    gate, up = double([[0.5, 0.5]]), double([[0.0, 1.0]])
    assert chess_thresholds(gate, up, 0.5).thresholds[0] == torch.inf
    assert cats_threshold(gate, 0.0) == 0.0


A = [[1.0, -0.1, 0.02, 0.4], [0.0, 2.0, 0.3, -0.2]]
W_OUT = [[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 0.5]]


@pytest.mark.parametrize(
    ("norm", "wanted", "ratio"),
    [(0.05, 0.01914248, 0.75), (0.15, 0.07663699, 0.5), (0.25, 0.07663699, 0.375)],
)
def test_cett(norm: float, wanted: float, ratio: float) -> None:
    a, w_out = double(A), double(W_OUT)
    close(neuron_norms(a, w_out), [[1.0, 0.1, 0.04, 0.2], [0.0, 2.0, 0.6, 0.1]], 1e-12)
    found = cett(a, w_out, norm)
    close(found, wanted, 5e-9)
    assert float(strong(a, w_out, norm).double().mean()) == ratio


def test_the_norm_of_a_target() -> None:
    a, w_out = double(A), double(W_OUT)
    assert threshold_of(a, w_out, 0.02) == pytest.approx(0.04)
    assert threshold_of(a, w_out, 0.08) == pytest.approx(0.2)  # outputs of 0.1 and 0.2 cancel
    assert threshold_of(a, w_out, 1.0) == pytest.approx(2.0)
    assert threshold_of(torch.zeros(2, 4).double(), w_out, 0.5) == -1.0
    assert cett(torch.zeros(2, 4).double(), w_out, 0.5) is None
