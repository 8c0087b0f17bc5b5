"""Closed forms that the probes' building blocks must meet.

| quantity | value | tolerance, why | source |
|---|---|---|---|
| R = (sum a)^2 / sum a^2 | H / (1 + CV^2) | 1e-12: float64 eigenvalues | arXiv:2605.20441, (C1) |
| spectral gap, all cosines c | H c | 1e-12: the same | eigenvalues 1 + (H - 1) c and 1 - c |
| s_bar, all cosines c | c | 1e-12: float64 | definition |
| entropy of a uniform row | ln n | 1e-14: a sum of up to 245 terms | definition |
| pr_norm of orthogonal heads of equal size | 1 | 1e-15: exact sums | definition |
| max / median of 65 536 normals | 6.7 | see the test | extreme values, arXiv:2508.03616 setting |
"""

import math

import numpy as np
import pytest
import torch

from observatory.core.contracts import Masked
from observatory.maths.spectrum import cosines, gram, participation_ratio, spectral_gap
from observatory.probes.attention import head_entropies, mean_over_pairs, pr_norm
from observatory.probes.massive_activations import massive_activations


@pytest.mark.parametrize("n_heads", [2, 4, 8, 12])
@pytest.mark.parametrize("seed", [0, 1])
def test_participation_ratio_is_that_of_the_eigenvalues_spread(n_heads: int, seed: int):
    rng = np.random.default_rng(seed)
    rows = torch.from_numpy(
        rng.standard_normal((n_heads, 40)) * np.exp(rng.standard_normal((n_heads, 1)))
    )
    covariance = gram(rows - rows.mean(dim=-1, keepdim=True))
    eigenvalues = np.linalg.eigvalsh(covariance.numpy())
    cv = eigenvalues.std() / eigenvalues.mean()
    expected = n_heads / (1 + cv**2)
    assert participation_ratio(covariance).item() == pytest.approx(expected, rel=0, abs=1e-12)
    ours = pr_norm(rows[None, None]).values.item()
    assert ours == pytest.approx((expected - 1) / (n_heads - 1), rel=0, abs=1e-12)


@pytest.mark.parametrize("cosine", [0.0, 0.25, 0.9, 0.999])
@pytest.mark.parametrize("n_heads", [2, 4, 8])
def test_equal_cosines(n_heads: int, cosine: float):
    shared = torch.full((n_heads, 1), math.sqrt(cosine), dtype=torch.float64)
    own = math.sqrt(1 - cosine) * torch.eye(n_heads, dtype=torch.float64)
    similarity = cosines(torch.cat([shared, own], dim=1) * torch.arange(1, n_heads + 1)[:, None])
    assert spectral_gap(similarity).item() == pytest.approx(n_heads * cosine, rel=0, abs=1e-12)
    s_bar = mean_over_pairs(similarity[None, None]).item()
    assert s_bar == pytest.approx(cosine, rel=0, abs=1e-12)


@pytest.mark.parametrize("n_ctx", [2, 3, 7])
def test_uniform_rows_have_the_largest_entropy(n_ctx: int):
    flat = torch.full((1, 1, 2, 5 * n_ctx * n_ctx), 1 / n_ctx, dtype=torch.float64)
    entropies = head_entropies(flat, n_ctx)
    np.testing.assert_allclose(entropies, math.log(n_ctx), rtol=0, atol=1e-14)


def test_orthogonal_heads_of_equal_size_use_every_direction():
    rows = torch.tensor([[1.0, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], dtype=torch.float64)
    ratio = pr_norm(rows[None, None] + 5)
    assert ratio.values.item() == pytest.approx(1, rel=0, abs=1e-15)


@pytest.mark.statistical
def test_normal_noise_has_the_known_ratio():
    """H0: entries are independent normals; n = 40 draws of 65 536, alpha < 1e-4, seed 0."""
    draws = torch.randn(40, 1, 64, 4, 256, generator=torch.Generator().manual_seed(0))
    ratio = massive_activations(draws)["ratio"]
    assert isinstance(ratio, Masked)
    assert abs(ratio.values.mean().item() - 6.7) < 0.25
