"""Finding and stacking the activations of every block by name, never by model class."""

import re
from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.errors import ConfigError


def block_names(names: Iterable[str], *kinds: str) -> tuple[str, ...]:
    """The names `blocks.<i>.<kind>` among `names`, in order of i, of the first kind there is.

    Args:
        names: Names of activations, such as the keys of a model's `hooks()`.
        *kinds: Last parts of the name: "attn_pattern", "resid_post", ..., the preferred one first.

    Raises:
        ConfigError: If there is none.

    Example:
        >>> block_names(["blocks.10.mlp_post", "blocks.2.mlp_post", "logits"], "mlp_post")
        ('blocks.2.mlp_post', 'blocks.10.mlp_post')
        >>> block_names(["blocks.0.mlp_post", "blocks.0.hidden"], "hidden", "mlp_post")
        ('blocks.0.hidden',)
    """
    known = list(names)
    for kind in kinds:
        pattern = re.compile(rf"blocks\.(\d+)\.{re.escape(kind)}")
        found = [(int(match[1]), name) for name in known if (match := pattern.fullmatch(name))]
        if found:
            return tuple(name for _, name in sorted(found))
    there = sorted({name.rsplit(".", 1)[-1] for name in known})
    raise ConfigError(
        f"`{' or '.join(kinds)}` must be an activation of the model's blocks, but its hooks are of "
        f"{there}. Leave out the probes that need it, or choose a model that declares it."
    )


def activation(
    activations: Mapping[str, Float[Tensor, "replica batch ..."]], name: str
) -> Float[Tensor, "replica batch ..."]:
    """The activation of that whole name.

    Raises:
        ConfigError: If there is none.
    """
    if name not in activations:
        raise ConfigError(
            f"`{name}` must be an activation of the model, but it has {sorted(activations)}. "
            "Leave out the probes that need it, or choose a model that declares it."
        )
    return activations[name]


def stacked_blocks(
    activations: Mapping[str, Float[Tensor, "replica batch ..."]], *kinds: str
) -> Float[Tensor, "replica layer batch ..."]:
    """The first kind there is of all blocks in one tensor, layers on the second axis.

    Of one block it is a view.

    Raises:
        ConfigError: If no block has any.
    """
    blocks = [activations[name] for name in block_names(activations, *kinds)]
    return blocks[0].unsqueeze(1) if len(blocks) == 1 else torch.stack(blocks, dim=1)
