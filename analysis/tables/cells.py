"""Counts, rates and times per weight decay, and the observations that fits take of outcomes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.wilson import wilson_interval
from observatory.analysis.tables.outcomes import censored, numbers
from observatory.analysis.tables.values import plain

CELLS = "cells"
"""How records call the counts per weight decay."""
QUARTILES = {"t_q25": 0.25, "t_median": 0.5, "t_q75": 0.75}
OUTCOMES = ("diverged", "collapsed", "lost", "grokked", "memorised", "none")


def cell_table(outcomes: pd.DataFrame, event: str, horizon: int, level: float) -> pd.DataFrame:
    """Counts, rates and times per weight decay.

    Args:
        outcomes: Replicas joined with their outcomes.
        event: Name of an event preset.
        horizon: Steps after which records are cut; at or beyond the one run, nothing is.
        level: Coverage of the Wilson intervals.

    Returns:
        One row per weight decay: `n` replicas with a record, `n_event` of them that grokked,
        `rate`, `wilson_low`, `wilson_high`; how many have each label of the whole record
        (`diverged` to `none`), and `unfinished`; `t_q25`, `t_median`, `t_q75`, the steps by which
        that share of the n replicas had grokked (NaN where it never did), and `t_median_grokked`,
        the median over those that did; `tail_watched`, the median number of steps watched after the
        event in the whole record. Without a record the rates are NaN.

    Raises:
        ConfigError: If the outcomes hold no such event.
        FitRefusedError: As `censored`.
    """
    data = censored(outcomes, event, horizon)
    everyone = numbers(outcomes, "weight_decay")
    tails = numbers(outcomes, "step") - numbers(outcomes, f"{event}_hi")
    table: list[dict[str, float | int]] = []
    for weight_decay in np.unique(everyone):
        at = data.weight_decay == weight_decay
        n, n_event = int(at.sum()), int(data.grokked[at].sum())
        reached = data.t_hi[at][data.grokked[at]]
        low, high = wilson_interval([n_event], [n], level) if n else ([np.nan], [np.nan])
        row: dict[str, float | int] = {
            "weight_decay": float(weight_decay),
            "n": n,
            "n_event": n_event,
            "rate": n_event / n if n else np.nan,
            "wilson_low": float(low[0]),
            "wilson_high": float(high[0]),
        }
        row |= {outcome: int((data.outcome[at] == outcome).sum()) for outcome in OUTCOMES}
        row["unfinished"] = int((everyone == weight_decay).sum() - (data.outcome[at] != "").sum())
        row |= {name: waiting_time(reached, n, share) for name, share in QUARTILES.items()}
        row["t_median_grokked"] = float(np.median(reached)) if n_event else np.nan
        tail = tails[(everyone == weight_decay) & ~np.isnan(tails)]
        row["tail_watched"] = float(np.median(tail)) if tail.size else np.nan
        table.append(row)
    return pd.DataFrame(table)


def waiting_time(reached: NDArray[np.float64], n: int, share: float) -> float:
    """The time by which a share of n replicas had grokked, NaN where it never did.

    With all others censored at one horizon, or competing, it is the quantile of the cumulative
    incidence. A replica that grokked at an unknown time makes it NaN.

    Example:
        >>> waiting_time(np.array([100.0, 300.0]), 4, 0.5)
        300.0
    """
    needed = max(int(np.ceil(share * n - 1e-9)), 1)
    return float(np.sort(reached)[needed - 1]) if reached.size >= needed else np.nan


def observations(
    outcomes: pd.DataFrame, event: str, horizon: int, steps_per_epoch: int | None
) -> Observations:
    """The table that fits take, from outcomes; raises as `censored` does."""
    data = censored(outcomes, event, horizon)
    return Observations(
        data.weight_decay,
        data.grokked,
        data.t_hi,
        event,
        horizon,
        steps_per_epoch,
        time_lo=data.t_lo,
        watched=data.watched,
        seed=data.seed,
        competing=data.failed,
        failed_at=data.failed_at,
    )


def cells_record(
    outcomes: pd.DataFrame,
    event: str,
    horizon_steps: int,
    steps_per_epoch: int | None,
    level: float,
) -> dict[str, Any]:
    """The cell table as a record of `fits.json`; raises as `cell_table` does."""
    table = cell_table(outcomes, event, horizon_steps, level)
    rows = {
        repr(row["weight_decay"]): {str(name): plain(value) for name, value in row.items()}
        for row in table.to_dict("records")
    }
    return Estimate(
        fit=CELLS,
        estimator="counts",
        event=event,
        horizon_steps=horizon_steps,
        horizon_epochs=horizon_steps / steps_per_epoch if steps_per_epoch else None,
        params={},
        level=level,
        n=int(numbers(table, "n").sum()),
        seed=0,
        extras={"interval": "Wilson"},
        table=rows,
    ).to_json()


def cells_of(record: Mapping[str, Any]) -> pd.DataFrame:
    """The cell table of a record, as `cell_table` made it."""
    frame = pd.DataFrame(list(record["table"].values()))
    return pd.DataFrame({name: pd.to_numeric(frame[name]) for name in frame.columns})
