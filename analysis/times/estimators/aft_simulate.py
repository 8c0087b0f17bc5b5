"""Made-up records of a law, to test it and to foresee what a longer horizon would show."""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.times.estimators.aft import EXACT, INTERVAL, LEFT, RIGHT, Records
from observatory.analysis.times.estimators.aft_errors import Errors
from observatory.analysis.times.estimators.aft_law import Laws

Array = NDArray[np.float64]


def simulated_times(
    errors: Errors, law: Laws, control: Array, n_draws: int, rng: np.random.Generator
) -> Array:
    """Times that a law gives, infinite at or below its critical point, `[draw, row]`."""
    gap = control - law.critical[0]
    z = errors.quantile(1.0 - rng.random((n_draws, control.size)))
    centre = law.log_amplitude[0] - law.nu[0] * np.log(np.where(gap > 0, gap, np.nan))
    time = np.exp(centre + law.sigma[0] * (z - errors.median))
    return np.where(gap > 0, time, np.inf)


def watched_records(
    time: Array, control: Array, end: Array, look: float | None
) -> tuple[Records, Array]:
    """What would have been seen of times `[problem, row]`, and the weights of these records.

    Each row is watched to its `end` and looked at every `look` steps, None where times are exact.
    It becomes two records, one with the event and one without, of which each table counts one: so
    the records of all tables share their kinds.
    """
    if look is None:
        seen = time <= end
        parts = [(EXACT, np.where(seen, time, 1.0), np.ones_like(time), seen)]
    else:
        high = look * np.ceil(time / look)
        seen = high <= end
        low = np.where(seen, high - look, 1.0)
        first = low <= 0
        safe, top = np.where(first, 1.0, low), np.where(seen, high, 2.0)
        parts = [
            (INTERVAL, safe, np.log(top / safe), seen & ~first),
            (LEFT, top, np.zeros_like(time), seen & first),
        ]
        parts = [part for part in parts if part[0] == INTERVAL or part[3].any()]
    parts.append((RIGHT, np.broadcast_to(end, time.shape), np.zeros_like(time), ~seen))
    kind = np.repeat([part[0] for part in parts], control.size)
    log_time, width, weights = (
        np.concatenate([np.asarray(part[i], dtype=np.float64) for part in parts], axis=1)
        for i in (1, 2, 3)
    )
    width[:, kind == INTERVAL] = np.where(
        width[:, kind == INTERVAL] > 0, width[:, kind == INTERVAL], 1.0
    )
    records = Records(kind.astype(np.int64), np.log(log_time), width, np.tile(control, len(parts)))
    return records, weights
