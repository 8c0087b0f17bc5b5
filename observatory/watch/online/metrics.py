"""Metrics that the owner of a loop gives: their names, their numbers, the events on them."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.events.claim import Claim

_NAME = re.compile(r"\W+")


def metric_name(name: str) -> str:
    """The column of a metric: its name, with `_` for what is neither a letter nor a digit.

    Raises:
        ConfigError: If it is that of a key, or begins with a digit.

    Example:
        >>> metric_name("eval/loss")
        'eval_loss'
    """
    column = _NAME.sub("_", name)
    if column in ("step", "replica", "run_id") or not re.match("[A-Za-z_]", column):
        raise ConfigError(
            f"A metric must have the name of a column, and not of a key, got {name!r}. "
            "Give it another name."
        )
    return column


def numbers_of(metrics: Mapping[str, Any], *, looks: bool) -> dict[str, float]:
    """Metrics as numbers, by the name of their column.

    Args:
        metrics: Numbers, or tensors of one entry.
        looks: Whether tensors of an accelerator are read, which waits for it, or left out.

    Raises:
        ConfigError: If one is no number, or has no name of a column.

    Example:
        >>> numbers_of({"eval/acc": 1}, looks=False)
        {'eval_acc': 1.0}
    """
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Tensor) and value.device.type != "cpu" and not looks:
            continue
        try:
            number = value.detach().item() if isinstance(value, Tensor) else value
            found[metric_name(name)] = float(number)
        except (TypeError, ValueError):
            raise ConfigError(
                f"`{name}` must be a number, got {type(value).__name__}. Give its mean."
            ) from None
    return found


def claims_of(event: str | Mapping[str, str] | None) -> dict[str, Claim]:
    """Events by name, as of `Observe`.

    Raises:
        ConfigError: If one is no claim, or its name not one of letters, digits and `_`.
    """
    named = {"reached": event} if isinstance(event, str) else dict(event or {})
    if wrong := [name for name in named if not name.isidentifier()]:
        raise ConfigError(f"`event` must have names of letters, digits and `_`, got {wrong}.")
    claims = {name: Claim.parse(text) for name, text in named.items()}
    return {
        name: Claim(metric_name(c.series), c.level, c.at_most, c.persistence)
        for name, c in claims.items()
    }
