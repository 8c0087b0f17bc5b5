"""The ratio of two boundaries."""

from collections.abc import Sequence

import numpy as np

from observatory.analysis.boundary.estimators.checks import boundary_warnings, require_logistic_rise
from observatory.analysis.boundary.estimators.likelihood import (
    firth_box,
    firth_likelihood,
    firth_points,
)
from observatory.analysis.stats.ascent import climb
from observatory.analysis.stats.bins import (
    RateBins,
    bin_rates,
    require_boundary,
    require_inside,
    require_rise,
)
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain
from observatory.analysis.stats.observations import Array, Observations
from observatory.analysis.stats.resample import (
    n_units,
    replica_weights,
    resampled_counts,
    standard_error,
)
from observatory.analysis.stats.solvers import chi2_quantile, chi2_tail, student_quantile
from observatory.core.errors import FitRefusedError

_SPACING = 0.005
"""Decades between the values at which the two profiles are added."""
_REACH = 1.5
"""Decades beyond the estimate and beyond a ratio of 1 up to which the profiles are added."""


def penalised_profile(bins: RateBins, grid: Array) -> Array:
    """Twice the penalised log-likelihood lost by holding x0 at each value, `[value]`."""
    n, k = bins.n[None], bins.k[None]
    x0, log_slope = firth_points(bins.x, n, k)[0]
    best = np.array([[x0, log_slope, 0.0, 0.0]])
    evaluate = firth_likelihood(bins.x, n, k)
    top = float(evaluate(best, np.zeros(1, dtype=np.int64))[0][0])
    rows = np.tile(best, (grid.size, 1))
    rows[:, 0] = grid
    low, high = (np.tile(end, (grid.size, 1)) for end in firth_box(bins.x))
    low[:, 0] = high[:, 0] = grid
    starts = (rows + np.array([0.0, by, 0.0, 0.0]) for by in (0.0, -1.5, 1.5))
    held = np.max([climb(evaluate, start, low, high, 1e-8)[1] for start in starts], axis=0)
    return np.maximum(2.0 * (max(top, float(held.max())) - held), 0.0)


def _joint_draws(
    a: Observations, b: Observations, n_bootstrap: int, rng: np.random.Generator
) -> tuple[Array, bool]:
    """log10 of the ratio in each resample that holds both boundaries.

    Where both tables have the same seeds, these are drawn for both at once: the second value.
    """
    first, second = bin_rates(a), bin_rates(b)
    by = (first.n_by, first.k_by, second.n_by, second.k_by)
    counts = [resampled_counts(table, n_bootstrap, rng) for table in (first, second)]
    seeds = [set[int]() if t.seed is None else set(t.seed.tolist()) for t in (a, b)]
    joint = all(part is not None for part in by) and seeds[0] == seeds[1]
    if joint:
        weights = replica_weights(np.zeros(len(seeds[0]), dtype=np.int64), n_bootstrap, rng)
        drawn = [weights @ part for part in by if part is not None]
        counts = [(drawn[0], drawn[1]), (drawn[2], drawn[3])]
    points = [
        firth_points(table.x, n, k)[:, 0]
        for table, (n, k) in zip((first, second), counts, strict=True)
    ]
    made = points[0] - points[1]
    return made[np.isfinite(made)], joint


def _interval(
    tables: tuple[RateBins, RateBins], centres: Sequence[float], level: float
) -> tuple[list[float | None], float]:
    """Limits of the ratio from the sum of both profiles, and the p-value of a ratio of 1."""
    log_ratio = centres[0] - centres[1]
    reach = int(np.ceil((abs(log_ratio) + _REACH) / _SPACING))
    shifts = np.arange(-reach, reach + 1)
    steps = np.asarray(shifts * _SPACING, dtype=np.float64)
    profiles = [penalised_profile(t, c + steps) for t, c in zip(tables, centres, strict=True)]
    lost = np.full(shifts.size, np.inf)
    for i, shift in enumerate(shifts):
        above = profiles[0][max(shift, 0) : steps.size + min(shift, 0)]
        below = profiles[1][max(-shift, 0) : steps.size - max(shift, 0)]
        lost[i] = float((above + below[: above.size]).min())
    allowed = chi2_quantile(level, 1)
    inside = np.flatnonzero(lost <= allowed)
    ends: list[float | None] = []
    for i, side in ((int(inside[0]), -1), (int(inside[-1]), 1)):
        if not 0 < i < shifts.size - 1:
            ends.append(None)
            continue
        share = (allowed - lost[i]) / (lost[i + side] - lost[i])
        ends.append(10.0 ** (log_ratio + (shifts[i] + side * float(share)) * _SPACING))
    return ends, chi2_tail(float(np.interp(-log_ratio / _SPACING, shifts, lost)), 1)


