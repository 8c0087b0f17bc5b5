"""Small networks of every YAML of conf/model, whatever sizes it has."""

from pathlib import Path
from typing import Any

import yaml
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import nn

import observatory
from observatory.core.contracts import Model
from tests.composed import block

FOLDER = Path(observatory.__file__).parents[1] / "conf" / "model"
PRESETS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SMALL = {"n_layers": 2, "n_heads": 2, "d_model": 8, "d_mlp": 12, "d_hidden": 12, "d_state": 3}
"""Sizes that are set wherever a preset has them; one that is null there stays null."""

NONLINEARITIES = (
    *("elu", "selu", "sin", "cos", "cubic", "sign", "threshold", "crrelu_fixed", "crrelu"),
    *("ash", "ash:10", "evonorm_s0", "evonorm_s0:4", "spline", "tau_gate", "formula:x*cos(x)"),
    *("infinite_depth:singular_2", "infinite_depth:nearest_neighbour", "infinite_depth:majority"),
)
"""Those beside ReLU and the like; without blanks."""


def components() -> list[str]:
    """The preset of every model class: the one that bears the name of its file or folder."""
    made = [yaml.safe_load((FOLDER / f"{preset}.yaml").read_text()) for preset in PRESETS]
    return sorted({config["_target_"].split(".")[2] for config in made if "_target_" in config})


def sizes_of(preset: str, **settings: object) -> dict[str, Any]:
    """Those sizes of `SMALL`, and of the settings given besides, that a preset has."""
    config = block("model", f"model={preset}")
    return {k: v for k, v in {**SMALL, **settings}.items() if config.get(k) is not None}


def network_of(preset: str, *, p: int, n_operands: int, **settings: object) -> Any:
    """A preset's network on `n_operands` residues modulo `p`, small but for the settings given.

    Raises:
        ConfigError: If the network refuses them; Hydra's wrapping is taken off.
    """
    config = block("model", f"model={preset}")
    small = {**config, **sizes_of(preset, **settings)}
    try:
        network = instantiate(small, d_vocab=p, n_classes=p, n_operands=n_operands)
    except InstantiationException as error:
        raise (error.__cause__ or error) from None
    assert isinstance(network, nn.Module)
    assert isinstance(network, Model)
    return network
