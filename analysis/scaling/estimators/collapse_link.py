"""The last link of the finite-size chain: the data collapse, with its intervals and its errors."""

from dataclasses import dataclass

import numpy as np

from observatory.analysis.scaling.estimators.collapse_quality import (
    LARGEST_INVERSE,
    NUMBERS,
    Collapse,
    standard_errors,
    starts,
    within_one,
)
from observatory.analysis.scaling.estimators.found import (
    Draws,
    Found,
    Limits,
    limits_of,
    parameter,
    tail_share,
)
from observatory.analysis.scaling.estimators.sample import Array, Moments, Sample, thinned
from observatory.analysis.scaling.estimators.verdicts import Collapsed, Link, judge_collapse
from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.search import end_of_search
from observatory.core.errors import FitRefusedError


@dataclass(frozen=True)
class Search:
    """How a collapse is searched, with the settings of `FiniteSizeChain`."""

    se_floor: float
    min_overlap: float
    zeta: float | None
    n_starts: int
    n_steps: int
    n_profile: int

    def of(self, sample: Sample, found: Moments) -> Collapse:
        """The problem for these moments."""
        se = standard_errors(sample, found.variance, self.se_floor)
        return Collapse(sample, found.mean, se, self.min_overlap, self.zeta, self.n_steps)

    def best(self, sample: Sample, found: Moments, rng: np.random.Generator) -> tuple[Array, float]:
        """Least S of moments of one draw, from random starts."""
        start = starts(sample, self.n_starts, rng)
        numbers, quality = self.of(sample, found).search(start, np.zeros(len(start), np.int64))
        k = int(np.argmin(quality))
        return numbers[k], float(quality[k])


def collapse_link(
    draws: Draws,
    search: Search,
    quality_range: Limits,
    min_decades: float,
    level: float,
    rng: np.random.Generator,
) -> tuple[Link, Found]:
    """The data collapse, its intervals by resampling and by S + 1."""
    sample = draws.sample
    numbers, quality = search.best(sample, draws.own, rng)
    if not np.isfinite(quality):
        raise FitRefusedError(
            "No exponents bring enough cells of different sizes beside each other. Give all sizes "
            "the same values of the control."
        )
    problem = search.of(sample, draws.own)
    redrawn, _ = _from(search.of(sample, draws.again), [numbers])
    crossover = search.of(sample, draws.smooth)
    smooth = _from(crossover, [numbers, numbers * [1.0, 0.0, 0.0]])
    unstretched = float(problem.without_size()[0])
    limit = quality_range[1]
    own = numbers[None, 1], np.array([quality]), np.array([unstretched])
    null = _stretch_gain(smooth[0][:, 1], smooth[1], crossover.without_size(), limit)
    p = tail_share(float(_stretch_gain(*own, limit)[0]), null)
    found = Found(extras={"quality": quality})
    for k, name in enumerate(NUMBERS[: problem.n_free]):
        found.params[name] = parameter(float(numbers[k]), redrawn[:, k], level)
        _add_profile(found, problem, k, numbers, quality, search.n_profile)
    found.params["nu"] = _inverted(found.params["inverse_nu"])
    if search.zeta is None:
        ratio = redrawn[:, 2] / np.where(redrawn[:, 1] != 0, redrawn[:, 1], np.nan)
        found.params["zeta"] = parameter(float(numbers[2] / numbers[1]), ratio, level)
    found.extras["quality_without_size"] = unstretched
    stretch = np.exp(problem.log_size)[sample.of_size]
    shrink = stretch ** -numbers[2]
    scaled = {
        "control": (sample.control - numbers[0]) * stretch ** numbers[1],
        "mean": draws.own.mean[0] * shrink,
        "se": problem.se[0] * shrink,
    }
    found.curves.update({f"cell.scaled_{name}": of.tolist() for name, of in scaled.items()})
    decades = float(np.log10(sample.sizes[-1] / sample.sizes[0]))
    limited = problem.with_a_limit(numbers)
    lost = (limited - quality) * sample.pivot.size / max(quality, 1e-12)
    found.extras.update({"quality_with_limit": limited, "limit_lost": lost})
    ended = _at_end(sample, float(numbers[0])) or abs(float(numbers[1])) >= LARGEST_INVERSE
    collapsed = Collapsed(quality, limits_of(found.params["inverse_nu"]), p, decades, lost, ended)
    return judge_collapse(collapsed, quality_range, min_decades, level), found


