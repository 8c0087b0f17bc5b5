"""From overrides to a plain configuration, with Hydra's errors in our words."""

from collections.abc import Sequence
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from observatory.core.errors import ConfigError


def compose(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration `name` of `observatory.conf` with overrides applied, as plain values.

    Args:
        name: "train" or "map".
        overrides: In Hydra's grammar, such as "experiment=smoke" or "optimizer.lr=0.001".

    Raises:
        ConfigError: If a group, option or key is unknown or a value is missing.
    """
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("observatory.conf", version_base="1.3"):
            return plain(hydra_compose(name, list(overrides), return_hydra_config=True))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_readable(error)) from error


def plain(composed: DictConfig) -> dict[str, Any]:
    """Plain values of a composed configuration, with the experiment's name, without Hydra's."""
    experiment = composed.hydra.runtime.choices.get("experiment")
    with_hydra = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    values = OmegaConf.to_container(with_hydra, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {**{str(key): value for key, value in values.items()}, "experiment": experiment}


def _readable(error: Exception) -> str:
    """The error and its cause without the search path that Hydra appends."""
    text = str(error).split("\n\nConfig search path")[0].split("\nConfig search path")[0]
    cause = f" ({error.__cause__})" if error.__cause__ and str(error.__cause__) not in text else ""
    return f"the configuration cannot be composed: {text}{cause}".replace("\n", " ")
