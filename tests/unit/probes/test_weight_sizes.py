"""The sizes of weights, beside scipy and closed forms."""

import numpy as np
import scipy.stats
import torch

from observatory.core.rng import named_generator
from observatory.models.mlp.starts import draw_log_normal
from observatory.probes.weight_sizes import weight_sizes


def test_moments_are_those_of_scipy_and_leave_out_zeros() -> None:
    weight = torch.randn(2, 6, 5, generator=named_generator(0, "x"), dtype=torch.float64)
    weight[1, :3] = 0.0
    weight[0, 0, 0] = 1e-9
    found = weight_sizes(weight)
    for row, each in enumerate(weight.numpy()):
        logs = np.log(np.abs(each[each != 0]))
        assert abs(float(found["log_std"].values[row]) - logs.std()) < 1e-12
        skewness = float(scipy.stats.skew(logs))
        assert abs(float(found["log_skewness"].values[row]) - skewness) < 1e-12
    assert found["share_tiny"].values.tolist() == [1 / 30, 0.5]


def test_normal_and_log_normal_weights_are_distinguished() -> None:
    """40 000 weights: the standard error of the skewness is 0.012 and 0.05."""
    normal = torch.randn(1, 400, 100, generator=named_generator(0, "x"))
    made = torch.empty(400, 100)
    draw_log_normal(made, 0.05, named_generator(0, "x"), by_row=True)
    assert abs(float(weight_sizes(normal)["log_skewness"].values) + 1.535) < 0.2
    found = weight_sizes(made[None])
    assert abs(float(found["log_skewness"].values)) < 0.05
    assert abs(float(found["log_std"].values) - 0.6064) < 0.01


def test_what_does_not_exist_is_undefined() -> None:
    found = weight_sizes(torch.stack([torch.zeros(2, 2), torch.ones(2, 2)]))
    assert found["log_std"].defined.tolist() == [False, True]
    assert found["log_skewness"].defined.tolist() == [False, False]
    assert found["share_positive"].values.tolist() == [0.0, 1.0]
