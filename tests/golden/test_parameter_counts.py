"""Parameter counts of arXiv:2605.20441 (0.82 M, 19 M, 85 M); exact, being sums of integers."""

import pytest
import torch
from hydra.utils import instantiate

from observatory.training.compose import compose


@pytest.mark.parametrize(
    ("name", "count"), [("small", 818_688), ("medium", 19_016_704), ("large", 85_208_064)]
)
def test_the_published_sizes(name: str, count: int) -> None:
    config = compose("train", [f"model={name}"])["model"]
    with torch.device("meta"):
        network = instantiate(config, d_vocab=97, n_classes=97, n_operands=2)
    assert sum(parameter.numel() for parameter in network.parameters()) == count
