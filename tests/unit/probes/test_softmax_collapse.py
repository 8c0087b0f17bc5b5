import numpy as np
import pytest
import torch

from observatory.probes.softmax_collapse import collapsed_share, log_probabilities


@pytest.mark.parametrize(
    ("margin", "in_float32", "in_float64"),
    [(10.0, 0.0, 0.0), (16.0, 0.0, 0.0), (18.0, 1.0, 0.0), (36.0, 1.0, 0.0), (40.0, 1.0, 1.0)],
)
def test_collapse_begins_at_the_precision_of_the_loss(
    margin: float, in_float32: float, in_float64: float
):
    logits = torch.tensor([[[-margin, 0.0]]])
    assert collapsed_share(logits, "float32").item() == in_float32
    assert collapsed_share(logits, "float64").item() == in_float64


def test_share_of_examples_per_replica():
    sure, unsure = [50.0, 0.0, 0.0], [1.0, 0.0, 0.0]
    logits = torch.tensor([[sure, unsure, sure, sure], [unsure] * 4])
    assert collapsed_share(logits, "float32").tolist() == [0.75, 0.0]


def test_tied_winners_are_not_collapsed():
    assert collapsed_share(torch.tensor([[[60.0, 60.0, 0.0]]]), "float32").item() == 0.0


def test_not_finite_is_not_called_alive():
    logits = torch.tensor([[[torch.inf, 0.0]], [[1.0, 0.0]]])
    assert collapsed_share(logits, "float32").isnan().tolist() == [True, False]


def test_log_probabilities_are_those_of_numpy():
    rng = torch.Generator().manual_seed(0)
    z, labels = torch.randn(2, 33, 5, generator=rng), torch.randint(5, (2, 33), generator=rng)
    found = log_probabilities(z, labels)
    for r in range(2):
        rows = z[r].double().numpy()
        given = rows[np.arange(33), labels[r]] - np.log(np.exp(rows).sum(axis=1))
        np.testing.assert_allclose(
            found[r], np.quantile(given, np.arange(1, 20) / 20), rtol=1e-12, atol=1e-12
        )
