"""The order of the published curves of arXiv:2301.05217 in the stored looks of our two networks."""

import pandas as pd
import pytest

from tests.docs_mechanism import first, large_networks, rise


@pytest.mark.parametrize("looks", large_networks(), ids=["seed 0", "seed 1"])
def test_memory_then_the_circuit_then_the_rest_goes(looks: pd.DataFrame) -> None:
    memorised = first(looks, "train_loss", 0.01)
    restricted, val = first(looks, "restricted_loss", 1.0), first(looks, "val_loss", 1.0)
    assert memorised <= 1400  # the published end of memorising
    assert memorised <= restricted < rise(looks, 1.0) < val <= 14_000
    risen = looks.set_index("step").loc[rise(looks, 1.0)]
    assert risen["val_loss"] > 10.0  # the circuit is there, and does not show
    end = looks.iloc[-1]
    assert end["val_acc"] == 1.0
    assert 2 <= end["key_count"] <= 9
    assert end["explained"] > 0.9
