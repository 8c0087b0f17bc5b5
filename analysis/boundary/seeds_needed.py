"""How many seeds an interval of a wanted width needs, by simulation from a pilot."""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.deviance_profile import critical_deviance, widths
from observatory.analysis.boundary.estimators.firth_points import firth_points
from observatory.analysis.boundary.estimators.likelihood import box
from observatory.analysis.boundary.estimators.rate_curve import rates
from observatory.analysis.stats.bins import bin_rates, require_boundary
from observatory.analysis.stats.estimate import Estimate, Parameter
from observatory.analysis.stats.links import LINKS
from observatory.analysis.stats.numbers import checked_numbers
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.solvers import chi2_quantile
from observatory.core.errors import ConfigError, FitRefusedError

Array = NDArray[np.float64]

SEEDS = (4, 6, 8, 10, 12, 16, 20, 25, 30, 40, 50, 65, 80, 100)
"""Numbers of seeds per weight decay that are tried."""


def plan_seeds(
    pilot: Observations,
    width_decades: float,
    assurance: float,
    n_simulations: int,
    level: float,
    seed: int,
) -> Estimate:
    """The smallest number of seeds per value at which the interval is as narrow as asked.

    Studies are simulated from Firth's fit of the pilot, at the pilot's own weight decays; the
    interval is that of the profile likelihood without lapses, and a study whose counts are
    separated, which that fit refuses, has not reached the width. The pilot's own error is not in
    the answer: a pilot with few replicas gives a rough plan.

    Args:
        pilot: Replicas of a first study, or counts.
        width_decades: Wanted width of the interval of the critical point, in decades.
        assurance: Share of simulated studies that must reach the width, such as 0.8.
        n_simulations: Simulated studies per number of seeds.
        level: Coverage of the interval.
        seed: Of the simulation.

    Returns:
        An estimate with `n_seeds`, and the curves `plan.n_seeds`, `plan.median_width` (null where
        unbounded) and `plan.share_reached`.

    Raises:
        ConfigError: If the width, the assurance or the number of simulations are out of range.
        FitRefusedError: If the pilot holds no boundary, or not even the largest number tried is
            enough: then the spacing of the weight decays limits the width, and where to add some is
            said.
    """
    checked_numbers({"width_decades": width_decades, "assurance": assurance})
    if n_simulations < 20:
        raise ConfigError(
            f"`n_simulations` must be at least 20, got {n_simulations}: a plan needs them."
        )
    data = pilot.within(None)
    bins = bin_rates(data)
    require_boundary(bins)
    x0, log_slope = firth_points(bins.x, bins.n[None], bins.k[None])[0]
    theta = np.array([[x0, log_slope, 0.0, 0.0]])
    link, rng = LINKS["logistic"], np.random.default_rng(seed)
    p = rates(bins.x, theta, link)[0][0]
    ends = box(bins, 0.0, 0.0)
    grid = x0 + np.linspace(-3.0, 3.0, 61) * max(width_decades, 0.05)
    quantile = chi2_quantile(level, 1)
    median: list[float | None] = []
    reached: list[float] = []
    for n_seeds in SEEDS:
        n = np.full((n_simulations, bins.x.size), float(n_seeds))
        k = rng.binomial(n_seeds, p, size=n.shape).astype(np.float64)
        rows, back, alike = np.unique(k, axis=0, return_inverse=True, return_counts=True)
        deviance, separated = critical_deviance(bins.x, n[: len(alike)], rows, link, ends, grid)
        wide = np.where(separated, np.inf, widths(deviance, grid, quantile))
        found = wide[back.reshape(-1)]
        middle = float(np.median(found))
        median.append(middle if np.isfinite(middle) else None)
        reached.append(float(np.mean(found <= width_decades)))
        if reached[-1] >= assurance:
            break
    tried = [float(s) for s in SEEDS[: len(reached)]]
    if reached[-1] < assurance:
        near = np.abs(bins.x - x0)
        inside = bins.weight_decay[np.sort(np.argsort(near)[:2])]
        raise FitRefusedError(
            f"Even {SEEDS[-1]} seeds per value reach a width of {width_decades:g} decades in only "
            f"{reached[-1]:.0%} of simulated studies. Add values of {data.control} between "
            f"{inside[0]:g} and {inside[1]:g}."
        )
    total = tried[-1] * bins.x.size
    return Estimate(
        fit="seeds",
        estimator="simulation",
        event=data.event,
        horizon_steps=data.horizon_steps,
        horizon_epochs=data.horizon_epochs,
        params={"n_seeds": Parameter(tried[-1])},
        level=level,
        n=data.n,
        seed=seed,
        warnings=data.horizon_warnings,
        extras={
            "method": "studies simulated from Firth's fit of the pilot; profile likelihood without "
            "lapses, separated counts count as not reached",
            "control": data.control,
            "width_decades": width_decades,
            "assurance": assurance,
            "share_reached": reached[-1],
            "n_replicas": total,
            "pilot_critical": 10.0 ** float(x0),
            "pilot_slope": float(np.exp(log_slope)),
            "n_simulations": n_simulations,
        },
        curves={"plan.n_seeds": tried, "plan.median_width": median, "plan.share_reached": reached},
    )
