import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.tasks.parity import SparseParity


def parity(n_bits=43, k=3, n_samples=500, inputs_seed=0) -> SparseParity:
    return SparseParity(
        n_bits=n_bits, k=k, n_samples=n_samples, inputs_seed=inputs_seed, random_labels=False
    )


def test_parity_is_that_of_the_first_bits() -> None:
    for k in (1, 3, 43):
        task = parity(k=k)
        expected = [row[:k].count(1) % 2 for row in task.inputs().tolist()]
        assert task.labels(torch.Generator()).tolist() == expected


def test_strings_are_fixed_by_their_seed_and_fair() -> None:
    assert torch.equal(parity().inputs(), parity().inputs())
    assert not torch.equal(parity().inputs(), parity(inputs_seed=1).inputs())
    # 21,500 fair bits: the mean has sd 0.0034.
    assert abs(parity().inputs().double().mean().item() - 0.5) < 5 * 0.0034


def test_all_strings_can_be_asked_for_but_no_more() -> None:
    assert len(parity(n_bits=4, n_samples=16).inputs().unique(dim=0)) == 16
    with pytest.raises(ConfigError, match=r"`n_samples` must be in 2\.\.16, got 17"):
        parity(n_bits=4, n_samples=17)
    with pytest.raises(ConfigError, match=r"`k` must be in 1\.\.43, got 44"):
        parity(k=44)
