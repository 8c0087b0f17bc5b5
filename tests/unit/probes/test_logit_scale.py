import pytest
import torch

from observatory.probes.logit_scale import logit_scale


def test_shifts_of_an_example_do_not_count():
    logits = torch.randn(2, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shift = torch.arange(5.0)[:, None]
    torch.testing.assert_close(logit_scale(logits + shift), logit_scale(logits))


def test_scales_with_the_logits():
    logits = torch.randn(2, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(logit_scale(-3 * logits), 3 * logit_scale(logits))


def test_centres_over_classes_and_not_over_examples():
    logits = torch.tensor([[[2.0, 0.0, 1.0], [2.0, 0.0, 1.0]]])
    assert logit_scale(logits).item() == pytest.approx((2 / 3) ** 0.5, rel=1e-15)
