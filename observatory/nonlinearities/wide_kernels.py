r"""Kernels of infinitely wide networks of steps, and of error functions, which are smooth steps.

The mean of sign(z + noise), with normal noise of variance v, is $\mathrm{erf}(z / \sqrt{2 v})$: the
error function itself has v = 1/2, and sign v = 0. So the closed forms of both are one.

Letters: $\phi$ an activation and $\psi$ the one whose slope a backward takes in its place; (u, w)
two normal numbers, such as what one unit reads at two examples.
"""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

Kernel = Float[Tensor, "batch batch"]


@dataclass(frozen=True)
class SmoothStep:
    r"""The activation $a + b\,\mathrm{erf}(z / \sqrt{2 v})$, or $a + b\,\mathrm{sign}(z)$ at v = 0.

    Attributes:
        variance: v, not negative.
        scale: b.
        shift: a.
    """

    variance: float
    scale: float
    shift: float


ERF = SmoothStep(0.5, 1.0, 0.0)
SIGN = SmoothStep(0.0, 1.0, 0.0)
THRESHOLD = SmoothStep(0.0, 0.5, 0.5)
"""1 above 0, and 0 below."""
HALF_ERF = SmoothStep(0.5, 0.5, 0.5)
"""Whose slope takes the place of that of `THRESHOLD`."""


def mean_product(
    first: Tensor, second: Tensor, both: Tensor, one: SmoothStep, other: SmoothStep
) -> Tensor:
    r"""$E\,\phi(u) \chi(w) = a_\phi a_\chi + b_\phi b_\chi \frac{2}{\pi} \arcsin \rho$.

    $\rho = c / \sqrt{(q_u + v_\phi)(q_w + v_\chi)}$.

    Args:
        first: Variance of u, $q_u$, of any shape.
        second: Variance of w, $q_w$.
        both: Their covariance c.
        one: $\phi$.
        other: $\chi$.

    Source:
        Williams (1997), Computing with infinite networks, for the error function.
    """
    ratio = both / ((first + one.variance) * (second + other.variance)).sqrt()
    mean = 2 / math.pi * ratio.clamp(-1, 1).arcsin()
    return one.shift * other.shift + one.scale * other.scale * mean


def mean_slopes(
    first: Tensor, second: Tensor, both: Tensor, one: SmoothStep, other: SmoothStep
) -> Tensor:
    r"""$E\,\phi'(u) \chi'(w) = b_\phi b_\chi \frac{2}{\pi} / \sqrt{d}$.

    $d = (q_u + v_\phi)(q_w + v_\chi) - c^2$. The slope of a step is two Dirac deltas: of two steps
    at u = w the mean is infinite. So gradient descent on steps has no kernel, and needs a
    surrogate.

    Args:
        first: Variance of u.
        second: Variance of w.
        both: Their covariance.
        one: $\phi$.
        other: $\chi$.

    Example:
        >>> q = Tensor([1.0])
        >>> mean_slopes(q, q, q, SIGN, SIGN).item()
        inf
        >>> round(mean_slopes(q, q, q, SIGN, ERF).item(), 4)
        0.9003
    """
    rest = (first + one.variance) * (second + other.variance) - both.square()
    return one.scale * other.scale * 2 / math.pi * rest.clamp_min(0).rsqrt()


def wide_kernels(
    gram: Kernel,
    *,
    n_layers: int,
    sigma_w: float,
    sigma_b: float,
    activation: SmoothStep,
    surrogate: SmoothStep,
) -> tuple[Kernel, Kernel]:
    r"""Covariance S of the output of a random perceptron, and its surrogate-gradient NTK.

    $S_1 = \sigma_w^2 x \cdot x' / d + \sigma_b^2$, $S_{l+1} = \sigma_w^2 E\,\phi(u) \phi(w) +
    \sigma_b^2$, $K_1 = S_1$, $K_{l+1} = S_{l+1} + \sigma_w^2 E\,\phi'(u) \psi'(w) K_l$, with (u, w)
    of the covariance $S_l$: the change of the output at the example of the row after a small step
    on that of the column. With $\psi = \phi$ it is the neural tangent kernel, else not symmetric.

    Args:
        gram: $x \cdot x' / d$ of the examples.
        n_layers: Hidden layers.
        sigma_w: Weights are $\sigma_w / \sqrt{\text{fan-in}}$ times standard normal ones, which
            are trained.
        sigma_b: The same of biases.
        activation: $\phi$, of the forward.
        surrogate: $\psi$, of the backward.

    Source:
        arXiv:2405.15539; arXiv:1806.07572 with $\psi = \phi$. Deviation: the closed forms, which
        follow from normal noise.
    """
    s = sigma_w**2 * gram + sigma_b**2
    kernel = s
    for _ in range(n_layers):
        q, square = s.diagonal(), sigma_w**2
        slopes = mean_slopes(q[:, None], q, s, activation, surrogate)
        s = square * mean_product(q[:, None], q, s, activation, activation) + sigma_b**2
        kernel = s + square * slopes * kernel
    return s, kernel
