"""The batched attention probe against loops over replicas, layers, heads and rows in NumPy."""

import math

import numpy as np
import pytest
import torch

from observatory.core.contracts import Masked
from observatory.probes.attention import (
    flat_patterns,
    head_entropies,
    layer_quantities,
    mean_over_layers,
    r_phi,
)

TOLERANCE = 1e-12  # float64 rounding of sums of a few hundred terms of size 1, with room
SHAPES = [  # n_layers, n_heads, batch, n_ctx
    (1, 4, 6, 3),
    (2, 3, 5, 5),
    (3, 2, 4, 3),
    (2, 8, 3, 5),
    (1, 2, 7, 2),
]


def softmax_patterns(shape: tuple[int, int, int, int], causal: bool, seed: int) -> torch.Tensor:
    """`[replica, layer, batch, head, query, key]`, two replicas, some rows nearly one-hot."""
    n_layers, n_heads, batch, n_ctx = shape
    rng = np.random.default_rng(seed)
    scores = 4 * rng.standard_normal((2, n_layers, batch, n_heads, n_ctx, n_ctx))
    if causal:
        scores[..., np.triu_indices(n_ctx, 1)[0], np.triu_indices(n_ctx, 1)[1]] = -np.inf
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return torch.from_numpy(scores / scores.sum(axis=-1, keepdims=True))


def cosine(x: list[float], y: list[float]) -> float:
    dot = math.fsum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(math.fsum(a * a for a in x)) / math.sqrt(math.fsum(b * b for b in y))


def slow_layer(patterns: np.ndarray) -> dict[str, float]:
    """Every quantity of one layer of one replica, `[batch, head, query, key]`, as defined."""
    batch, n_heads, n_ctx, _ = patterns.shape
    flat, answer, entropies = [], [], []
    for head in range(n_heads):
        rows = [list(patterns[i, head, q]) for i in range(batch) for q in range(n_ctx)]
        flat.append([float(a) for row in rows for a in row])
        answer.append([float(a) for i in range(batch) for a in patterns[i, head, n_ctx - 1]])
        per_row = [-math.fsum(a * math.log(a) for a in row if a > 0) for row in rows]
        entropies.append(math.fsum(per_row) / len(per_row))
    pairs = [(i, j) for i in range(n_heads) for j in range(i + 1, n_heads)]
    mean = math.fsum(entropies) / n_heads
    similarity = np.array([[cosine(x, y) for y in flat] for x in flat])
    gaps = sorted(np.linalg.eigvals(similarity).real)  # the general solver, not the symmetric one
    centred = [np.array(x) - math.fsum(x) / len(x) for x in flat]
    a = np.linalg.eigvals(np.array([[float(x @ y) for y in centred] for x in centred])).real
    ratio = a.sum() ** 2 / (a**2).sum()
    return {
        "s_bar": math.fsum(cosine(flat[i], flat[j]) for i, j in pairs) / len(pairs),
        "s_bar_query": math.fsum(cosine(answer[i], answer[j]) for i, j in pairs) / len(pairs),
        "sigma_h": math.sqrt(math.fsum((e - mean) ** 2 for e in entropies) / n_heads),
        "entropy": mean,
        "entropy_range": max(entropies) - min(entropies),
        "spectral_gap": gaps[-1] - gaps[-2],
        "pr_norm": (ratio - 1) / (n_heads - 1),
    }


def slow_r_phi(patterns: np.ndarray) -> tuple[float, bool]:
    """r_phi of one replica from `[layer, batch, head, query, key]` by PCA of its heads."""
    rows = [
        patterns[layer, :, head].ravel()
        for layer in range(len(patterns))
        for head in range(patterns.shape[2])
    ]
    centred = np.array(rows) - np.array(rows).mean(axis=0)
    directions, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    phases = [math.atan2(u[1] * sizes[1], u[0] * sizes[0]) for u in directions]
    coherence = abs(sum(complex(math.cos(phi), math.sin(phi)) for phi in phases)) / len(phases)
    return coherence, bool(sizes[1] >= 1e-9 * sizes[0] > 0)


