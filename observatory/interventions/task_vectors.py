"""Task vectors, and networks that combine several, by coefficients learned from few labels.

Every vector has a coefficient of each weight: the combination is anisotropic (aTLAS).
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from observatory.core.errors import ConfigError
from observatory.core.layout import Params

Weights = Mapping[str, np.ndarray] | Mapping[str, Tensor]
"""Weights of one network by name, such as of `Study.weights`."""
Coefficients = Float[Tensor, "vector weight"]
"""Of every task vector, and every weight in the order of the first weights; float64."""


def task_vector(first: Weights, last: Weights) -> Params:
    """By what every weight of a network changed, float64.

    Args:
        first: Weights at an earlier step.
        last: Those of the same network later.

    Raises:
        ConfigError: If the two have not the same weights, of the same shapes.

    Source:
        Ilharco et al. (2023), arXiv:2212.04089, section 2. Deviation: none.

    Example:
        >>> task_vector({"W": torch.ones(2)}, {"W": torch.tensor([1.0, 3.0])})
        {'W': tensor([0., 2.], dtype=torch.float64)}
    """
    start, end = _double(first), _double(last)
    _check_shapes("last", end, start)
    return {name: end[name] - each for name, each in start.items()}


def combined(first: Weights, vectors: Sequence[Params], coefficients: Coefficients) -> Params:
    """The first weights, plus every task vector times its coefficient of that weight; float64.

    Args:
        first: Where the vectors begin.
        vectors: At least one, each as of `task_vector`.
        coefficients: Zeros give the first weights; ones, for one vector, the network that it ends
            at.

    Raises:
        ConfigError: If vectors or coefficients do not fit the first weights.

    Source:
        Zhang et al. (2024), arXiv:2407.02880, a coefficient for each parameter tensor. Deviation:
        none.

    Example:
        >>> vectors = [{"W": torch.tensor([1.0, 2.0])}, {"W": torch.tensor([0.0, 4.0])}]
        >>> combined({"W": torch.ones(2)}, vectors, torch.tensor([[1.0], [0.5]]))
        {'W': tensor([2., 5.], dtype=torch.float64)}
    """
    start = _double(first)
    for i, vector in enumerate(vectors):
        _check_shapes(f"vectors[{i}]", vector, start)
    if not vectors or coefficients.shape != (len(vectors), len(start)):
        raise ConfigError(
            f"`coefficients` must have a row for each of at least one vector and a column for each "
            f"weight, [{len(vectors)}, {len(start)}], got {list(coefficients.shape)}."
        )
    stacked = {name: torch.stack([vector[name].double() for vector in vectors]) for name in start}
    of_weight = dict(zip(start, coefficients.double().unbind(dim=1), strict=True))
    return {
        name: each + torch.tensordot(of_weight[name], stacked[name], dims=1)
        for name, each in start.items()
    }


def learned_coefficients(
    network: nn.Module,
    first: Weights,
    vectors: Sequence[Params],
    inputs: Tensor,
    labels: Tensor,
    *,
    steps: int,
    lr: float,
    weight_decay: float,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
) -> Coefficients:
    """Coefficients that make the combined network right on a few examples; all else is frozen.

    They begin at 0, with AdamW in float64. Judge them on examples that are not among these.

    Args:
        network: Whose weights are combined, such as of `Study.network`; it stays as it is.
        first: Where the vectors begin.
        vectors: At least one, each as of `task_vector`.
        inputs: The few examples of the task that is wanted, as the network takes them.
        labels: Their answers.
        steps: Updates of the coefficients, each on all of the examples.
        lr: Learning rate.
        weight_decay: Decoupled, of the coefficients.
        loss: From outputs of the network and labels.

    Raises:
        ConfigError: As `combined`.

    Source:
        Zhang et al. (2024), arXiv:2407.02880, and its code: 0 at the start, AdamW with lr 1e-3 and
        weight decay 0.1, gradients clipped at a norm of 1. Deviation: full batches.
    """
    frozen = deepcopy(network).double()
    found = torch.zeros(len(vectors), len(first), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.AdamW([found], lr=lr, weight_decay=weight_decay)
    for _ in range(steps):
        optimizer.zero_grad()
        weights = combined(first, vectors, found)
        loss(torch.func.functional_call(frozen, weights, (inputs,)), labels).backward()
        torch.nn.utils.clip_grad_norm_([found], 1.0)
        optimizer.step()
    return found.detach()


def _double(weights: Weights) -> Params:
    return {name: torch.as_tensor(each).double() for name, each in weights.items()}


def _check_shapes(what: str, given: Params, first: Params) -> None:
    got, wanted = ({n: list(each.shape) for n, each in of.items()} for of in (given, first))
    if got != wanted:
        raise ConfigError(
            f"`{what}` must have the weights of `first`, {wanted}, got {got}. Take networks of the "
            "same model and task sizes."
        )
