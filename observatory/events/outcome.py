"""The one label of a replica, by precedence."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from observatory.core.errors import ConfigError
from observatory.events.interval import Interval
from observatory.events.threshold import run_starts

Outcome = Literal["diverged", "collapsed", "lost", "grokked", "memorised", "none"]
"""In order of precedence: the first that applies is the label."""
OUTCOMES: tuple[Outcome, ...] = (
    *("grokked", "memorised", "collapsed", "diverged", "lost", "none"),
)
"""In the order in which counts are shown."""


@dataclass(frozen=True)
class LostRule:
    """When a replica that had grokked has lost it: below `level` at `looks` looks in a row."""

    level: float
    looks: int

    def __post_init__(self) -> None:
        if self.looks < 1:
            raise ConfigError(f"`looks` must be at least 1, got {self.looks}.")


@dataclass(frozen=True)
class Label:
    """A replica's outcome; `instant` says that it grokked without a delay after memorising."""

    outcome: Outcome
    instant: bool


def lost(steps: ArrayLike, val_acc: ArrayLike, first99: Interval, rule: LostRule) -> bool:
    """Whether val accuracy fell below the rule's level, for its looks in a row, after the touch.

    Speaks of the looks given: of a watched tail, not of what came later.
    """
    if first99.t_hi is None:
        return False
    tail = np.asarray(steps) > first99.t_hi
    low = np.asarray(val_acc, dtype=np.float64) < rule.level
    return bool(run_starts(tail & low, rule.looks).any())


def instant(steps: ArrayLike, first99: Interval, mem: Interval) -> bool:
    """Whether the first touch came no later than one look after memorising."""
    if first99.t_hi is None or mem.t_hi is None:
        return False
    looks = np.searchsorted(np.asarray(steps), [mem.t_hi, first99.t_hi])
    return bool(looks[1] - looks[0] <= 1)


def label(
    steps: ArrayLike,
    val_acc: ArrayLike,
    *,
    first99: Interval,
    mem: Interval,
    diverged_step: int | None,
    collapsed_step: int | None,
    lost_rule: LostRule,
) -> Label:
    """The outcome of one replica: diverged > collapsed > lost > grokked > memorised > none.

    Args:
        steps: Steps of the looks, increasing, `[look]`.
        val_acc: Validation accuracy, 0-1, `[look]`.
        first99: First touch of the grokking level.
        mem: First touch of the memorising level.
        diverged_step: Step of the first non-finite loss or parameter.
        collapsed_step: Step at which collapse was confirmed.
        lost_rule: When grokking counts as lost again.

    Returns:
        The label; `instant` may be true for `grokked` only.

    Example:
        >>> touch = Interval(0.0, 25.0, observed=True, watched=50)
        >>> label([0, 25, 50], [0.0, 1.0, 1.0], first99=touch, mem=touch, diverged_step=None,
        ...       collapsed_step=None, lost_rule=LostRule(0.9, 3))
        Label(outcome='grokked', instant=True)
    """
    if diverged_step is not None:
        return Label("diverged", instant=False)
    if collapsed_step is not None:
        return Label("collapsed", instant=False)
    if first99.observed:
        if lost(steps, val_acc, first99, lost_rule):
            return Label("lost", instant=False)
        return Label("grokked", instant=instant(steps, first99, mem))
    return Label("memorised" if mem.observed else "none", instant=False)
