import pytest
import torch

from observatory.core.errors import ConfigError
from observatory.tasks.sums import ModularSum


def sums(p=5, k=3, n_samples=None, inputs_seed=0) -> ModularSum:
    return ModularSum(p=p, k=k, n_samples=n_samples, inputs_seed=inputs_seed, random_labels=False)


@pytest.mark.parametrize("n_samples", [None, 40])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_sums_are_those_of_a_loop(k, n_samples) -> None:
    if n_samples is not None and 5**k < n_samples:
        n_samples = 5**k
    task = sums(k=k, n_samples=n_samples)
    inputs = task.inputs()
    assert inputs.shape == (n_samples or 5**k, k)
    assert len(inputs.unique(dim=0)) == len(inputs)
    assert task.labels(torch.Generator()).tolist() == [sum(row) % 5 for row in inputs.tolist()]


def test_too_many_tuples_are_refused_with_advice() -> None:
    with pytest.raises(ConfigError, match=r"113\^3 = 1,442,897.* smaller p.*`n_samples`"):
        sums(p=113)
    assert sums(p=113, n_samples=1000).inputs().shape == (1000, 3)
    with pytest.raises(ConfigError, match="`k` must be at least 2"):
        sums(k=1)
