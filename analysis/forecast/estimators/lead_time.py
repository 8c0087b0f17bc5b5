"""Onsets against events, and what regressions of leads would show without any relation."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LeadTimes:
    """Two regressions in logarithms, and the second one's null.

    Attributes:
        n: Pairs of an onset and an event.
        slope: Of onset on event, least squares: 0 for an onset that knows nothing of the event.
        r2: Of it.
        theil_sen: The slope by Theil and Sen.
        p_onset: Chance of an R2 as large when onsets are permuted among the events.
        lead_slope: Of lead = event - onset on event, which is a part-whole regression.
        lead_r2: Of it.
        null_slope: Median of `lead_slope` when onsets are permuted among the events.
        null_r2: Median of `lead_r2`, likewise.
        p_lead: Chance of a `lead_r2` as large, likewise.
    """

    n: int
    slope: float
    r2: float
    theil_sen: float
    p_onset: float
    lead_slope: float
    lead_r2: float
    null_slope: float
    null_r2: float
    p_lead: float


def theil_sen(x: Array, y: Array) -> float:
    """Median slope over all pairs of points of different x."""
    with np.errstate(invalid="ignore"):  # of its interval, which is not used
        return float(theilslopes(y, x)[0])


def slope_and_r2(x: Array, y: Array) -> tuple[Array, Array]:
    """Least squares of rows of y on x.

    Args:
        x: Not all alike, `[point]`.
        y: `[..., point]`.

    Returns:
        Slopes and squared correlations, `[...]`; 0 where y does not vary.
    """
    dx, dy = x - x.mean(), y - y.mean(axis=-1, keepdims=True)
    sxx, sxy, syy = dx @ dx, dy @ dx, (dy**2).sum(axis=-1)
    return np.asarray(sxy / sxx), np.where(
        syy > 0, sxy**2 / (sxx * np.where(syy > 0, syy, 1.0)), 0.0
    )


def lead_times(
    onset: Array, event: Array, floor: float, n_permutations: int, rng: np.random.Generator
) -> LeadTimes:
    """Onsets against events, with the permutation null of leads against events.

    An event is a part of its own lead, so leads rise with events even where onsets have nothing to
    do with them: R2 near 1 and slopes above 1 are what permuted onsets give. Only a regression of
    onsets can tell.

    Args:
        onset: Steps of the onsets, positive and before the events, `[pair]`.
        event: Steps of the events, not all alike, `[pair]`.
        floor: Least lead of a permuted onset, as a share of the event's step.
        n_permutations: Permutations drawn; the data count as one more.
        rng: For the draws.

    Raises:
        ValueError: If there are fewer than 3 pairs, or an onset does not precede its event.
    """
    if onset.size < 3 or np.ptp(event) == 0 or np.any(onset <= 0) or np.any(onset >= event):
        raise ValueError("Onsets must be positive and precede their events, of at least 3 pairs.")
    x = np.log(event)
    slope, r2 = slope_and_r2(x, np.log(onset))
    lead_slope, lead_r2 = slope_and_r2(x, np.log(event - onset))
    drawn = rng.permuted(np.tile(onset, (n_permutations, 1)), axis=1)
    leads = np.maximum(event - drawn, floor * event)
    slopes, r2s = slope_and_r2(x, np.log(leads))
    _, r2_onset = slope_and_r2(x, np.log(drawn))
    return LeadTimes(
        n=int(onset.size),
        slope=float(slope),
        r2=float(r2),
        theil_sen=theil_sen(x, np.log(onset)),
        p_onset=_exceeded(r2_onset, float(r2)),
        lead_slope=float(lead_slope),
        lead_r2=float(lead_r2),
        null_slope=float(np.median(slopes)),
        null_r2=float(np.median(r2s)),
        p_lead=_exceeded(r2s, float(lead_r2)),
    )


def _exceeded(draws: Array, value: float) -> float:
    return (int((draws >= value - 1e-12).sum()) + 1) / (draws.size + 1)
