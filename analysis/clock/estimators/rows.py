"""Replicas at several learning rates: what the clock's fits take, and who does not enter."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.observations import Array, Observations
from observatory.core.errors import FitRefusedError


@dataclass(frozen=True)
class ClockRows:
    """Observations with the learning rate of each row."""

    data: Observations  # `weight_decay` is the control
    lr: Array  # learning rate, `[row]`

    def take(self, keep: NDArray[np.bool_]) -> "ClockRows":
        """The rows to keep, in their order."""
        return ClockRows(self.data.take(keep), self.lr[keep])

    @property
    def lrs(self) -> Array:
        """The learning rates, rising."""
        return np.unique(self.lr)

    @property
    def cells(self) -> tuple[Array, NDArray[np.int64]]:
        """Learning rate and weight decay of each cell, `[cell, 2]`; the cell of each row."""
        pairs = np.stack([self.lr, self.data.weight_decay], axis=1)
        cells, index = np.unique(pairs, axis=0, return_inverse=True)
        return cells, index.reshape(-1).astype(np.int64)

    @property
    def units(self) -> NDArray[np.int64]:
        """The unit of resampling of each row, from 0: its seed, else its place in its cell."""
        if self.data.seed is not None:
            return np.unique(self.data.seed, return_inverse=True)[1].reshape(-1).astype(np.int64)
        index = self.cells[1]
        order = np.argsort(index, kind="stable")
        first = np.flatnonzero(np.diff(index[order], prepend=-1))
        place = np.empty(index.size, dtype=np.int64)
        place[order] = np.arange(index.size) - np.repeat(
            first, np.diff(np.append(first, index.size))
        )
        return place


def joined(parts: Mapping[float, Observations]) -> ClockRows:
    """The observations of several learning rates as one table, cut at the shortest horizon."""
    steps = [part.horizon_steps for part in parts.values()]
    known = [s for s in steps if s is not None]
    cut = min(known) if len(known) == len(steps) else None
    same = {
        lr: part.at_horizon(cut) if cut is not None and part.horizon_steps != cut else part
        for lr, part in parts.items()
    }
    first = next(iter(same.values()))
    seeds = [part.seed for part in same.values()]
    seeded = [seed for seed in seeds if seed is not None]

    def column(values: list[Array]) -> Array:
        return np.concatenate(values)

    each = list(same.values())
    none = [np.full(part.time.size, np.nan) for part in each]

    def filled(found: list[Array | None]) -> Array:
        return column([n if f is None else f for f, n in zip(found, none, strict=True)])

    lows = [part.time if part.time_lo is None else part.time_lo for part in each]
    data = replace(
        first,
        weight_decay=column([part.weight_decay for part in each]),
        grokked=np.concatenate([part.grokked for part in each]),
        time=column([part.time for part in each]),
        time_lo=column(lows),
        watched=filled([part.watched for part in each]),
        seed=np.concatenate(seeded) if len(seeded) == len(seeds) else None,
        weight=column([part.weights for part in each]),
        competing=np.concatenate([part.failed for part in each]),
        failed_at=filled([part.failed_at for part in each]),
        horizon_steps=cut,
    )
    sizes = [part.time.size for part in each]
    return ClockRows(data, np.repeat(np.array(list(same), dtype=np.float64), sizes))


@dataclass(frozen=True)
class Entering:
    """The rows that enter, and what was left out with its reason."""

    rows: ClockRows
    left_out: list[str]


def entering(rows: ClockRows, window_max: float | None, max_lost: float) -> Entering:
    """The rows of a stable range.

    A cell is lost where more than `max_lost` of its replicas collapsed or diverged. A learning rate
    of which more than a quarter of the cells are lost is left out; of the others, the lost cells.
    """
    highest = np.inf if window_max is None else window_max
    decay = rows.data.weight_decay
    said: list[str] = []
    for beyond, words in ((decay == 0, "0, which no log axis shows,"), (decay > highest, "above")):
        if beyond.any():
            words = f"{words} {highest:g}" if words == "above" else words
            n = rows.data.count(beyond)
            said.append(f"Replicas with {rows.data.control} {words} are left out ({n}).")
    rows = rows.take((decay > 0) & (decay <= highest))
    if not rows.lr.size:
        return Entering(rows, said)
    cells, index = rows.cells
    weights = rows.data.weights
    n = np.bincount(index, weights=weights, minlength=len(cells))
    gone = np.bincount(index, weights=weights * rows.data.failed, minlength=len(cells))
    lost = gone > max_lost * n
    keep = ~lost[index]
    for lr in rows.lrs:
        own, here = cells[:, 0] == lr, rows.lr == lr
        if not lost[own].any():
            continue
        n_gone, n_all = round(gone[own].sum()), rows.data.count(here)
        if lost[own].mean() > 0.25:
            keep &= ~here
            said.append(
                f"The learning rate {lr:g} is left out ({n_all}): {n_gone} of its replicas "
                "collapsed or diverged, beyond the stable range times follow no law."
            )
        else:
            decays = ", ".join(f"{d:g}" for d in cells[own & lost, 1])
            n_out = rows.data.count(here & lost[index])
            said.append(
                f"At learning rate {lr:g} the {rows.data.control}s {decays} are left out "
                f"({n_out}): more than {max_lost:.0%} of their replicas collapsed or diverged."
            )
    return Entering(rows.take(keep), said)


def require_lrs(entered: Entering) -> None:
    """Refuse rows that cannot tell a threshold from a clock.

    Raises:
        FitRefusedError: If there is one learning rate only, no replica had the event, events have
            no time, or no two learning rates share a range of weight decay.
    """
    rows, said = entered.rows, entered.left_out
    more = " ".join(["", *said])
    if rows.lrs.size < 2:
        raise FitRefusedError(
            f"A clock needs at least 2 learning rates, got {rows.lrs.size}: at one alone a "
            f"threshold and a clock look alike. Add runs at another learning rate.{more}"
        )
    untimed = rows.data.grokked & ~(rows.data.time > 0)
    if untimed.any():
        raise FitRefusedError(
            f"{rows.data.count(untimed)} replicas had the event `{rows.data.event}` at an unknown "
            f"time. Use an event that is located by a threshold, such as first99.{more}"
        )
    if not rows.data.grokked.any():
        raise FitRefusedError(
            f"No replica had the event {rows.data.event}: all are censored, and there is no time "
            f"to fit. Watch them longer, or add larger {rows.data.control}s.{more}"
        )
    ranges = [np.log(rows.data.weight_decay[rows.lr == lr]) for lr in rows.lrs]
    shared = [
        min(a.max(), b.max()) > max(a.min(), b.min())
        for i, a in enumerate(ranges)
        for b in ranges[i + 1 :]
    ]
    if not any(shared):
        raise FitRefusedError(
            f"No two learning rates share a range of {rows.data.control}: what the one does and "
            "what the other does cannot be distinguished. Add cells at which the ranges "
            f"overlap.{more}"
        )
