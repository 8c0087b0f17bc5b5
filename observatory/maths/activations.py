"""Finding and stacking the activations of every block by name, never by model class."""

import re
from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.errors import ConfigError


def block_names(names: Iterable[str], kind: str) -> tuple[str, ...]:
    """The names `blocks.<i>.<kind>` among `names`, in order of i.

    Args:
        names: Names of activations, such as the keys of a model's `hooks()`.
        kind: Last part of the name: "attn_pattern", "resid_post", ...

    Raises:
        ConfigError: If there is none.

    Example:
        >>> block_names(["blocks.10.mlp_post", "blocks.2.mlp_post", "logits"], "mlp_post")
        ('blocks.2.mlp_post', 'blocks.10.mlp_post')
    """
    known = list(names)
    pattern = re.compile(rf"blocks\.(\d+)\.{re.escape(kind)}")
    found = [(int(match[1]), name) for name in known if (match := pattern.fullmatch(name))]
    if not found:
        kinds = sorted({name.rsplit(".", 1)[-1] for name in known})
        raise ConfigError(
            f"`{kind}` must be an activation of the model's blocks, but its hooks are of {kinds}. "
            "Leave out the probes that need it, or choose a model that declares it."
        )
    return tuple(name for _, name in sorted(found))


def stacked_blocks(
    activations: Mapping[str, Float[Tensor, "replica batch ..."]], kind: str
) -> Float[Tensor, "replica layer batch ..."]:
    """The activation `kind` of all blocks in one tensor, layers on the second axis; of one a view.

    Raises:
        ConfigError: If no block has it.
    """
    blocks = [activations[name] for name in block_names(activations, kind)]
    return blocks[0].unsqueeze(1) if len(blocks) == 1 else torch.stack(blocks, dim=1)
