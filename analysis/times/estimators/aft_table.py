"""From a table of replicas to fitted laws: who enters, resamples, simulated tables, the test."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.observations import Array, Observations
from observatory.analysis.stats.resample import row_weights
from observatory.analysis.times.estimators.aft import Records, gathered, records_of
from observatory.analysis.times.estimators.aft_errors import Errors
from observatory.analysis.times.estimators.aft_interval import Table
from observatory.analysis.times.estimators.aft_law import Laws, Times, shares
from observatory.analysis.times.estimators.power_law import N_PARAMS, require_law
from observatory.analysis.times.estimators.watched import LookGrid, watched_records
from observatory.core.errors import FitRefusedError

DRAW_GRID, _DRAW_ROUNDS = 8, 2  # of the critical point in each resample: to 1% of its range
_ROUNDS = 8  # refinements in the data themselves: to 1e-5 of it
_SIMULATED = 200_000  # times of simulated tables that are worked on at once


def require_times(data: Observations) -> None:
    """Refuse a table in which a replica had the event at an unknown time."""
    untimed = data.grokked & ~(data.time > 0)
    if untimed.any():
        raise FitRefusedError(
            f"{int(untimed.sum())} replicas had the event `{data.event}` at an unknown time. Use "
            "an event that is located by a threshold, such as first99, or add the steps at which "
            "they had it."
        )


def require_fixed(data: Observations, critical: str) -> None:
    """Refuse a table in which too few replicas had the event to fix a law."""
    times = data.weight_decay[data.grokked]
    require_law(times, N_PARAMS[critical], data.control, data.count(data.grokked))


def competing_warnings(data: Observations) -> list[str]:
    """A warning where replicas collapsed or diverged."""
    n = data.count(data.failed)
    text = (
        f"Replicas that collapsed or diverged count as never having the event ({n}): they are "
        "followed to the horizon, not censored when they failed."
    )
    return [text] if n else []


def _end_of_watch(data: Observations) -> Array:
    """Steps for which each row would have been watched; 1, which tells nothing, where it failed."""
    ends = np.where(data.grokked, np.nan, data.followed)
    latest = float(np.nanmax(data.followed))
    horizon = latest if data.horizon_steps is None else float(data.horizon_steps)
    return np.where(data.failed, 1.0, np.where(np.isnan(ends), horizon, ends))


def _look_of(data: Observations) -> float | None:
    """Typical steps between two looks, None where times are exact."""
    if data.time_lo is None:
        return None
    gap = (data.time - data.time_lo)[data.grokked]
    gap = gap[gap > 0]
    return float(np.median(gap)) if gap.size else None


@dataclass(frozen=True)
class Sample:
    """One table as records."""

    data: Observations
    records: Records  # equal ones once
    index: NDArray[np.int64]  # record of each row, `[row]`
    weights: Array  # `[1, record]`

    def times(self, errors: Errors) -> Times:
        """What is fitted, under a distribution of the errors."""
        return Times(errors, self.records, self.weights)

    def resampled(self, drawn: Array) -> Array:
        """Weights of the records in resamples, from replicas of each row, `[draw, row]`."""
        return gathered(drawn, self.index)


def sample_of(data: Observations) -> Sample:
    """The records of a table; refuses as `require_times` does."""
    require_times(data)
    records, index = records_of(data)
    weights = gathered(data.weights[None], index)
    return Sample(data, records, index, weights)


def drawn_replicas(data: Observations, n_draws: int, seed: int) -> Array:
    """Replicas of each row in each resample, by seed where seeds recur, `[draw, row]`."""
    cell = np.unique(data.weight_decay, return_inverse=True)[1]
    return row_weights(cell, data.seed, data.weights, n_draws, np.random.default_rng(seed))


def table_of(sample: Sample, errors: Errors, critical: float | None, n_grid: int) -> Table:
    """The law of a table, its critical point held or, for None, free; refused without a maximum."""
    of = sample.times(errors)
    held = critical is not None
    law = of.at_critical(np.array([critical])) if held else of.free(n_grid, _ROUNDS)
    if not np.isfinite(law.nu[0]):
        raise FitRefusedError(
            "The likelihood of the times has no maximum: they do not fix spread and exponent. "
            f"Add replicas at {sample.data.control}s where they have the event."
        )
    return Table(of, law, n_grid)


def resampled_laws(table: Table, weights: Array, free: bool) -> Laws:
    """The law of resamples, started from the law of the table itself.

    `weights` are of the records, `[draw, record]`; the critical point may be fitted anew.
    """
    of = replace(table.of, weights=weights)
    if not free:
        held = np.repeat(table.law.critical, len(weights))
        return of.at_critical(held, np.repeat(table.law.theta, len(weights), axis=0))
    grid = table.of.highest[:, None] * shares(DRAW_GRID)
    return of.free(DRAW_GRID, _DRAW_ROUNDS, _guess(table, grid))


def _guess(table: Table, grid: Array) -> Array:
    """The table's own laws at critical points, from which those of tables like it are near."""
    guess = table.of.profile_critical(grid, None).theta
    return np.where(np.isnan(guess), table.law.theta, guess)