def _centres(
    groups: tuple[Observations, Observations], names: tuple[str, str], level: float
) -> tuple[list[float], list[str]]:
    """log10 of both boundaries, and what is to be said of them; refuses where there is none."""
    centres: list[float] = []
    warnings = [*groups[0].horizon_warnings]
    for group, name in zip(groups, names, strict=True):
        table = bin_rates(group)
        try:
            require_boundary(table)
            require_rise(table)
            x0, log_slope = firth_points(table.x, table.n[None], table.k[None])[0]
            require_logistic_rise(table, x0, log_slope, level)
            require_inside(table, float(x0))
        except FitRefusedError as refusal:
            raise FitRefusedError(f"{name}: {refusal}") from refusal
        centres.append(float(x0))
        place = {"critical": Parameter(10.0 ** float(x0), None, 0.0, np.inf)}
        found = boundary_warnings(group, table, place, None)
        warnings += [f"{name}: {words}" for words in found if words not in group.horizon_warnings]
    return centres, warnings


def boundary_ratio(
    a: Observations,
    b: Observations,
    names: tuple[str, str],
    level: float,
    n_bootstrap: int,
    seed: int,
) -> Estimate:
    """How many times larger the critical point of group `a` is than that of `b`.

    Both boundaries by Firth's estimator, which separated counts have too. The interval and the test
    of a ratio of 1 add the two profiles, as of independent groups; the bootstrap beside it draws
    the seeds that the groups share for both at once, its limits being Student's on the log axis.

    Raises:
        FitRefusedError: If a group holds no boundary, its rate does not rise beyond its scatter, or
            more resamples than the interval leaves out hold none.
    """
    centres, warnings = _centres((a, b), names, level)
    ratio, same = 10.0 ** (centres[0] - centres[1]), a.horizon_steps == b.horizon_steps
    ends, p_value = _interval((bin_rates(a), bin_rates(b)), centres, level)
    if None in ends:
        warnings.append(
            f"The ratio is unbounded on one side, up to a factor of {10.0**_REACH:.3g} beyond."
        )
    draws, joint = _joint_draws(a, b, n_bootstrap, np.random.default_rng(seed))
    if n_bootstrap - draws.size > (1.0 - level) * n_bootstrap:
        raise FitRefusedError(
            f"{n_bootstrap - draws.size} of {n_bootstrap} resamples hold no boundary in one of the "
            "groups. Add replicas."
        )
    if not same:
        warnings.append(
            f"The horizons differ ({a.horizon_steps} and {b.horizon_steps} steps), and so would "
            "the boundaries of one and the same group."
        )
    units = min(n_units(group) for group in (a, b))
    half = student_quantile(0.5 + 0.5 * level, units - 1) * float(np.std(draws, ddof=1))
    low, high = (10.0 ** (centres[0] - centres[1] + side * half) for side in (-1, 1))
    extras: dict[str, Plain] = {
        "method": "ratio of critical points by Firth's estimator; sum of the profiles",
        **{"numerator": names[0], "denominator": names[1]},
        **{"critical_numerator": 10.0 ** centres[0], "critical_denominator": 10.0 ** centres[1]},
        **{"p": p_value, "bootstrap_low": low, "bootstrap_high": high},
        **{"seeds_drawn_jointly": joint, "n_bootstrap": int(draws.size), "control": a.control},
    }
    params = {"ratio": Parameter(ratio, standard_error(10.0**draws), *ends)}
    return Estimate(
        fit="boundary_ratio",
        estimator="firth",
        event=a.event,
        horizon_steps=a.horizon_steps if same else None,
        horizon_epochs=a.horizon_epochs if same else None,
        n=a.n + b.n,
        params=params,
        level=level,
        seed=seed,
        warnings=warnings,
        extras=extras,
    )
