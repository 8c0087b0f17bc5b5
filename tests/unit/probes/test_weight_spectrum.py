import torch

from observatory.probes.weight_spectrum import weight_spectrum


def test_a_zero_matrix_has_no_directions_and_a_broken_one_no_numbers():
    weight = torch.stack([torch.zeros(3, 4), torch.eye(3, 4), torch.full((3, 4), torch.nan)])
    for name, entry in weight_spectrum(weight).items():
        assert entry.defined.tolist() == [False, True, True], name
        assert entry.values[1:].isnan().tolist() == [False, True], name


def test_transposing_changes_nothing():
    weight = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(0))
    for ours, theirs in zip(
        weight_spectrum(weight).values(), weight_spectrum(weight.mT).values(), strict=True
    ):
        torch.testing.assert_close(ours.values, theirs.values, rtol=1e-12, atol=0)
