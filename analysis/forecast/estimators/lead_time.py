"""Onsets against events, and what regressions of leads would show without any relation."""

from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.forecast.estimators.records import Array
from observatory.analysis.stats.estimate import Estimate, Parameter, about
from observatory.analysis.stats.solvers import student_quantile
from observatory.core.errors import FitRefusedError

_FEWEST = 5
"""Runs that a regression needs."""
_PERMUTED = 8_000_000
"""Onsets of all permutations that are worked on at once: 64 MB an array."""


LEADS = (
    *("n", "slope", "r2", "theil_sen", "p_onset"),
    *("lead_slope", "lead_r2", "null_slope", "null_r2", "p_lead"),
)
"""Pairs of an onset and an event. In logarithms: slope and R2 of onset on event by least squares, 0
for an onset that knows nothing of the event; the slope by Theil and Sen; the chance of an R2 as
large when onsets are permuted among the events. Then slope and R2 of lead = event - onset on event,
a part-whole regression; their medians when onsets are permuted; the chance of such an R2."""


def theil_sen(x: Array, y: Array) -> float:
    """Median slope over all pairs of points of different x.

    Points that are alike are taken once and counted: many replicas share their looks.
    """
    points, copies = np.unique(np.stack([x, y], axis=1), axis=0, return_counts=True)
    first, second = np.triu_indices(len(points), 1)
    rise = points[second] - points[first]
    apart = rise[:, 0] > 0
    slopes = rise[apart, 1] / rise[apart, 0]
    weights = (copies[first] * copies[second])[apart]
    order = np.argsort(slopes)
    upto, total = np.cumsum(weights[order]), int(weights.sum())
    middle = np.searchsorted(upto, [(total - 1) // 2, total // 2], side="right")
    return float(slopes[order[middle]].mean())


def _slope_and_r2(x: Array, y: Array) -> tuple[Array, Array]:
    """Slopes and squared correlations of rows of y, `[..., point]`; 0 where y does not vary."""
    dx, dy = x - x.mean(), y - y.mean(axis=-1, keepdims=True)
    sxx, sxy, syy = dx @ dx, dy @ dx, (dy**2).sum(axis=-1)
    return np.asarray(sxy / sxx), np.where(
        syy > 0, sxy**2 / (sxx * np.where(syy > 0, syy, 1.0)), 0.0
    )


def regress_leads(
    onset: Array, event: Array, floor: float, n_permutations: int, rng: np.random.Generator
) -> dict[str, float]:
    """Onsets against events, with the permutation null of leads against events.

    An event is a part of its own lead, so leads rise with events even where onsets have nothing to
    do with them: R2 near 1 and slopes above 1 are what permuted onsets give. Only a regression of
    onsets can tell.

    Onsets are positive and precede their events, steps `[pair]`. No permuted onset leads by less
    than `floor` of its event's step; the data count as one more permutation.
    """
    x = np.log(event)
    slope, r2 = _slope_and_r2(x, np.log(onset))
    lead_slope, lead_r2 = _slope_and_r2(x, np.log(event - onset))
    rows = max(1, min(n_permutations, _PERMUTED // onset.size))
    parts = [
        _permuted(onset, event, floor, min(rows, n_permutations - at), rng)
        for at in range(0, n_permutations, rows)
    ]
    slopes, r2s, r2_onset = map(np.concatenate, zip(*parts, strict=True))
    honest = float(slope), float(r2), theil_sen(x, np.log(onset)), _exceeded(r2_onset, float(r2))
    null = float(np.median(slopes)), float(np.median(r2s)), _exceeded(r2s, float(lead_r2))
    numbers = onset.size, *honest, float(lead_slope), float(lead_r2), *null
    return dict(zip(LEADS, numbers, strict=True))


def _permuted(
    onset: Array, event: Array, floor: float, n: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Slopes and R2 of leads, and R2 of onsets, where onsets are permuted, `[permutation]`."""
    x = np.log(event)
    drawn = rng.permuted(np.tile(onset, (n, 1)), axis=1)
    leads = np.maximum(event - drawn, floor * event)
    return *_slope_and_r2(x, np.log(leads)), _slope_and_r2(x, np.log(drawn))[1]


def _exceeded(draws: Array, value: float) -> float:
    return (int((draws >= value - 1e-12).sum()) + 1) / (draws.size + 1)


@final
@dataclass(frozen=True)
class LeadTimes:
    """Published onsets regressed on their events in logarithms, by least squares."""

    lead_floor: float  # least lead of a permuted onset, as a share of the event's step
    n_permutations: int  # of onsets
    level: float  # coverage of the interval of the slope

    fit_name = "lead_times"
    estimator = "least_squares_of_logarithms"

    def estimate(self, onset: Array, event: Array, name: str, seed: int) -> Estimate:
        """Both regressions of onsets on their events, `[row]` steps, and the null of the second.

        Raises:
            FitRefusedError: If there are too few rows, or events do not differ.
        """
        if onset.size < _FEWEST or np.ptp(event) == 0:
            raise FitRefusedError(
                f"{onset.size} rows hold an onset before its event, at least {_FEWEST} of "
                "different events are needed. Add runs."
            )
        rng = np.random.default_rng(seed)
        found = regress_leads(onset, event, self.lead_floor, self.n_permutations, rng)
        x, y = np.log(event), np.log(onset)
        rest = y - y.mean() - found["slope"] * (x - x.mean())
        se = float(np.sqrt(rest @ rest / (x.size - 2) / ((x - x.mean()) ** 2).sum()))
        reach = student_quantile(0.5 + self.level / 2.0, x.size - 2) * se
        slope = Parameter(found["slope"], se, found["slope"] - reach, found["slope"] + reach)
        warning = (
            "A lead is its event less its onset: regressed on the event it rises by construction. "
            f"Onsets permuted among the events give a slope of {found['null_slope']:.2f} and an R2 "
            f"of {found['null_r2']:.2f} (medians), these data {found['lead_slope']:.2f} and "
            f"{found['lead_r2']:.2f}. Read the regression of onsets."
        )
        return Estimate(
            **about(self, seed),
            event=name,
            params={"onset_slope": slope},
            n=onset.size,
            warnings=[warning],
            extras=found,
        )