def _at_end(sample: Sample, critical: float) -> bool:
    """Whether a critical point lies at an end of the control: less than half a step inside."""
    control = np.unique(sample.control)
    inside = 0.5 * (control[:-1] + control[1:])
    return end_of_search(critical, float(inside[0]), float(inside[-1])) is not None


def _stretch_gain(inverse_nu: Array, quality: Array, unstretched: Array, limit: float) -> Array:
    """How much better curves collapse when size stretches the control, with the sign of 1 / nu.

    0 where they do not collapse at all, S above the limit: a bad collapse is no rival.
    """
    gain = np.maximum(unstretched - quality, 0.0) / np.maximum(quality, 1e-12)
    return np.sign(inverse_nu) * np.where(quality <= limit, gain, 0.0)


def _from(problem: Collapse, begin: list[Array]) -> tuple[Array, Array]:
    """Least S of each draw from any of the given points, `[draw, 3]` and `[draw]`."""
    n = len(problem.mean)
    draw = np.tile(np.arange(n), len(begin))
    numbers, quality = problem.search(np.repeat(np.stack(begin), n, axis=0), draw)
    best = np.argmin(quality.reshape(len(begin), n), axis=0) * n + np.arange(n)
    return numbers[best], quality[best]


def _add_profile(
    found: Found, problem: Collapse, number: int, best: Array, least: float, n_points: int
) -> None:
    """Limits by S + 1 of one number, from a profile over four times its resampled interval."""
    name = NUMBERS[number]
    low, high = limits_of(found.params[name])
    reach = 4.0 * max(high - low, 1e-3 * float(np.ptp(problem.sample.control)))
    value = np.sort(np.append(best[number] + np.linspace(-reach, reach, n_points), best[number]))
    quality = problem.profile(number, value, best)
    below, above = within_one(value, quality, min(least, float(quality.min())))
    found.table[name] = {"s1_low": below, "s1_high": above}
    found.curves[f"profile_{name}.value"] = value.tolist()
    found.curves[f"profile_{name}.quality"] = [float(q) if q < np.inf else None for q in quality]


def _inverted(inverse: Parameter) -> Parameter:
    """Nu from 1 / nu: its interval is unbounded above where that of 1 / nu reaches 0.

    Where 1 / nu is not positive there is no length that grows, and nu is infinite.
    """
    low, high = limits_of(inverse)
    value = 1.0 / inverse.value if inverse.value > 0 else np.inf
    return Parameter(value, None, 1.0 / high if high > 0 else None, 1.0 / low if low > 0 else None)


def grid_bias(draws: Draws, search: Search, numbers: Array) -> Array | None:
    """How much a control twice as coarse moves the numbers, over 3, `[3]`.

    Between values of the control a curve is taken for a line: the error is of second order in
    their distance, so a third of this is that of the table itself. None where half of the values do
    not make a table.
    """
    sample, moved = draws.sample, list[Array]()
    places = [np.arange(sample.cells_of(s).size) for s in range(sample.sizes.size)]
    for part in (0, 1):
        keep = np.concatenate(places) % 2 == part
        thin = thinned(sample, keep)
        found, quality = _from(search.of(thin, draws.own.take(keep)), [numbers])
        if not np.isfinite(quality[0]):
            return None
        moved.append(found[0] - numbers)
    return np.mean(moved, axis=0) / 3.0
