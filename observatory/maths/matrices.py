"""The weight matrices of a network, in the order in which tables list them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from observatory.core.contracts import Masked
from observatory.core.errors import ConfigError
from observatory.core.layout import Params, Weight, matrices


def matrix_names(names: Iterable[str], weights: Mapping[str, Weight]) -> tuple[str, ...]:
    """`matrices` of a network that must have one: the manifest's `matrices`.

    Args:
        names: Names of all parameters in order.
        weights: What the model declares of each.

    Raises:
        ConfigError: If there is none.

    Example:
        >>> weights = {"W_U": Weight("readout"), "b_U": Weight("pointwise")}
        >>> matrix_names(["b_U", "W_U"], weights)
        ('W_U',)
    """
    found = matrices(names, weights)
    if not found:
        raise ConfigError(
            "`model` must have a weight matrix, but all of its weights are pointwise. "
            "Leave out the probes of weight matrices."
        )
    return found


def per_matrix(entries: Sequence[Masked]) -> Masked:
    """One number per replica of every matrix, as one entry `[replica, matrix]`."""
    return Masked(
        torch.stack([entry.values for entry in entries], dim=1),
        torch.stack([entry.defined for entry in entries], dim=1),
    )


def varies(weight: Float[Tensor, "replica _ _"]) -> Bool[Tensor, " replica"]:
    """Whether the entries of each replica's matrix are not all the same, whatever a mean rounds to.

    Example:
        >>> varies(torch.tensor([[[0.1, 0.1, 0.1]], [[0.1, 0.1, 0.2]]]))
        tensor([False,  True])
    """
    return weight.amax(dim=(1, 2)) - weight.amin(dim=(1, 2)) != 0  # what is not finite varies


def of_matrices(
    params: Params,
    weights: Mapping[str, Weight],
    quantities: Callable[[Tensor], dict[str, Masked]],
) -> dict[str, Masked]:
    """What `quantities` gives of a matrix of every replica, of each: entries `[replica, matrix]`.

    Raises:
        ConfigError: If there is no matrix.
    """
    found = [quantities(params[name]) for name in matrix_names(params, weights)]
    return {name: per_matrix([entry[name] for entry in found]) for name in found[0]}
