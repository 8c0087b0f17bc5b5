"""Folders that `save_pretrained` or a Trainer of Hugging Face wrote: their model, their names."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from observatory.core.errors import ConfigError, StoreError

_SHOWN = 5


def model_of(folder: Path) -> nn.Module:
    """The class that the configuration of a folder, or of a checkpoint in it, names.

    It has the precision that the configuration says; no code of the folder is run.

    Raises:
        ConfigError: If there is no configuration of a class of transformers.
    """
    places = [folder, *sorted(folder.glob("checkpoint-*"))]
    config = next((p / "config.json" for p in places if (p / "config.json").is_file()), None)
    if config is None:
        raise ConfigError(f"`{folder}` must hold config.json, itself or in its checkpoints.")
    try:
        return _of_config(config)
    except (ConfigError, ImportError):
        raise
    except Exception as error:  # settings of a wrong kind fail anywhere in the library
        raise ConfigError(
            f"`{config}` must be a configuration of transformers: {error} Name a factory instead, "
            "MODULE:NAME."
        ) from error


def _of_config(config: Path) -> nn.Module:
    import transformers

    about = json.loads(config.read_text())
    names = about.get("architectures") if isinstance(about, dict) else None
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise ConfigError(
            f"`{config}` must be an object with the list `architectures`, of the name of a class "
            f"of transformers, got {(names if isinstance(about, dict) else about)!r}."
        )
    settings = transformers.AutoConfig.from_pretrained(
        str(config.parent), trust_remote_code=False, local_files_only=True
    )
    kind = getattr(transformers, names[0], None)
    if not isinstance(kind, type) or not issubclass(kind, transformers.PreTrainedModel):
        raise ConfigError(f"`{config}` must name a model of transformers, got {names}.")
    before = torch.get_default_dtype()
    torch.set_default_dtype(cast(Any, settings).dtype or before)  # as `from_pretrained` does
    try:
        return cast(Any, kind)(settings)
    finally:
        torch.set_default_dtype(before)


def as_loaded(model: nn.Module, folder: Path, stored: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights of a folder by the names of a model of transformers, which may store others.

    Some families are stored under other names, or each expert by itself: the library's own loading
    knows how. Weights that the folder lacks are left out, those that it has too many are added.

    Args:
        model: Any network; of another library `stored` is returned as it is.
        folder: Of the weights.
        stored: What it holds.

    Raises:
        StoreError: If transformers cannot make the weights of the model from those.
    """
    transformers = sys.modules.get("transformers")
    if transformers is None or not isinstance(model, transformers.PreTrainedModel):
        return stored
    known: Any = model
    from transformers.core_model_loading import revert_weight_conversion

    try:
        loaded, about = type(known).from_pretrained(
            folder, config=known.config, dtype=known.dtype, local_files_only=True,
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, RuntimeError, ValueError) as error:
        names = revert_weight_conversion(known, model.state_dict()).keys()
        lacks, more = sorted(names - stored.keys()), sorted(stored.keys() - names)
        raise StoreError(
            f"`{folder}` must hold the weights of this model as transformers stores them, got "
            f"missing: {', '.join(lacks[:_SHOWN]) or 'none'}; unknown: "
            f"{', '.join(more[:_SHOWN]) or 'none'} ({error}). Give the "
            "folder of the model that was saved."
        ) from error
    found = {n: v for n, v in loaded.state_dict().items() if n not in about["missing_keys"]}
    return found | {name: stored[name] for name in about["unexpected_keys"] if name in stored}