def zero_ratio(zero: Table, free: Table) -> float:
    """Twice the log-likelihood that a critical point of its own gains over 0."""
    return max(2.0 * float(free.law.loglik[0] - zero.law.loglik[0]), 0.0)


def parametric_p(zero: Table, ratio: float, data: Observations, n_draws: int, seed: int) -> float:
    """The share of tables without a threshold whose likelihood ratio is at least that of the data.

    Tables are drawn from the law with critical point 0, with the rows, the horizon and the typical
    distance of looks of the data, and independent replicas: (1 + exceedances) / (1 + draws).
    """
    rng = np.random.default_rng(seed)
    times = np.rint(data.weights).astype(np.int64)
    control, end = (np.repeat(a, times) for a in (data.weight_decay, _end_of_watch(data)))
    of = Times(zero.of.errors, *_simulated(zero, control, end, _look_of(data), n_draws, rng))
    none = of.at_critical(np.zeros(n_draws), np.repeat(zero.law.theta, n_draws, axis=0))
    guess = _guess(zero, zero.of.highest[:, None] * shares(DRAW_GRID))
    ratios = 2.0 * (of.free(DRAW_GRID, _DRAW_ROUNDS, guess).loglik - none.loglik)
    usable = ratios[np.isfinite(ratios)]
    return (1.0 + float((usable >= ratio - 1e-9).sum())) / (1.0 + usable.size)


def _simulated(
    zero: Table,
    control: Array,
    end: Array,
    look: float | None,
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[Records, Array]:
    """Records of tables that a law gives, and their weights; many rows are counted by their looks.

    Then no array holds more than some tables, row by row.
    """
    grid = None if look is None else LookGrid.of(control, end, look)
    if grid is None or 2 * control.size <= grid.n_records:
        time = _simulated_times(zero.of.errors, zero.law, control, n_draws, rng)
        return watched_records(time, control, end, look)
    step = max(1, _SIMULATED // control.size)
    counts = [
        grid.counted(_simulated_times(zero.of.errors, zero.law, control, n, rng))
        for n in (min(step, n_draws - at) for at in range(0, n_draws, step))
    ]
    return grid.records(np.concatenate(counts))


def _simulated_times(
    errors: Errors, law: Laws, control: Array, n_draws: int, rng: np.random.Generator
) -> Array:
    """Times that a law gives, infinite at or below its critical point, `[draw, row]`."""
    gap = control - law.critical[0]
    z = errors.quantile(1.0 - rng.random((n_draws, control.size)))
    centre = law.log_amplitude[0] - law.nu[0] * np.log(np.where(gap > 0, gap, np.nan))
    time = np.exp(centre + law.sigma[0] * (z - errors.median))
    return np.where(gap > 0, time, np.inf)
