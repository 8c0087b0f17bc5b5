import torch

from observatory.maths.spectrum import eigenvalues, principal_scores, smaller_gram, spectral_gap


def test_a_non_finite_matrix_spoils_only_its_own_gap():
    stack = torch.stack([torch.diag(torch.tensor([1.0, 4.0])), torch.full((2, 2), torch.nan)])
    gap = spectral_gap(stack)
    assert gap[0].item() == 3.0
    assert bool(gap[1].isnan())


def test_the_smaller_gram_has_the_same_eigenvalues():
    rows = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    squares = torch.linalg.svdvals(rows).square().flip(0)
    for matrix in (rows, rows.T):
        assert smaller_gram(matrix).shape == (3, 3)
        torch.testing.assert_close(eigenvalues(smaller_gram(matrix)), squares)


def test_a_non_finite_row_spoils_only_its_own_scores():
    rows = torch.randn(3, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected, sizes = principal_scores(rows)
    rows[1, 2, 3] = torch.inf
    scores, broken = principal_scores(rows)
    assert scores.isnan().all(dim=(1, 2)).tolist() == [False, True, False]
    assert broken.isnan().all(dim=1).tolist() == [False, True, False]
    torch.testing.assert_close(scores[[0, 2]], expected[[0, 2]])
    torch.testing.assert_close(broken[[0, 2]], sizes[[0, 2]])


def test_scores_are_the_rows_seen_along_their_components():
    rows = torch.randn(5, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    scores, sizes = principal_scores(rows)
    centred = rows - rows.mean(dim=0)
    torch.testing.assert_close(scores @ scores.mT, centred @ centred.mT)
    torch.testing.assert_close(scores.mT @ scores, torch.diag(sizes.square()), atol=1e-12, rtol=0)


def test_more_rows_than_samples():
    rows = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    scores, sizes = principal_scores(rows)
    assert scores.shape == (7, 3)
    centred = rows - rows.mean(dim=0)
    torch.testing.assert_close(sizes, torch.linalg.svdvals(centred))
