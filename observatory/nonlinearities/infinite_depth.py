r"""Activations whose infinitely deep and wide network is a known classifier.

Which one is said by three numbers of the activation, z standard normal: $A = E\,\phi(z)$,
$A' = E\,\phi'(z)$ and $B' = E\,\phi'(z)^2$, with $E\,\phi(z)^2 = 1$. With $A = A' = 0$ it is the
nearest neighbour, with $A \ne 0$ and $B' \ge 1$ the majority of all labels, and with $A = 0$,
$A' \ne 0$ and $B' > 1$ a vote weighted by distance to the power of $-\alpha$,
$\alpha = -4 \ln A' / \ln B'$, which is right in the limit of much data where $\alpha$ is the
dimension of the sphere that the data lie on.
"""

import math

import torch
from torch import Tensor

from observatory.maths.nonlinearities import Nonlinearity
from observatory.nonlinearities.elementwise import hermite

SQUARES: dict[str, dict[int, float]] = {
    "nearest_neighbour": {2: 1.0},
    "majority": {0: 0.3, 1: 0.2, 3: 0.5},
    "singular_1": {1: 1 / 2, 7: 1 / 2},
    "singular_2": {1: 1 / 2, 3: 1 / 2},
    "singular_4": {1: 1 / 4, 2: 1 / 2, 3: 1 / 4},
    "singular_8": {1: 1 / 16, 2: 7 / 8, 3: 1 / 16},
}
"""Squared coefficients of the normalised Hermite polynomials by degree; they add up to 1."""


def infinite_depth(regime: str) -> Nonlinearity:
    """The activation of a regime: a sum of Hermite polynomials with positive coefficients.

    Args:
        regime: "nearest_neighbour", "majority", or "singular_1", "singular_2", "singular_4" and
            "singular_8" with the dimension of the sphere.

    Source:
        arXiv:2204.14126: its kernels as functions of the cosine c, sum of a_n^2 c^n. Deviation: the
        activations themselves, sum of a_n h_n, follow from these; "nearest_neighbour" and
        "majority" are one example each of their regime.

    Example:
        >>> infinite_depth("nearest_neighbour")(torch.tensor([1.0])).item()
        0.0
    """
    terms = {degree: math.sqrt(square) for degree, square in SQUARES[regime].items()}

    def activation(x: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for degree, coefficient in terms.items():
            total = total + coefficient * hermite(degree, x)
        return total

    return activation
