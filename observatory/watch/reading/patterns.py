"""Attention patterns from the torch calls that make them, in float32, whatever kernel ran.

Letters: B batch, H query heads, T queries, S keys, d head dimension.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_FLEX_KEYS = 1024  # keys whose values are replaced by the identity at a time


@dataclass(frozen=True)
class Pattern:
    """What one attention did.

    Attributes:
        values: Probabilities, masked zeros included; one row per query head, key heads repeated.
            A sink outside the keys takes what a row lacks to 1.
        max_logit: Largest score of each row, after scale and mask and before the softmax; None
            where the scores are out of sight.
        key_heads: Number of different key heads, None where the keys are out of sight.
    """

    values: Float[Tensor, "batch head pos _"]
    max_logit: Float[Tensor, "batch head pos"] | None
    key_heads: int | None = None


def softmax_scores(
    queries: Float[Tensor, "... pos d_head"],
    keys: Float[Tensor, "... _ d_head"],
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Pattern:
    r"""The pattern $\mathrm{softmax}(s\, Q K^T + M)$ of dot-product attention, in float32.

    Args:
        queries: `[batch, head, T, d]` or `[batch, T, d]` of one head.
        keys: As many axes; fewer heads are repeated, each for the same number of query heads.
        mask: True where a key may be seen, or what is added to the scores.
        causal: Query t sees keys up to t, counted from the first key.
        scale: 1 / sqrt(d) where None.

    Returns:
        The pattern, zero in rows that see no key.

    Example:
        >>> x = torch.eye(2)[None]
        >>> softmax_scores(x, x, causal=True, scale=0.0).values
        tensor([[[[1.0000, 0.0000],
                  [0.5000, 0.5000]]]])
    """
    queries, keys = _with_heads(queries.float()), _with_heads(keys.float())
    n_heads, key_heads = queries.shape[1], keys.shape[1]
    if key_heads != n_heads:
        keys = keys.repeat_interleave(n_heads // key_heads, dim=1)
    shrunk = queries * (1 / math.sqrt(queries.shape[-1]) if scale is None else scale)
    scores = shrunk @ keys.mT
    if causal:
        hidden = torch.full(scores.shape[-2:], -torch.inf, device=scores.device).triu_(1)
        scores.add_(hidden)  # a fifth of filling a mask
    if mask is not None:
        mask = mask.reshape(-1, *mask.shape[-3:]) if mask.ndim > 4 else mask
        if mask.dtype == torch.bool:
            scores = scores.masked_fill_(~mask, -torch.inf)
        else:
            scores = scores + mask
    pattern = scores.softmax(dim=-1)
    if mask is not None:  # a row may see no key
        pattern = pattern.nan_to_num_(0.0)
    return Pattern(pattern, scores.amax(dim=-1), key_heads)


def different_heads(keys: Float[Tensor, "batch head pos d_head"]) -> int:
    """How many heads of keys differ, where equal ones lie side by side (repeated for a group)."""
    for some in (keys[:, :, :1], keys):  # one position tells most heads apart
        same = (some[:, 1:] == some[:, :-1]).transpose(0, 1).flatten(start_dim=1).all(dim=1)
        if not (n_same := int(same.sum())):
            break
    return keys.shape[1] - n_same


def of_dot_product(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pattern:
    """The pattern of `torch.nn.functional.scaled_dot_product_attention` with these arguments."""
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    queries, keys, mask = given["query"], given["key"], given.get("attn_mask")
    if mask is not None and mask.ndim == queries.ndim == 3:
        mask = mask[:, None]
    if torch.is_autocast_enabled(queries.device.type):
        kind = torch.get_autocast_dtype(queries.device.type)
        queries, keys = queries.to(kind), keys.to(kind)
    with torch.autocast(queries.device.type, enabled=False):
        found = softmax_scores(
            queries,
            keys,
            mask=mask,
            causal=given.get("is_causal", False),
            scale=given.get("scale"),
        )
    return Pattern(found.values, found.max_logit, different_heads(_with_heads(keys)))


class _Scores(TorchDispatchMode):
    """Keeps what the last softmax of a call was given."""

    scores: Tensor | None = None

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten._softmax.default:
            self.scores = args[0]
        return func(*args, **(kwargs or {}))


def of_multi_head(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Pattern:
    """The pattern of `multi_head_attention_forward`, called once more for its weights."""
    asked = {
        "need_weights": True,
        "average_attn_weights": False,
        "training": False,
    }
    call = dict(kwargs) | asked
    positional = list(args)
    for name, place in (("training", 13), ("need_weights", 15)):
        if len(positional) > place:
            positional[place] = call.pop(name)
    with _Scores() as inside:
        _, weights = function(*positional, **call)
    values = weights if weights.ndim == 4 else weights[None]
    largest = None
    if inside.scores is not None:
        largest = inside.scores.float().amax(dim=-1).reshape(values.shape[:-1])
    return Pattern(values.float().nan_to_num(0.0), largest)


def of_flex(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pattern:
    """The pattern of `flex_attention`: with the identity as values its output is the pattern."""
    queries, keys, values = args[:3]
    n_keys, blocks, largest = keys.shape[-2], [], None
    identity = torch.eye(n_keys, dtype=values.dtype, device=values.device)
    for start in range(0, n_keys, _FLEX_KEYS):
        piece = identity[:, start : start + _FLEX_KEYS].expand(*keys.shape[:2], n_keys, -1)
        output, log_sum, *_ = function(queries, keys, piece, *args[3:], **kwargs)
        blocks.append(output.float())
        largest = log_sum
    pattern = torch.cat(blocks, dim=-1)
    with torch.no_grad():
        top = pattern.amax(dim=-1)
        # the kernel gives the logarithm of the row sum in base 2
        logit = top.log() + largest.float() * math.log(2) if largest is not None else None
    return Pattern(pattern, logit, keys.shape[1])


def _with_heads(x: Tensor) -> Tensor:
    if x.ndim == 3:
        return x[:, None]
    return x if x.ndim == 4 else x.reshape(-1, *x.shape[-3:])
