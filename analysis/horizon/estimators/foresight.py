"""What a longer horizon would decide: likelihood ratios of records that a law leads one to expect.

A design's expected records are its replicas spread over quantiles of the law. The likelihood ratio
that they give is the mean of what real ones would (Wald's non-centrality); at level a and power b
it must reach (z_a + z_b)^2.
"""

from dataclasses import dataclass

import numpy as np

from observatory.analysis.stats.solvers import Array, normal_quantile
from observatory.analysis.times.estimators.aft import INTERVAL, LEFT, RIGHT, Records
from observatory.analysis.times.estimators.aft_errors import Errors
from observatory.analysis.times.estimators.aft_law import Laws, Times

_N_QUANTILES = 40
LONGER = tuple(float(x) for x in 2.0 ** np.arange(0.5, 6.5, 0.5))
"""Multiples of the longest horizon that are looked at, up to 64."""


@dataclass(frozen=True)
class Design:
    """Replicas that could be run."""

    control: Array  # weight decays, `[cell]`
    n: Array  # replicas at each, `[cell]`

    def down_to(self, lowest: float) -> "Design":
        """With smaller weight decays at the same spacing until one is below `lowest`."""
        ratio = float(np.exp(np.median(np.diff(np.log(self.control)))))
        more: list[float] = []
        while min([self.control[0], *more]) > lowest:
            more.append(float(min([self.control[0], *more]) / ratio))
        n = np.concatenate([[float(np.median(self.n))] * len(more), self.n])
        return Design(np.concatenate([more[::-1], self.control]), n)


def expected_records(
    errors: Errors, law: Laws, design: Design, horizon: float
) -> tuple[Records, Array]:
    """The records that a law leads one to expect, with their weights, `[1, record]`."""
    share = np.linspace(0.0, 1.0, _N_QUANTILES + 1)[1:-1]
    z = np.append(errors.quantile(1.0 - share), np.inf) - errors.median
    gap = design.control - law.critical[0]
    above = gap > 0
    centre = law.log_amplitude[0] - law.nu[0] * np.log(np.where(above, gap, 1.0))
    upper = centre[:, None] + law.sigma[0] * z
    upper[~above] = np.inf
    end = np.log(horizon)
    cut = np.minimum(upper, end)
    lower = np.column_stack([np.full(cut.shape[0], -np.inf), cut[:, :-1]])
    with np.errstate(all="ignore"):  # far in the tails, where only the value is used
        cdf = np.exp(errors.cumulative((cut - centre[:, None]) / law.sigma[0] + errors.median)[0])
    cdf[~above] = 0.0
    mass = np.diff(cdf, axis=1, prepend=0.0)
    first, width = mass[:, 0], np.where(cut > lower, cut - lower, 1.0)[:, 1:]
    inside = mass[:, 1:] > 0
    kind = np.repeat([INTERVAL, LEFT, RIGHT], [int(inside.sum()), above.size, above.size])
    cells = np.repeat(design.control[:, None], _N_QUANTILES - 1, axis=1)
    counts = np.repeat(design.n[:, None], _N_QUANTILES - 1, axis=1)
    none = np.zeros(2 * above.size)
    records = Records(
        kind,
        np.concatenate([lower[:, 1:][inside], cut[:, 0], np.full(above.size, end)]),
        np.concatenate([width[inside], none]),
        np.concatenate([cells[inside], design.control, design.control]),
    )
    weights = np.concatenate(
        [(counts * mass[:, 1:])[inside], design.n * first, design.n * (1.0 - cdf[:, -1])]
    )
    return records, weights[None]


def expected_ratio(
    errors: Errors, truth: Laws, critical: float, design: Design, horizon: float
) -> float:
    """Twice the log-likelihood that a law gains over the best one with another critical point.

    Infinite where the other law is impossible, or has no maximum: the records rule it out.
    """
    records, weights = expected_records(errors, truth, design, horizon)
    of = Times(errors, records, weights)
    other = of.at_critical(np.array([critical]), truth.theta)
    own = of.at_critical(truth.critical, truth.theta)
    timed = (records.kind != RIGHT) & (weights[0] > 1e-9)
    if np.any(records.control[timed] <= critical) or not np.isfinite(other.loglik[0]):
        return np.inf
    return max(2.0 * float(own.loglik[0] - other.loglik[0]), 0.0)


def needed_ratio(level: float, power: float) -> float:
    """The expected ratio at which a one-sided test of that level has that power."""
    return float(normal_quantile(np.array([level, power])).sum() ** 2)