def values(entry: torch.Tensor | Masked | None) -> torch.Tensor:
    assert entry is not None
    return entry.values if isinstance(entry, Masked) else entry


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_definitions(shape: tuple[int, int, int, int], causal: bool, seed: int):
    patterns = softmax_patterns(shape, causal, seed)
    fast = layer_quantities(patterns, flat_patterns(patterns))
    for replica, layers in enumerate(patterns.numpy()):
        slow = [slow_layer(layer) for layer in layers]
        for name, entry in fast.items():
            expected = np.array([layer[name] for layer in slow])
            np.testing.assert_allclose(values(entry)[replica], expected, rtol=0, atol=TOLERANCE)
            mean = values(mean_over_layers(entry))[replica]
            np.testing.assert_allclose(mean, expected.mean(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_r_phi_equals_a_pca_of_each_replica(
    shape: tuple[int, int, int, int], causal: bool, seed: int
):
    patterns = softmax_patterns(shape, causal, seed)
    fast = r_phi(flat_patterns(patterns))
    assert fast is not None
    for replica, layers in enumerate(patterns.numpy()):
        coherence, defined = slow_r_phi(layers)
        assert bool(fast.defined[replica]) == defined == (shape[0] * shape[1] > 2)
        if defined:
            np.testing.assert_allclose(fast.values[replica], coherence, rtol=0, atol=TOLERANCE)


def test_one_head_has_an_entropy_and_nothing_else():
    patterns = softmax_patterns((2, 1, 5, 3), causal=True, seed=0)
    flat = flat_patterns(patterns)
    quantities = layer_quantities(patterns, flat)
    assert {name for name, entry in quantities.items() if entry is not None} == {"entropy"}
    expected = [[slow_entropy(layer) for layer in layers] for layers in patterns.numpy()]
    np.testing.assert_allclose(values(quantities["entropy"]), expected, rtol=0, atol=TOLERANCE)
    assert r_phi(flat_patterns(patterns[:, :1])) is None


def slow_entropy(patterns: np.ndarray) -> float:
    positive = patterns[patterns > 0]
    return -math.fsum(a * math.log(a) for a in positive) / (patterns.shape[0] * patterns.shape[2])


@pytest.mark.parametrize("n_ctx", [3, 5])
def test_identical_heads(n_ctx: int):
    patterns = softmax_patterns((2, 4, 6, n_ctx), causal=True, seed=3)
    patterns = patterns[:, :1, :, :1].expand_as(patterns).contiguous()
    flat = flat_patterns(patterns)
    quantities = layer_quantities(patterns, flat)
    for name, expected in {"s_bar": 1, "s_bar_query": 1, "spectral_gap": 4, "pr_norm": 0}.items():
        np.testing.assert_allclose(values(quantities[name]), expected, rtol=0, atol=TOLERANCE)
    assert bool((values(quantities["sigma_h"]) == 0).all())
    assert bool((values(quantities["entropy_range"]) == 0).all())
    coherence = r_phi(flat)
    assert coherence is not None
    assert not bool(coherence.defined.any())


def test_constant_patterns_have_no_covariance():
    patterns = torch.full((1, 2, 4, 3, 3, 3), 1 / 3, dtype=torch.float64)
    patterns[0, 1] = softmax_patterns((1, 3, 4, 3), causal=False, seed=0)[0, 0]
    ratio = layer_quantities(patterns, flat_patterns(patterns))["pr_norm"]
    assert isinstance(ratio, Masked)
    assert ratio.defined.tolist() == [[False, True]]
    aggregate = mean_over_layers(ratio)
    assert isinstance(aggregate, Masked)
    assert aggregate.defined.tolist() == [False]


def test_one_hot_rows_have_no_entropy():
    eye = torch.eye(3, dtype=torch.float64).expand(1, 1, 4, 2, 3, 3).clone()
    eye[:, :, :, 1] = eye[:, :, :, 1].flip(-1)
    quantities = layer_quantities(eye, flat_patterns(eye))
    assert bool((head_entropies(flat_patterns(eye), n_ctx=3) == 0).all())
    assert values(quantities["sigma_h"]).item() == 0
    assert values(quantities["s_bar"]).item() == pytest.approx(1 / 3, abs=1e-15)  # the middle row
    assert values(quantities["s_bar_query"]).item() == 0


def test_a_causal_mask_at_three_positions_bounds_s_bar_by_a_third():
    patterns = softmax_patterns((1, 2, 8, 3), causal=True, seed=0)
    patterns[..., 1:, :] = 0
    patterns[:, :, :, 0, 1:, 0] = 1.0  # the heads look at different tokens wherever they can
    patterns[:, :, :, 1, 1:, 1] = 1.0
    quantities = layer_quantities(patterns, flat_patterns(patterns))
    np.testing.assert_allclose(values(quantities["s_bar"]), 1 / 3, rtol=0, atol=1e-15)
    assert bool((values(quantities["s_bar_query"]) == 0).all())


def test_second_direction_is_judged_below_the_reach_of_a_gram_matrix():
    """Singular values at 1 : 1e-8 and 1 : 1e-10 differ although both squares drown in rounding."""
    base = torch.zeros(2, 1, 4, 5, dtype=torch.float64)
    base[..., 0] = torch.tensor([1.0, -1.0, 1.0, -1.0])
    base[0, ..., 1] = 1e-8 * torch.tensor([1.0, 1.0, -1.0, -1.0])
    base[1, ..., 1] = 1e-10 * torch.tensor([1.0, 1.0, -1.0, -1.0])
    coherence = r_phi(base)
    assert coherence is not None
    assert coherence.defined.tolist() == [True, False]
