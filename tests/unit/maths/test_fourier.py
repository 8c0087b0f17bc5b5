import torch

from observatory.maths.fourier import token_power


def test_power_is_that_of_the_sums_over_tokens():
    for p in (6, 7):
        table = torch.randn(
            2, p, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(p)
        )
        token = torch.arange(p, dtype=torch.float64)
        expected = []
        for k in range(1, p // 2 + 1):
            angle = 2 * torch.pi * k * token[:, None] / p
            real, imaginary = (table * angle.cos()).sum(dim=1), (table * angle.sin()).sum(dim=1)
            expected.append(real.square() + imaginary.square())
        torch.testing.assert_close(token_power(table), torch.stack(expected, dim=1))


def test_the_constant_is_left_out():
    assert token_power(torch.full((5, 2), 3.0)).abs().max() < 1e-10
