"""Many made-up studies fitted at once, for what the fits of times promise.

`python -m tests.statistical.time_studies estimates 500` and `... verdicts 200` print the tables of
docs/fits_calibration_times.md.
"""

import sys
from dataclasses import dataclass, replace

import numpy as np

from observatory.analysis.boundary.estimators.likelihood import (
    firth_box,
    firth_likelihood,
    firth_points,
    starts,
)
from observatory.analysis.horizon.estimators.boundary import boundaries
from observatory.analysis.horizon.estimators.verdict import ARTEFACT_BELOW
from observatory.analysis.stats.ascent import best_of, climb
from observatory.analysis.stats.solvers import chi2_quantile, student_quantile
from observatory.analysis.times.estimators.aft import RIGHT, Records
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_interval import PROFILE_GRID
from observatory.analysis.times.estimators.aft_law import Laws, Times
from observatory.analysis.times.estimators.aft_table import (
    DRAW_GRID,
    drawn_replicas,
    resampled_laws,
    sample_of,
    table_of,
)
from observatory.analysis.times.estimators.power_law import N_PARAMS, UNDECIDED, fit_line
from observatory.analysis.times.estimators.rivals import bent_criteria, offset_law
from tests.made_times import Made

ROUNDS = 4
HELD_OUT = 0.5
SEEDS_APART = {"seed_sd": 0.2, "noise": 0.22}
"""A seed effect that makes up half of the variance of 0.3 squared."""


def pair(made: Made, times: np.ndarray, name: str, horizon: float) -> tuple[Laws, Laws]:
    """The laws without and with a threshold, of every study at one horizon."""
    records, weights = made.records(times, horizon)
    of = Times(ERRORS[name], records, weights)
    return of.at_critical(np.zeros(len(times))), of.free(DRAW_GRID, ROUNDS)


def covered(made: Made, n: int, seed: int, free: bool, level: float = 0.95) -> np.ndarray:
    """Whether the profile interval of nu, under the true error distribution, holds the truth.

    Studies in which the law has no maximum, or too few weight decays grokked, count as refused and
    are left out.
    """
    times = made.times(n, np.random.default_rng(seed))
    records, weights = made.records(times, made.horizon)
    errors = ERRORS[made.distribution]
    law = pair(made, times, made.distribution, made.horizon)[int(free)]
    start = np.column_stack([1.0 / law.sigma, errors.median - law.log_amplitude / law.sigma])
    usable = np.isfinite(law.nu)
    held = None if free else law.critical
    nu = np.full(n, made.nu)
    of = Times(errors, records, weights)
    value = of.profile_exponent(nu, np.nan_to_num(start, nan=1.0), held, PROFILE_GRID)
    inside = 2.0 * (law.loglik - value) <= chi2_quantile(level, 1)
    return inside[usable]


