"""Closed forms that the probes' building blocks must meet.

| quantity | value | tolerance, why | source |
|---|---|---|---|
| R = (sum a)^2 / sum a^2 | H / (1 + CV^2) | 1e-12: float64 eigenvalues | arXiv:2605.20441, (C1) |
| spectral gap, all cosines c | H c | 1e-12: the same | eigenvalues 1 + (H - 1) c and 1 - c |
| s_bar, all cosines c | c | 1e-12: float64 | definition |
| entropy of a uniform row | ln n | 1e-14: a sum of up to 245 terms | definition |
| pr_norm of orthogonal heads of equal size | 1 | 1e-15: exact sums | definition |
| R from the weights' singular values | H / (1 + CV^2) of s^2 | 1e-9: from a Gram matrix | (C1) |
| spectral entropy, a flat spectrum | 1 | 1e-12: float64 | definition |
| effective rank of p = 2^-1, ..., 2^-m, 2^-m | 4 / 2^(2 / 2^m) | 1e-12: float64 | its entropy |
| head-tail contrast of the same | ln(2^k - 1) | 1e-6: the published eps 1e-10 | geometric sum |
| Li2 energy of one frequency, norm 1 | M / 4 odd, M / 2 Nyquist | 1e-10: M^2 terms | see the test |
| max / median of 65 536 normals | 6.59 | see the test | extreme values, arXiv:2508.03616 setting |
"""

import math

import numpy as np
import pytest
import torch

from observatory.core.contracts import Masked
from observatory.maths.examples import all_tuples
from observatory.maths.spectrum import cosines, gram, participation_ratio, spectral_gap
from observatory.probes.attention import head_entropies, mean_over_pairs, pr_norm
from observatory.probes.li2 import centred_sums, energies, largest_energy
from observatory.probes.massive_activations import massive_activations
from observatory.probes.representation import head_tail, spectral_shape
from observatory.probes.weight_spectrum import weight_spectrum
from tests.normal_ratio import normal_ratio
from tests.power import Mean, states


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


@pytest.mark.parametrize("shape", [(4, 4), (5, 12), (31, 8)])
@pytest.mark.parametrize("seed", [0, 1])
def test_participation_ratio_of_weights_is_that_of_their_spread(shape: tuple[int, int], seed: int):
    weight = np.random.default_rng(seed).standard_normal(shape)
    squares = np.linalg.svd(weight, compute_uv=False) ** 2
    cv = squares.std() / squares.mean()
    told = weight_spectrum(torch.from_numpy(weight)[None])["participation_ratio"].values.item()
    assert told == pytest.approx(len(squares) / (1 + cv**2), rel=0, abs=1e-9)


def halving(m: int) -> torch.Tensor:
    """Points whose covariance has eigenvalues in proportion to 1/2, 1/4, ..., 2^-m, 2^-m."""
    shares = torch.tensor([*(0.5**j for j in range(1, m + 1)), 0.5**m], dtype=torch.float64)
    axes = torch.diag(shares.sqrt())
    return torch.cat([axes, -axes])[None]  # mean zero


@pytest.mark.parametrize("m", [3, 6, 10])
def test_halving_shares(m: int):
    shape = spectral_shape(halving(m))
    rank, entropy = shape["effective_rank"], shape["spectral_entropy"]
    assert rank is not None
    assert entropy is not None
    expected = 4 / 2 ** (2 / 2**m)
    assert rank.values.item() == pytest.approx(expected, rel=0, abs=1e-12)
    flat = math.log(expected) / math.log(m + 1)
    assert entropy.values.item() == pytest.approx(flat, rel=0, abs=1e-12)
    for k in (3, 5, 10):
        entry = shape[f"head_tail_{k}"]
        assert (entry is None) == (k >= m + 1)
        if entry is not None:
            assert entry.values.item() == pytest.approx(math.log(2**k - 1), rel=0, abs=1e-6)


def test_a_flat_spectrum_has_entropy_one_and_a_known_contrast():
    axes = torch.eye(12, dtype=torch.float64)
    shape = spectral_shape(torch.cat([axes, -axes])[None])
    for name, expected in (
        ("spectral_entropy", 1),
        ("effective_rank", 12),
        ("participation_ratio", 12),
    ):
        entry = shape[name]
        assert entry is not None
        assert entry.values.item() == pytest.approx(expected, rel=0, abs=1e-12)
    p = torch.full((1, 12), 1 / 12, dtype=torch.float64)
    assert head_tail(p, 5).item() == pytest.approx(math.log(5 / 7), rel=0, abs=1e-9)


def energy_of(unit: torch.Tensor) -> float:
    """Share of the largest energy, of one unit of the square on all pairs of addition."""
    n_symbols = len(unit) // 2
    pairs = all_tuples(n_symbols, 2)
    hidden = (unit[pairs[:, 0]] + unit[n_symbols + pairs[:, 1]]).square()[:, None]
    sums = centred_sums(hidden, pairs.sum(dim=1) % n_symbols, n_symbols)
    return energies(sums, unit[:, None], len(pairs)).item()


@pytest.mark.parametrize("n_symbols", [5, 23, 71])
@pytest.mark.parametrize("frequency", [1, 2])
def test_a_single_frequency_has_a_quarter_of_m(n_symbols: int, frequency: int):
    """At norm 1; the paper prints M / 16, because its square lacks one of two cross terms."""
    angle = 2 * torch.pi * frequency * torch.arange(n_symbols, dtype=torch.float64) / n_symbols
    unit = 1.7 * torch.cat([(angle + 0.4).cos(), -(angle - 1.1).cos()])
    energy = energy_of(unit) * largest_energy(n_symbols)
    assert energy / n_symbols == pytest.approx(1 / 4, rel=0, abs=1e-10)


def test_the_nyquist_frequency_has_half_of_m():
    sign = 1 - 2 * (torch.arange(24, dtype=torch.float64) % 2)
    assert largest_energy(24) == 12
    assert energy_of(torch.cat([sign, -sign])) == pytest.approx(1, rel=0, abs=1e-10)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_unit_has_a_larger_energy_on_all_pairs(seed: int):
    unit = torch.randn(46, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    assert 0 < energy_of(unit) < 0.3
    memoriser = torch.zeros(46, dtype=torch.float64)
    memoriser[[3, 23 + 8]] = 1.0
    assert 0 < energy_of(memoriser) < 0.3


NORMAL = Mean(40, 0.35, 0.25)


@states(NORMAL)
def test_normal_noise_has_the_known_ratio():
    """H0: entries are independent normals; draws of 65 536, seed 0.

    n = 40, sd 0.35, alpha = 6e-06: accepts a bias of 0.25, catches 0.297.
    """
    draws = torch.randn(40, 1, 64, 4, 256, generator=torch.Generator().manual_seed(0))
    ratio = massive_activations(draws)["ratio"]
    assert isinstance(ratio, Masked)
    assert abs(ratio.values.mean().item() - normal_ratio(65_536)) < NORMAL.tolerance
    assert ratio.values.std().item() < NORMAL.sd
