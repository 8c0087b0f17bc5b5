"""The loss of every sequence of a batch, and how much it changes, with its standard error."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from observatory.core.errors import ConfigError
from observatory.watch.reading.forward import Batch

IGNORED = -100
"""The label of a position that has none."""


@dataclass(frozen=True)
class SequenceLosses:
    """Cross-entropy by sequence.

    Attributes:
        each: Mean over the labels of a sequence, in nats, float64; 0 where it has none.
        counts: Number of labels of each.
    """

    each: Tensor
    counts: Tensor

    @property
    def mean(self) -> float:
        """Mean over all labels, in nats."""
        return float((self.each * self.counts).sum() / self.counts.sum())


@dataclass(frozen=True)
class Change:
    """A difference of two losses on the same labels.

    Attributes:
        mean: In nats, over all labels.
        se: Its standard error over sequences, paired; None of fewer than two sequences.
    """

    mean: float
    se: float | None


def labels_of(
    labels: Tensor | Literal["next_token"], batch: Batch, logits: Tensor | None
) -> Tensor:
    """Labels in the shape of the logits.

    Args:
        labels: As given, or "next_token".
        batch: What the model was called with; its first tensor holds the tokens.
        logits: What it returned.

    Raises:
        ConfigError: If they do not fit, or no position has one.
    """
    if logits is None:
        raise ConfigError(
            "`model` must return logits: a tensor, `.logits` or a dict with them. Give `forward`."
        )
    if isinstance(labels, str):
        labels = _following(batch)
    if labels.shape != logits.shape[:-1]:
        raise ConfigError(
            f"`labels` must have the shape of the logits without their last axis, "
            f"{list(logits.shape[:-1])}, got {list(labels.shape)}. Give the label of every "
            f"position, {IGNORED} where there is none."
        )
    if not bool((labels != IGNORED).any()):
        raise ConfigError(f"`labels` must hold one that is not {IGNORED}, got none.")
    return labels


def _following(batch: Batch) -> Tensor:
    """The token after each, and none after the last or for padding."""
    tokens = batch.get("input_ids") if isinstance(batch, Mapping) else batch
    tokens = tokens[0] if isinstance(tokens, tuple | list) else tokens
    if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.is_floating_point():
        raise ConfigError(
            "`labels` can be 'next_token' where the batch is tokens `[batch, pos]` or has them as "
            "`input_ids`. Give the labels themselves."
        )
    following = torch.full_like(tokens, IGNORED)
    following[:, :-1] = tokens[:, 1:]
    mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
    if isinstance(mask, Tensor) and mask.shape == tokens.shape:
        valid = mask != 0
        following[:, :-1][~(valid[:, 1:] & valid[:, :-1])] = IGNORED
    return following


def losses(logits: Tensor | None, labels: Tensor) -> SequenceLosses:
    """Cross-entropy of every sequence, in float64."""
    assert logits is not None
    means, counts = [], []
    for row, wanted in zip(logits, labels, strict=True):
        scores, target = row.reshape(-1, row.shape[-1]).double(), wanted.reshape(-1)
        each = functional.cross_entropy(
            scores, target.to(scores.device), reduction="none", ignore_index=IGNORED
        )
        n = int((target != IGNORED).sum())
        means.append(float(each.sum()) / max(n, 1))
        counts.append(n)
    return SequenceLosses(
        torch.tensor(means, dtype=torch.float64), torch.tensor(counts, dtype=torch.float64)
    )


def change(before: SequenceLosses, after: SequenceLosses) -> Change:
    r"""How much the mean loss grew, with $\sqrt{n/(n-1) \sum w_i^2 (d_i - \bar d)^2}$.

    w is the share of the labels that a sequence has, d its own change, n the number of sequences
    that have labels.
    """
    weights = before.counts / before.counts.sum()
    differences = after.each - before.each
    mean = float((weights * differences).sum())
    n = int((before.counts > 0).sum())
    if n < 2:
        return Change(mean, None)
    variance = float((weights.square() * (differences - mean).square()).sum()) * n / (n - 1)
    return Change(mean, math.sqrt(variance))
