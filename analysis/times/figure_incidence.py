"""Cumulative incidence of grokking from the replicas' records, where no fit has given it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.page.frames import column, words


def cumulative_incidence(
    times: NDArray[np.float64], grokked: NDArray[np.bool_], competing: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Aalen-Johansen estimate of the share that has grokked by each time.

    Collapse and divergence compete with grokking: such a replica can no longer grok, which is not
    the same as being watched for too short a time. Without them it is one minus Kaplan-Meier.

    Args:
        times: Step of the event or of the last look, `[replica]`.
        grokked: Whether it grokked at that step, `[replica]`.
        competing: Whether it collapsed or diverged at that step, `[replica]`.

    Returns:
        The times at which the share rises, preceded by 0, and the share from then on.
    """
    steps, shares, free = [0.0], [0.0], 1.0
    for time in np.unique(times[grokked | competing]):
        at_risk, now = int((times >= time).sum()), times == time
        gain = free * int((now & grokked).sum()) / at_risk
        free *= 1.0 - int((now & (grokked | competing)).sum()) / at_risk
        if gain > 0:
            steps.append(float(time))
            shares.append(shares[-1] + gain)
    return np.array(steps), np.array(shares)


def incidence_table(times: pd.DataFrame) -> pd.DataFrame:
    """The cumulative incidence of every weight decay, without a band.

    `times` is as of `times_figure`. Columns weight_decay, step, share, and low and high, NaN.
    """
    end, decays = words(times, "end"), column(times, "weight_decay")
    seen, failed = end == "grokked", np.isin(end, ["collapsed", "diverged"])
    clock = np.where(seen, column(times, "t_hi"), column(times, "watched"))
    pieces: list[pd.DataFrame] = []
    for decay in np.unique(decays):
        at = decays == decay
        steps, shares = cumulative_incidence(clock[at], seen[at], failed[at])
        pieces.append(pd.DataFrame({"weight_decay": decay, "step": steps, "share": shares}))
    columns = ["weight_decay", "step", "share"]
    table = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=columns)
    return table.assign(low=np.nan, high=np.nan)
