"""The weight matrices of a network, in the order in which tables list them."""

from collections.abc import Iterable, Mapping, Sequence

import torch

from observatory.core.contracts import Masked
from observatory.core.errors import ConfigError
from observatory.core.layout import Weight, matrices


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
