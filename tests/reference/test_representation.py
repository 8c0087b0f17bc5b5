"""The batched representation, weight and alignment probes against plain numpy, one at a time."""

import itertools

import numpy as np
import pytest
import torch

from observatory.core.contracts import Masked
from observatory.maths.class_ratio import class_scatter
from observatory.probes.dead_units import dead_units
from observatory.probes.lar import lar
from observatory.probes.representation import spectral_shape
from observatory.probes.weight_spectrum import weight_spectrum

# All in float64; the slow twins take the other road (np.cov, SVD, double loops): 1e-9 leaves room
# for eigenvalues from a Gram matrix, whose small ones carry 1e-16 of the largest.
TOLERANCE = 1e-9


def values(entry: torch.Tensor | Masked | None) -> np.ndarray:
    assert isinstance(entry, Masked)
    assert bool(entry.defined.all())
    return entry.values.numpy()


def draws(seed: int, *shape: int) -> torch.Tensor:
    """Normal rows whose columns differ in size, so that the spectrum is not flat."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal(shape) * np.exp(rng.standard_normal(shape[-1])))


@pytest.mark.parametrize(("n", "d"), [(30, 8), (9, 40), (13, 12), (12, 12)])
@pytest.mark.parametrize("seed", [0, 1])
def test_spectral_shape_is_that_of_the_covariance(n: int, d: int, seed: int):
    points = draws(seed, 3, n, d)
    fast = spectral_shape(points)
    for replica, rows in enumerate(points.numpy()):
        eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(rows.T)))[::-1][: min(n - 1, d)]
        p = eigenvalues / eigenvalues.sum()
        entropy = -sum(x * np.log(x) for x in p)
        expected = {
            "spectral_entropy": entropy / np.log(len(p)),
            "effective_rank": np.exp(entropy),
            "participation_ratio": eigenvalues.sum() ** 2 / (eigenvalues**2).sum(),
            **{
                f"head_tail_{k}": np.log((p[:k].sum() + 1e-10) / (p[k:].sum() + 1e-10))
                for k in (3, 5, 10)
                if k < len(p)
            },
        }
        for name, entry in fast.items():
            if name not in expected:
                assert entry is None, name
            else:
                ours = values(entry)[replica]
                assert ours == pytest.approx(expected[name], rel=TOLERANCE), name


def slow_scatter(points: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Every pair of classes, every example of every class."""
    classes = sorted(set(labels.tolist()))
    means = {c: points[labels == c].mean(axis=0) for c in classes}
    pairs = [((means[a] - means[b]) ** 2).sum() for a, b in itertools.combinations(classes, 2)]
    spreads = [
        np.mean([((x - means[c]) ** 2).sum() for x in points[labels == c]])
        for c in classes
        if (labels == c).sum() > 1
    ]
    inter, intra = float(np.mean(pairs)), float(np.mean(spreads))
    return inter, intra, inter / (intra + 1e-8)


@pytest.mark.parametrize(("n", "classes"), [(40, 5), (12, 9), (25, 31)])
@pytest.mark.parametrize("seed", [0, 1])
def test_class_scatter_is_the_double_loop(n: int, classes: int, seed: int):
    rng = torch.Generator().manual_seed(seed)
    points, labels = draws(seed, 4, n, 6), torch.randint(classes, (4, n), generator=rng)
    fast = class_scatter(points, labels)
    for replica in range(4):
        expected = slow_scatter(points[replica].numpy(), labels[replica].numpy())
        for entry, number in zip((fast.inter, fast.intra, fast.ratio), expected, strict=True):
            assert values(entry)[replica] == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize("shape", [(6, 6), (4, 11), (11, 4), (1, 5)])
@pytest.mark.parametrize("seed", [0, 1])
def test_weight_spectrum_is_that_of_the_singular_values(shape: tuple[int, int], seed: int):
    weight = draws(seed, 3, *shape).float()
    fast = weight_spectrum(weight)
    for replica in range(3):
        s = np.linalg.svd(weight[replica].double().numpy(), compute_uv=False)
        p = s**2 / (s**2).sum()
        entropy = -(p * np.log(p)).sum()
        expected = {
            "stable_rank": (s**2).sum() / s[0] ** 2,
            "effective_rank": np.exp(entropy),
            "participation_ratio": (s**2).sum() ** 2 / (s**4).sum(),
        }
        for name, number in expected.items():
            assert values(fast[name])[replica] == pytest.approx(number, rel=TOLERANCE), name
        normalised = fast["spectral_entropy"]
        if min(shape) == 1:
            assert not normalised.defined.any()
        else:
            expected_entropy = entropy / np.log(min(shape))
            assert values(normalised)[replica] == pytest.approx(expected_entropy, rel=TOLERANCE)


@pytest.mark.parametrize("shape", [(20, 7, 5), (3, 6, 9), (8, 2, 1)])
@pytest.mark.parametrize("seed", [0, 1])
def test_lar_is_that_of_the_singular_directions(shape: tuple[int, int, int], seed: int):
    n_samples, n, fan_out = shape
    read, weight = draws(seed, 2, n_samples, n), draws(seed + 5, 2, n, fan_out)
    ratio, directions = (values(entry) for entry in lar(read, weight))
    for replica in range(2):
        x, w = read[replica].numpy(), weight[replica].numpy()
        left, s, _ = np.linalg.svd(w, full_matrices=False)
        p = s**2 / (s**2).sum()
        q = ((x @ left) ** 2).sum(axis=0) / (x**2).sum()
        identity = 1 + 0.5 * np.log((p * q).sum()) / np.log(n)
        rms = [np.sqrt((m**2).mean()) for m in (x @ w, x, w)]
        defined = np.log(rms[0] / (rms[1] * rms[2])) / np.log(n)
        # The definition's own rms of XW, X and W: the identity holds with n, not with n^(1/2).
        assert ratio[replica] == pytest.approx(identity, rel=1e-12)
        assert ratio[replica] == pytest.approx(defined, rel=1e-12)
        assert directions[replica] == pytest.approx(n ** (2 * (1 - identity)), rel=1e-12)


@pytest.mark.parametrize("shape", [(2, 1, 6, 9), (3, 2, 4, 3, 7)])
@pytest.mark.parametrize("seed", [0, 1])
def test_dead_units_are_those_with_one_value(shape: tuple[int, ...], seed: int):
    rng = np.random.default_rng(seed)
    units = np.maximum(rng.standard_normal(shape) + rng.choice([-9, 0], shape[-1]), 0)
    units[0, 0, ..., 0] = 3.25  # stuck at a value other than zero
    fast = dead_units(torch.from_numpy(units))
    count, share = fast["dead_count"], fast["dead_share"]
    assert isinstance(count, Masked)
    assert isinstance(share, torch.Tensor)
    for replica, layer in np.ndindex(*shape[:2]):
        rows = units[replica, layer].reshape(-1, shape[-1])
        expected = sum(len(set(column)) == 1 for column in rows.T.tolist())
        assert count.values[replica, layer] == expected
        assert share[replica, layer].item() == expected / shape[-1]