def exponents(made: Made, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Exponents, critical point 0: censored likelihood, and least squares of uncensored runs."""
    times = made.times(n, np.random.default_rng(seed))
    censored = pair(made, times, made.distribution, made.horizon)[0].nu
    high = made.look * np.ceil(times / made.look)
    seen = (high <= made.horizon).astype(float)
    y = np.log(np.where(seen > 0, high, 1.0))
    u = np.log(made.control)
    lines = [
        fit_line(u[w > 0], row[w > 0], np.ones(int(w.sum())))[1]
        for row, w in zip(y, seen, strict=True)
    ]
    return censored, np.array(lines)


def rejected(made: Made, n: int, seed: int, name: str) -> np.ndarray:
    """Whether each study rejects a critical point of 0 at 5 % (chi-bar-square)."""
    zero, free = pair(made, made.times(n, np.random.default_rng(seed)), name, made.horizon)
    return 2.0 * (free.loglik - zero.loglik) > chi2_quantile(0.9, 1)


def observed_boundary(made: Made, times: np.ndarray, horizon: float) -> np.ndarray:
    """Firth's boundary of every study, `[study]`; NaN where all or none grokked."""
    seen = made.look * np.ceil(times / made.look) <= horizon
    k = seen.reshape(len(times), len(made.cells), made.n_seeds).sum(axis=2).astype(float)
    n = np.full_like(k, float(made.n_seeds))
    return 10.0 ** firth_points(np.log10(np.array(made.cells)), n, k)[:, 0]


def boundary_covered(made: Made, n: int, seed: int, level: float = 0.95) -> np.ndarray:
    """Whether the profile interval of the boundary at the horizon holds the truth (nu 1)."""
    times = made.times(n, np.random.default_rng(seed))
    seen = made.look * np.ceil(times / made.look) <= made.horizon
    k = seen.reshape(n, len(made.cells), made.n_seeds).sum(axis=2).astype(float)
    k = k[(k.sum(axis=1) > 0) & (k.sum(axis=1) < seen.shape[1])]
    counts, x = np.full_like(k, float(made.n_seeds)), np.log10(np.array(made.cells))
    low, high = firth_box(x)
    evaluate = firth_likelihood(x, np.repeat(counts, 3, axis=0), np.repeat(k, 3, axis=0))
    begin = starts(x, k, counts, low, high)
    best = best_of(*climb(evaluate, begin, low, high), 3)[1]
    held = np.tile(low, (len(begin), 1)), np.tile(high, (len(begin), 1))
    begin[:, 0] = held[0][:, 0] = held[1][:, 0] = np.log10(
        made.critical + made.amplitude / made.horizon
    )
    there = best_of(*climb(evaluate, begin, *held), 3)[1]
    return 2.0 * (best - there) <= chi2_quantile(level, 1)


def held_out_covered(made: Made, n: int, seed: int, level: float = 0.95) -> np.ndarray:
    """Whether Student's interval of the held-out ratio, of 100 resamples, holds 1."""
    inside = np.zeros(n, dtype=bool)
    for i, times in enumerate(made.times(n, np.random.default_rng(seed))):
        data = made.table(times)
        drawn = drawn_replicas(data, 100, i)
        everyone = np.concatenate([data.weights[None], drawn])
        found = boundaries(data, np.array([made.horizon]), everyone)[:, 0]
        early = sample_of(data.at_horizon(HELD_OUT * made.horizon))
        law = table_of(early, ERRORS[made.distribution], 0.0, DRAW_GRID)
        foretold = resampled_laws(law, early.resampled(drawn), free=False).boundary(made.horizon)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(found[1:] / foretold)
        half = student_quantile(0.5 + 0.5 * level, made.n_seeds - 1)
        half *= np.std(logs[np.isfinite(logs)], ddof=1)
        inside[i] = abs(np.log(found[0] / law.law.boundary(made.horizon)[0])) <= half
    return inside


@dataclass(frozen=True)
class Verdicts:
    """Shares of studies, of those with a boundary at the longest horizon.

    Attributes:
        rejects: The likelihood ratio alone, under all three.
        flat: That, and the held-out check.
        threshold: The verdict "threshold": that, and no rival, and the check with a lower window.
        artefact: The verdict "horizon artefact".
        boundary: Median boundary.
    """

    rejects: float
    flat: float
    threshold: float
    artefact: float
    boundary: float


def below_upper(
    name: str, records: Records, weights: np.ndarray, free: Laws, critical: np.ndarray
) -> np.ndarray:
    """Whether the one-sided 95 % upper limit of the critical point lies below `critical`."""
    of = Times(ERRORS[name], records, weights)
    possible = critical < of.highest
    held = np.where(possible, critical, 0.0)
    start = np.where(np.isnan(free.theta), [1.0, -6.0, 1.0], free.theta)
    there = of.profile_critical(held[:, None], start[:, None])
    fallen = 2.0 * (free.loglik - there.loglik) > chi2_quantile(0.9, 1)
    return ~possible | (fallen & (free.critical < critical))


def rows_of(of: Times, rows: np.ndarray) -> Times:
    """Some of the studies."""
    records = of.records
    part = replace(records, log_time=records.log_time[rows], width=records.width[rows])
    return Times(of.errors, part, of.weights[rows])


def stays(of: Times, free: Laws, boundary: np.ndarray) -> np.ndarray:
    """Whether half of the critical point is left without the largest third above the boundary.

    Also where what is left cannot fix the laws: then nothing is checked.
    """
    cells, cell = np.unique(of.records.control, return_inverse=True)
    n_above = (cells > boundary[:, None]).sum(axis=1)
    kept = np.arange(cells.size) < (cells.size - np.maximum(n_above // 3, 1))[:, None]
    weights = of.weights * kept[:, cell]
    timed = weights * (of.records.kind != RIGHT)
    grokked = np.stack([timed[:, cell == i].sum(axis=1) for i in range(cells.size)], axis=1)
    fixed = ((grokked > 0).sum(axis=1) >= 3) & (grokked.sum(axis=1) > 5)
    lower = replace(of, weights=weights).free(DRAW_GRID, ROUNDS)
    return ~fixed | (lower.critical > 0.5 * free.critical)


def rivalled(of: Times, zero: Laws, free: Laws, kinds: tuple[str, ...]) -> np.ndarray:
    """Whether one of the bent laws is within 2 of the AIC of the one with a threshold."""
    own = 2.0 * N_PARAMS["free"] - 2.0 * free.loglik
    start = np.where(np.isnan(zero.theta), [1.0, -6.0, 1.0], zero.theta)
    criteria = bent_criteria(of, start)
    return np.any([criteria[kind] <= own + UNDECIDED for kind in kinds], axis=0)


def has_constant_rival(made: Made, times: np.ndarray) -> bool:
    """Whether a law with a constant part is within 2 of the AIC of the one with a threshold."""
    sample = sample_of(made.table(times))
    for errors in ERRORS.values():
        free = table_of(sample, errors, None, DRAW_GRID)
        rival = offset_law(free.of, free.begin)
        if 2.0 * (free.law.loglik[0] - rival.loglik) <= UNDECIDED:
            return True
    return False


def verdicts(made: Made, n: int, seed: int) -> Verdicts:
    """The verdicts of many studies, by the rules of `horizon_verdict`."""
    times = made.times(n, np.random.default_rng(seed))
    boundary = observed_boundary(made, times, made.horizon)
    records, weights = made.records(times, made.horizon)
    rejects = flat = small = np.ones(n, dtype=bool)
    laws = {name: pair(made, times, name, made.horizon) for name in ERRORS}
    for name, (zero, free) in laws.items():
        before, own = pair(made, times, name, HELD_OUT * made.horizon)
        middle = np.sqrt(before.boundary(made.horizon) * own.boundary(made.horizon))
        rejects = rejects & (2.0 * (free.loglik - zero.loglik) > chi2_quantile(0.9, 1))
        flat = flat & (boundary > middle)
        small = small & below_upper(name, records, weights, free, ARTEFACT_BELOW * boundary)
    there = np.isfinite(boundary)
    left = np.flatnonzero(there & rejects & flat)
    for name, (zero, free) in laws.items():
        if not left.size:
            break
        of = rows_of(Times(ERRORS[name], records, weights), left)
        zero, free = (Laws(**{k: v[left] for k, v in vars(law).items()}) for law in (zero, free))
        out = rivalled(of, zero, free, ("large", "small", "curved"))
        left = left[~out & stays(of, free, boundary[left])]
    threshold = np.zeros(n, dtype=bool)
    threshold[[i for i in left if not has_constant_rival(made, times[i])]] = True
    shares = (rejects, rejects & flat, threshold, small & ~threshold)
    middle = float(np.median(boundary[there]))
    return Verdicts(*(float(rows[there].mean()) for rows in shares), middle)


def print_estimates(n: int) -> None:
    """Coverage, bias and size."""
    few, many = Made(), Made(n_seeds=16)
    print("coverage of the 95 % profile interval of nu: zero, free | with a seed effect")
    for name in ERRORS:
        for made in (
            replace(few, distribution=name),
            replace(few, distribution=name, critical=0.05),
        ):
            apart = replace(made, seed_sd=0.2)
            found = [
                None if made.critical and not free else float(covered(m, n, 1, free).mean())
                for m in (made, apart)
                for free in (False, True)
            ]
            print(f"  {name:12s} critical {made.critical:4.2f}", found)
    print("coverage of the 95 % profile interval of the boundary at the horizon, by seeds")
    for label, made in {"independent": few, "seed effect": replace(few, **SEEDS_APART)}.items():
        found = {
            size: round(float(boundary_covered(replace(made, n_seeds=size), n, 5).mean()), 3)
            for size in (5, 8, 10, 30)
        }
        print(f"  {label:12s}", found)
    print("coverage of the held-out ratio: 8 seeds, with a seed effect, 16 seeds")
    makes = (few, replace(few, **SEEDS_APART), many)
    print("  ", [round(float(held_out_covered(made, n // 3, 6).mean()), 3) for made in makes])
    print("mean of nu (truth 1): censored, uncensored runs, at horizons 6000, 3000, 1500")
    for horizon in (6000.0, 3000.0, 1500.0):
        both = exponents(replace(few, horizon=horizon), n, 2)
        print(f"  {horizon:g}", [round(float(np.nanmean(nu)), 3) for nu in both])
    print("size of the test of 0 at 5 %: 8 seeds, 16 seeds, 8 with a seed effect")
    for name in ERRORS:
        makes = (few, many, replace(few, **SEEDS_APART))
        sizes = [rejected(replace(m, distribution=name), n, 3, name).mean() for m in makes]
        print(f"  {name:12s}", [round(float(size), 3) for size in sizes])


NONE = {
    "no threshold": Made(),
    "seed effect": Made(**SEEDS_APART),
    "Weibull": Made(distribution="weibull", noise=0.25),
    "100 steps constant": Made(offset=100.0),
    "200 steps constant": Made(offset=200.0, amplitude=250.0),
    "100 steps constant, nu 0.9, seed effect": Made(offset=100.0, nu=0.9, **SEEDS_APART),
    "times 1 + (weight_decay / 1.2)^2": Made(large=(1.2, 2.0)),
    "times 1 + (weight_decay / 0.7)^3": Made(large=(0.7, 3.0)),
    "times 1 + 0.06 / weight_decay": Made(small=(0.06, 1.0)),
    "noise 0.6": Made(noise=0.6),
    "noise that widens towards small": Made(widening=0.5),
    "noise that widens towards large": Made(widening=-0.5),
}
"""Times without a threshold."""
THRESHOLDS = {
    "threshold at 0.5 of the boundary": Made(critical=0.05),
    "threshold at 0.5, seed effect": Made(critical=0.05, **SEEDS_APART),
    "threshold at 0.67": Made(critical=0.1),
    "threshold at 0.8": Made(critical=0.2),
    "threshold at 0.25": Made(critical=0.0167),
}


def print_verdicts(n: int) -> None:
    """Verdicts of every generator at 8 seeds, and with a threshold at 16 too."""
    for label, made in {**NONE, **THRESHOLDS}.items():
        for size in (8,) if label in NONE else (8, 16):
            found = vars(verdicts(replace(made, n_seeds=size), n, 4))
            words = {name: round(value, 3) for name, value in found.items()}
            print(f"  {label:40s} {size:3d} seeds", words, flush=True)


if __name__ == "__main__":
    tables = {"estimates": print_estimates, "verdicts": print_verdicts}
    tables[sys.argv[1]](int(sys.argv[2]))
