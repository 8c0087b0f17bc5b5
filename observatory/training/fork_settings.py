"""From which states of a finished study the replicas of a run go on. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from observatory.core.errors import ConfigError
from observatory.core.settings import NotNegative, Positive, Size, checked, declared


@final
@dataclass(frozen=True)
class ForkSettings:
    """The setting `fork`.

    Attributes:
        study: Folder of the study.
        run: Of which of its runs; None: it has one.
        step: Of the states.
        weight_decay: Of the parents; None: each goes on from the one with its own.
        lr: Likewise.
    """

    study: str
    step: Size
    run: str | None = None
    weight_decay: NotNegative | None = None
    lr: Positive | None = None


def fork_settings(config: Mapping[str, Any]) -> ForkSettings | None:
    """What `fork` says; None where replicas begin at step 0, as in all runs before there was one.

    Raises:
        ConfigError: If a setting is unknown, missing or breaks its rule.
    """
    given = config.get("fork")
    if given is None:
        return None
    types = declared(ForkSettings)
    checked(given, types, "fork")
    if missing := [name for name in ("study", "step") if name not in given]:
        raise ConfigError(
            f"`fork.{missing[0]}` must be given, as in 'fork={{study: results/kept, step: 500}}'."
        )
    settings = ForkSettings(**given)
    if settings.step >= config["horizon_steps"]:
        raise ConfigError(
            f"`fork.step` must be below `horizon_steps`, got {settings.step} and "
            f"{config['horizon_steps']}: steps count from the parents' start."
        )
    return settings
