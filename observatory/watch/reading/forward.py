"""Running a model on a batch as its owner would, whatever wraps it."""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from observatory.core.errors import ConfigError

Batch = Tensor | Mapping[str, Any] | tuple[Any, ...] | list[Any]
Forward = Callable[[nn.Module, Any], Any]
_WRAPPERS = ("_orig_mod", "module", "_forward_module")
_VALID = ("attention_mask", "decoder_attention_mask")
_PADDED = ("src_key_padding_mask", "key_padding_mask")


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside `torch.compile`, DDP, DataParallel, Fabric and the like.

    Example:
        >>> unwrapped(nn.DataParallel(nn.Linear(2, 3)))
        Linear(in_features=2, out_features=3, bias=True)
    """
    while True:
        inner = [
            model._modules[name]
            for name in _WRAPPERS
            if name in model._modules and len(model._modules) == 1
        ]
        found = next((each for each in inner if isinstance(each, nn.Module)), None)
        if found is None:
            return model
        model = found


def call_model(model: nn.Module, batch: Batch) -> Any:
    """`model(**batch)`, `model(*batch)` or `model(batch)`; caches of keys are switched off."""
    extra = {}
    if isinstance(batch, Mapping) and "use_cache" not in batch and _takes_cache(model):
        extra = {"use_cache": False}
    if isinstance(batch, Mapping):
        return model(**batch, **extra)
    return model(*batch) if isinstance(batch, tuple | list) else model(batch)


def _takes_cache(model: nn.Module) -> bool:
    own = "forward" in vars(model)
    named = _names_cache(model.forward) if own else _class_names_cache(type(model))
    return named or hasattr(getattr(model, "config", None), "use_cache")


def _names_cache(forward: Callable[..., Any]) -> bool:
    return "use_cache" in inspect.signature(forward).parameters


@lru_cache(maxsize=64)
def _class_names_cache(kind: type[nn.Module]) -> bool:
    return _names_cache(kind.forward)


def tensors_of(batch: Batch) -> list[Tensor]:
    """The tensors of a batch, in order."""
    values = batch.values() if isinstance(batch, Mapping) else batch
    return [batch] if isinstance(batch, Tensor) else [x for x in values if isinstance(x, Tensor)]


def n_sequences(batch: Batch) -> int:
    """Number of sequences: the first axis of the first tensor.

    Raises:
        ConfigError: If there is no tensor with an axis in it.
    """
    shaped = [each for each in tensors_of(batch) if each.ndim]
    if not shaped or not len(shaped[0]):
        raise ConfigError(
            f"`batch` must hold a tensor with one example or more, got {type(batch).__name__}. "
            "Give what your model is called with: a tensor, a tuple, or a dict of keywords."
        )
    return len(shaped[0])


def valid_rows(batch: Batch) -> dict[str, Tensor]:
    """Which positions are no padding, `[batch, pos]`, by the masks that a batch names.

    Returns:
        Under "" that of the inputs and under "decoder" that of a decoder's, where there are any.

    Example:
        >>> valid_rows({"attention_mask": torch.tensor([[1, 1, 0]])})[""].tolist()
        [[True, True, False]]
    """
    if not isinstance(batch, Mapping):
        return {}
    masks = {
        "decoder" * name.startswith("decoder"): batch.get(name) != 0
        for name in _VALID
        if _is_mask(batch.get(name))
    }
    for name in _PADDED:
        if _is_mask(batch.get(name)):
            masks[""] = batch[name] == 0 if batch[name].dtype == torch.bool else batch[name] > -1
    return masks


def _is_mask(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 2


def logits_of(output: Any) -> Tensor | None:
    """The logits of what a model returned, where it names them: `.logits` or "logits"."""
    found = getattr(output, "logits", None)
    if found is None and isinstance(output, Mapping):
        found = output.get("logits")
    return found if isinstance(found, Tensor) else None
