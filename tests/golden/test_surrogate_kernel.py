"""Means over two normal numbers, and kernels of networks of signs that are infinitely wide.

| quantity | tolerance, why | source |
|---|---|---|
| E of products and slopes of signs and error functions | 1e-10: quadrature | arXiv:2405.15539 |
| surrogate-gradient NTK, NTK of erf, one hidden layer | 1e-10: quadrature | arXiv:2405.15539 |
| thresholds | 1e-12: float64 | a threshold is half a sign and a half |
"""

import pytest
import torch
from torch import Tensor

from observatory.nonlinearities.wide_kernels import (
    ERF,
    HALF_ERF,
    SIGN,
    THRESHOLD,
    SmoothStep,
    mean_product,
    mean_slopes,
    wide_kernels,
)

Q, R, C = (torch.tensor(x, dtype=torch.float64) for x in (1.3, 0.8, 0.6))
X = torch.tensor([[1.0, 0, 1], [1, 1, 0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("one", "other", "product", "slopes"),
    [
        (SIGN, SIGN, 0.40044326033670946, 0.7720148720082968),
        (ERF, ERF, 0.2565941029977602, 0.45242597171638),
        (SIGN, ERF, None, 0.5520193514161057),
    ],
)
def test_means(one: SmoothStep, other: SmoothStep, product: float | None, slopes: float) -> None:
    assert float(mean_slopes(Q, R, C, one, other)) == pytest.approx(slopes, abs=1e-10)
    if product is not None:
        assert float(mean_product(Q, R, C, one, other)) == pytest.approx(product, abs=1e-10)


def kernels_of(activation: SmoothStep, surrogate: SmoothStep, n_layers: int = 1) -> list[Tensor]:
    return list(
        wide_kernels(X @ X.T / 3, n_layers=n_layers, sigma_w=1.0, sigma_b=0.1,
                     activation=activation, surrogate=surrogate)
    )  # fmt: skip


def test_one_hidden_layer() -> None:
    s, kernel = kernels_of(SIGN, ERF)
    assert float(s[0, 1]) == pytest.approx(0.34877865691752324, abs=1e-10)
    assert float(kernel[0, 1]) == pytest.approx(0.6141625211556734, abs=1e-10)
    _, smooth = kernels_of(ERF, ERF)
    assert float(smooth[0, 1]) == pytest.approx(0.3927051724300822, abs=1e-10)
    _, naive = kernels_of(SIGN, SIGN)
    assert naive.isinf().tolist() == [[True, False], [False, True]]


def test_thresholds_are_halves_of_signs() -> None:
    (sign, by_signs), (step, by_steps) = kernels_of(SIGN, ERF), kernels_of(THRESHOLD, HALF_ERF)
    torch.testing.assert_close(step - 0.01, (sign - 0.01) / 4 + 1 / 4, rtol=0, atol=1e-12)
    torch.testing.assert_close(by_steps - step, (by_signs - sign) / 4, rtol=0, atol=1e-12)
