"""Parameter counts of arXiv:2605.20441 (transformers, LSTM, Mamba); exact, sums of integers."""

import pytest
import torch
from hydra.utils import instantiate

from observatory.training.compose import compose


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
    config = compose("train", [f"model={name}"])["model"]
    with torch.device("meta"):
        network = instantiate(config, d_vocab=97, n_classes=97, n_operands=2)
    assert sum(parameter.numel() for parameter in network.parameters()) == count
