"""The batched massive-activation probe against sorting one layer of one replica at a time."""

import numpy as np
import pytest
import torch

from observatory.core.contracts import Masked
from observatory.probes.massive_activations import (
    counts_above,
    largest_at,
    massive_activations,
    upper_half,
)


def values(entry: torch.Tensor | Masked) -> torch.Tensor:
    return entry.values if isinstance(entry, Masked) else entry


def slow(layer: np.ndarray) -> dict[str, float]:
    """Every quantity from `[batch, pos, d_model]`, by a full sort."""
    entries = np.abs(layer.astype(np.float64))
    ordered = sorted(entries.ravel().tolist())
    median = ordered[(len(ordered) - 1) // 2]
    _, position, channel = np.unravel_index(entries.argmax(), entries.shape)
    shares = {
        f"share_above_{k}": sum(h > k * median for h in ordered) / len(ordered)
        for k in (10, 100, 1000)
    }
    return {
        "top1": ordered[-1],
        "top2": ordered[-2],
        "top3": ordered[-3],
        "median_layerwide_lower": median,
        "ratio": ordered[-1] / median,
        "position": position,
        "channel": channel,
        **shares,
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "shape", [(2, 1, 4, 3, 8), (3, 2, 5, 2, 7), (1, 3, 3, 5, 5), (2, 2, 1, 1, 3)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_a_full_sort(shape: tuple[int, ...], dtype: torch.dtype, seed: int):
    rng = np.random.default_rng(seed)
    heavy = rng.standard_normal(shape) * np.exp(2.5 * rng.standard_normal(shape))
    resid = torch.from_numpy(heavy).to(dtype)
    fast = massive_activations(resid)
    for replica, layers in enumerate(resid.numpy()):
        for index, layer in enumerate(layers):
            for name, expected in slow(layer).items():
                assert values(fast[name])[replica, index].item() == pytest.approx(
                    expected, rel=1e-15
                )


@pytest.mark.parametrize("n", [3, 4, 5, 64, 97])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_order_and_median_are_those_of_torch(n: int, dtype: torch.dtype):
    entries = torch.randn(3, 2, n, dtype=dtype, generator=torch.Generator().manual_seed(n))
    entries = entries.abs()
    entries[0, 0] = 1.0
    entries[1, 1, 0] = torch.inf
    entries[2, 1, n // 2] = torch.nan
    median = values(massive_activations(entries[..., None, None])["median_layerwide_lower"])
    expected = entries.median(dim=-1).values.double()
    assert torch.equal(median.nan_to_num(-1.0), expected.nan_to_num(-1.0))
    ordered = entries.sort(dim=-1).values
    _, largest, upper = upper_half(entries[:2].clone())
    assert torch.equal(largest, ordered[:2, :, -3:])
    assert torch.equal(upper.sort(dim=-1).values, ordered[:2, :, (n - 1) // 2 :])
    tenth = torch.full((2, 2), 0.1 + 1e-12, dtype=torch.float64)  # no float32 number
    limits = torch.stack([ordered[:2, :, 1].double(), tenth], dim=-1).sort(dim=-1).values
    counted = (entries[:2].double()[..., None] > limits[..., None, :]).sum(dim=2)
    assert torch.equal(counts_above(entries[:2], limits, largest[..., -1]), counted)
    assert torch.equal(largest_at(entries[:2]), entries[:2].argmax(dim=-1))


def test_planted_maximum_is_located():
    resid = torch.ones(1, 1, 4, 3, 8)
    resid[0, 0, 2, 1, 5] = -2000.0
    resid[0, 0, 3, 2, 7] = 500.0
    fast = massive_activations(resid)
    plain = {name: values(entry).item() for name, entry in fast.items()}
    assert plain == {
        "top1": 2000, "top2": 500, "top3": 1, "median_layerwide_lower": 1, "ratio": 2000,
        "position": 1, "channel": 5,
        "share_above_10": 2 / 96, "share_above_100": 2 / 96, "share_above_1000": 1 / 96,
    }  # fmt: skip


def test_zero_median_leaves_ratio_and_shares_undefined():
    resid = torch.zeros(1, 2, 2, 2, 2)
    resid[0, 0, 0, 0, 0] = 3.0
    resid[0, 1] = 1.0
    fast = massive_activations(resid)
    for name in ("ratio", "share_above_10", "share_above_100", "share_above_1000"):
        entry = fast[name]
        assert isinstance(entry, Masked)
        assert entry.defined.tolist() == [[False, True]], name
    assert values(fast["top1"]).tolist() == [[3.0, 1.0]]
    assert values(fast["median_layerwide_lower"]).tolist() == [[0.0, 1.0]]


def test_not_a_number_has_no_place():
    resid = torch.ones(1, 2, 2, 2, 2)
    resid[0, 1, 0, 1, 1] = torch.nan
    fast = massive_activations(resid)
    for name in ("position", "channel"):
        entry = fast[name]
        assert isinstance(entry, Masked)
        assert entry.defined.tolist() == [[True, False]]
    for name in ("top1", "top2", "top3", "median_layerwide_lower", "ratio", "share_above_10"):
        assert values(fast[name]).isnan().tolist() == [[False, True]], name
