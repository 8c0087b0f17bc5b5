"""Spectra of symmetric matrices, how spread out they are, and principal components, batched.

A non-finite matrix gives NaN and spoils no other: LAPACK itself refuses a whole batch for it, so
that a diverged replica would silence the rest.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def gram(rows: Float[Tensor, "*batch head sample"]) -> Float[Tensor, "*batch head head"]:
    """Inner products of the rows."""
    return rows @ rows.mT


def cosines(rows: Float[Tensor, "*batch head sample"]) -> Float[Tensor, "*batch head head"]:
    """Cosines of the angles between the rows, 1 on the diagonal up to rounding.

    Rows are not centred: these are no correlations.
    """
    return cosines_of(gram(rows))


def cosines_of(products: Float[Tensor, "*batch head head"]) -> Float[Tensor, "*batch head head"]:
    """The same from the inner products of the rows."""
    norms = products.diagonal(dim1=-2, dim2=-1).sqrt()
    return products / (norms[..., :, None] * norms[..., None, :])


def smaller_gram(rows: Float[Tensor, "*batch sample param"]) -> Float[Tensor, "*batch _ _"]:
    """Inner products of the rows or of the columns, whichever are fewer: the same eigenvalues."""
    return gram(rows if rows.shape[-2] < rows.shape[-1] else rows.mT)


def eigenvalues(symmetric: Float[Tensor, "*batch head head"]) -> Float[Tensor, "*batch head"]:
    """Eigenvalues in ascending order; NaN where an entry is not finite."""
    finite = _all_finite(symmetric)
    values = torch.linalg.eigvalsh(symmetric.where(finite[..., None, None], 0.0))
    return values.where(finite[..., None], torch.nan)


def shares(values: Float[Tensor, "*batch head"]) -> Float[Tensor, "*batch head"]:
    """Eigenvalues of a positive semidefinite matrix as shares of their sum; 0/0 = NaN.

    What rounding made negative counts as zero.

    Example:
        >>> shares(torch.tensor([-1e-9, 1.0, 3.0]))
        tensor([0.0000, 0.2500, 0.7500])
    """
    positive = values.clamp(min=0)
    return positive / positive.sum(dim=-1, keepdim=True)


def entropy(p: Float[Tensor, "*batch head"]) -> Float[Tensor, "*batch"]:
    """-sum p ln p of shares, in nats; 0 ln 0 = 0. Its exponential is the effective rank."""
    return torch.special.entr(p).sum(dim=-1)


def spectral_gap(symmetric: Float[Tensor, "*batch head head"]) -> Float[Tensor, "*batch"]:
    """First minus second eigenvalue (the largest two, not by size); needs two rows at least.

    Example:
        >>> spectral_gap(torch.diag(torch.tensor([1.0, 5.0, 3.0])))
        tensor(2.)
    """
    values = eigenvalues(symmetric)
    return values[..., -1] - values[..., -2]


def participation_ratio(symmetric: Float[Tensor, "*batch head head"]) -> Float[Tensor, "*batch"]:
    r"""$R = (\sum a)^2 / \sum a^2$ over the eigenvalues a; 0/0 = NaN for a zero matrix.

    From trace and Frobenius norm, without the eigenvalues. Equals $H / (1 + CV^2)$ with their
    number H and their population coefficient of variation CV: between 1 and H for a covariance.

    Example:
        >>> participation_ratio(torch.eye(3))
        tensor(3.)
    """
    trace = symmetric.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return trace.square() / symmetric.square().sum(dim=(-2, -1))


def principal_scores(
    rows: Float[Tensor, "*batch head sample"],
) -> tuple[Float[Tensor, "*batch head _"], Float[Tensor, "*batch _"]]:
    """Scores of the rows on their principal components, and the singular values, largest first.

    The rows are centred on their mean row. Equal rows give exactly zero, and singular values are
    accurate to rounding of the first: a Gram matrix would lose half of their digits.

    Returns:
        Scores (up to one sign per component) and singular values, fewer than rows by one at least:
        centred, they have no more directions. NaN where a row is not finite.

    Example:
        >>> scores, sizes = principal_scores(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        >>> torch.round(scores[:, 0].abs(), decimals=4), torch.round(sizes, decimals=4)
        (tensor([2.5000, 2.5000]), tensor([3.5355]))
    """
    shifted = rows[..., 1:, :] - rows[..., :1, :]  # equal rows: exactly 0, however a mean rounds
    small = torch.linalg.qr(shifted.mT, mode="r").R.mT  # as small as the rows are few
    rotated = torch.nn.functional.pad(small, (0, 0, 1, 0))  # the first row, less itself
    factor = rotated - rotated.mean(dim=-2, keepdim=True)
    finite = _all_finite(factor)[..., None]
    safe = factor.where(finite[..., None], 0.0)
    directions, sizes, _ = torch.linalg.svd(safe, full_matrices=False)
    scores = directions * sizes[..., None, :]
    return scores.where(finite[..., None], torch.nan), sizes.where(finite, torch.nan)


def _all_finite(matrices: Float[Tensor, "*batch head sample"]) -> Bool[Tensor, "*batch"]:
    return matrices.isfinite().flatten(start_dim=-2).all(dim=-1)
