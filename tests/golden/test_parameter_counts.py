"""Parameter counts of arXiv:2605.20441 (transformers, LSTM, Mamba) and of others; exact."""

import pytest
import torch
from hydra.utils import instantiate

from tests.composed import block


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("small", 818_688),
        ("medium", 19_016_704),
        ("large", 85_208_064),
        ("lstm_512", 7_680_640),
        ("mamba_128", 957_952),
        ("mamba_128_expand2", 492_032),
    ],
)
def test_the_published_sizes(name: str, count: int) -> None:
    config = block("model", f"model={name}")
    with torch.device("meta"):
        network = instantiate(config, d_vocab=97, n_classes=97, n_operands=2)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize(
    ("name", "p", "count"),
    [
        # The released network has 128 more: its readout has a column for "=", which is cut.
        ("nanda", 113, (114 + 3) * 128 + 4 * 128**2 + 2 * 128 * 512 + 512 + 128 + 128 * 113),
        ("power", 97, (98 + 3) * 128 + 2 * (12 * 128**2 + 4 * 128) + 2 * 128 + 128 * 97),
        ("mlp_512", 97, 97 * 128 + 256 * 512 + 3 * 512**2 + 4 * 512 + 512 * 97),
        ("mlp_prieto", 113, 2 * 113 * 200 + 200**2 + 200 * 113),
        ("li2", 71, 2 * 71 * 2048 + 2048 * 71),
    ],
)
def test_sizes_that_follow_from_the_stated_widths(name: str, p: int, count: int) -> None:
    config = block("model", f"model={name}")
    with torch.device("meta"):
        network = instantiate(config, d_vocab=p, n_classes=p, n_operands=2)
    assert sum(parameter.numel() for parameter in network.parameters()) == count
