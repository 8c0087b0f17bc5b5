"""The links of the finite-size chain: each with intervals, and beside a smooth crossover."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.fits.binder import KINDS, Crossings, crossings, cumulants, pair_weights
from observatory.analysis.fits.collapse_quality import (
    NUMBERS,
    Collapse,
    standard_errors,
    starts,
    within_one,
)
from observatory.analysis.fits.crossover_null import crossover_draws, tail_share
from observatory.analysis.fits.estimate import Parameter, Plain
from observatory.analysis.fits.resample import percentile_interval
from observatory.analysis.fits.scaling_sample import (
    Moments,
    Sample,
    moments,
    resampled,
    thinned,
)
from observatory.analysis.fits.scaling_verdicts import (
    Collapsed,
    Crossed,
    Link,
    judge_collapse,
    judge_crossings,
    judge_groups,
    judge_sharpening,
    judge_susceptibility,
)
from observatory.analysis.fits.sharpening import (
    shared_curve,
    sharpening,
    sigmoid_grid,
    width_of_each,
)
from observatory.analysis.fits.susceptibility import LAWS, fit_laws, peaks
from observatory.analysis.fits.unimodality import cell_dips, two_groups
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]
Limits = tuple[float, float]
Curves = dict[str, Sequence[float | None]]


@dataclass(frozen=True)
class Draws:
    """The same cells three times: as they are, with seeds resampled, and as smooth crossovers."""

    sample: Sample
    own: Moments
    again: Moments
    smooth: Moments


@dataclass(frozen=True)
class Found:
    """What one link adds to the estimate."""

    params: dict[str, Parameter]
    curves: Curves
    extras: dict[str, Plain]


def parameter(value: float, draws: Array, level: float) -> Parameter:
    """A value with the percentile interval and the spread of its draws, NaN ones left out."""
    seen = draws[np.isfinite(draws)]
    if seen.size < 2:
        return Parameter(value)
    low, high = percentile_interval(seen, level)
    return Parameter(value, float(np.std(seen, ddof=1)), low, high)


def limits_of(found: Parameter) -> Limits:
    """The interval of a parameter, unbounded where it has none."""
    low = -np.inf if found.ci_low is None else found.ci_low
    return low, np.inf if found.ci_high is None else found.ci_high


def spread_columns(name: str, own: Array, draws: Array, level: float) -> Curves:
    """A column with the limits of its draws, `[place]` and `[draw, place]`; NaN is null."""
    limits = [parameter(float(v), d, level) for v, d in zip(own, draws.T, strict=True)]
    return {
        name: [None if np.isnan(v) else float(v) for v in own],
        f"{name}_low": [p.ci_low for p in limits],
        f"{name}_high": [p.ci_high for p in limits],
    }


def concentration(spread: Array) -> Array:
    """How close together crossings lie; none at all is as far as can be, `[draw]`."""
    return -np.nan_to_num(spread, nan=np.inf, posinf=np.inf)


def crossing_link(
    draws: Draws, min_share: float, level: float
) -> tuple[Link, dict[str, Crossed], Found]:
    """Cumulants of every kind, their crossings, and the drift of these with 1 / size."""
    own, again, smooth = (cumulants(m) for m in (draws.own, draws.again, draws.smooth))
    found, by_kind = Found({}, {}, {}), dict[str, Crossed]()
    inverse = 1.0 / draws.sample.sizes
    for kind in KINDS:
        found.curves[f"cell.{kind}"] = [None if np.isnan(v) else float(v) for v in own[kind][0]]
        pairs, redrawn = (crossings(draws.sample, c[kind]) for c in (own, again))
        weight = pair_weights(redrawn, min_share)
        place, slope, spread = pairs.drift(weight)
        places, slopes, _ = redrawn.drift(weight)
        null = crossings(draws.sample, smooth[kind]).drift(np.maximum(weight, 1e-300))[2]
        found.curves["pair.inverse_size"] = pairs.inverse_size.tolist()
        found.curves.update(spread_columns(f"pair.{kind}", pairs.place[0], redrawn.place, level))
        lowest = [_lowest(draws.sample, u[kind]) for u in (own, again)]
        tied = Crossings(inverse, lowest[0]), Crossings(inverse, lowest[1])
        even = np.ones(inverse.size)
        found.params[f"u4_lowest_{kind}"] = parameter(
            float(tied[0].drift(even)[0][0]), tied[1].drift(even)[0], level
        )
        if np.isnan(place[0]):
            by_kind[kind] = Crossed(None, None, 1.0)
            continue
        p = tail_share(float(concentration(spread)[0]), concentration(null))
        at = parameter(float(place[0]), places, level)
        moved = parameter(float(slope[0]), slopes, level)
        found.params.update({f"crossing_{kind}": at, f"drift_{kind}": moved})
        found.extras[f"p_crossing_{kind}"] = p
        by_kind[kind] = Crossed(limits_of(at), limits_of(moved), p)
    return judge_crossings(by_kind, level), by_kind, found


def _lowest(sample: Sample, cumulant: Array) -> Array:
    """Lowest cumulant of each size, `[draw, size]`."""
    filled = np.where(np.isnan(cumulant), np.inf, cumulant)
    each = [filled[:, sample.cells_of(s)].min(axis=-1) for s in range(sample.sizes.size)]
    lowest = np.stack(each, axis=-1)
    return np.where(np.isinf(lowest), np.nan, lowest)


def susceptibility_link(draws: Draws, level: float) -> tuple[Link, Found]:
    """The largest variance of each size, and the laws of its growth."""
    sizes = draws.sample.sizes
    chi = [peaks(draws.sample, m) for m in (draws.own, draws.again, draws.smooth)]
    own, again, smooth = (fit_laws(sizes, c) for c in chi)
    exponent = parameter(float(own.exponent[0]), again.exponent, level)
    p = tail_share(float(own.exponent[0]), smooth.exponent)
    aicc = {law: float(own.aicc[law][0]) for law in LAWS}
    link = judge_susceptibility(aicc, limits_of(exponent), sizes.size, p, level)
    curves: Curves = {"size.size": sizes.tolist()}
    curves |= spread_columns("size.chi", chi[0][0], chi[1], level)
    curves |= {f"size.chi_{law}": np.exp(own.fitted[law][0]).tolist() for law in LAWS}
    curves["cell.chi"] = (float(np.median(draws.sample.n)) * draws.own.variance[0]).tolist()
    extras: dict[str, Plain] = {f"aicc_{law}": value for law, value in aicc.items()}
    return link, Found({"gamma_over_nu": exponent}, curves, extras)


def sharpening_link(
    sample: Sample,
    se_floor: float,
    grid_size: tuple[int, int],
    n_draws: tuple[int, int],
    least: float,
    level: float,
    rng: np.random.Generator,
) -> tuple[Link, Found, Draws]:
    """The width against size; from its fit with one width for all sizes, the smooth crossovers.

    Args:
        sample: The cells.
        se_floor: Least standard error of a mean, as a share of the range of means.
        grid_size: Centres and widths tried.
        n_draws: Resamples of seeds, and smooth crossovers.
        least: Exponent below which shrinking counts as none.
        level: Of intervals and tests.
        rng: Where draws come from.
    """
    once = np.ones((1, sample.value.size))
    own = moments(sample, sample.deviation, once)
    se = standard_errors(sample, own.variance, se_floor)[0]
    grid = sigmoid_grid(sample, se, *grid_size)
    measured = sharpening(grid, own.mean)
    again = moments(sample, sample.deviation, resampled(sample, n_draws[0], rng))
    redrawn = sharpening(grid, again.mean)
    fitted, distance = shared_curve(grid, sample, float(measured.log_width[0]))
    smooth = moments(sample, crossover_draws(sample, fitted, distance, n_draws[1], rng), once)
    p = tail_share(float(measured.statistic[0]), sharpening(grid, smooth.mean).statistic)
    exponent = parameter(float(measured.exponent[0]), redrawn.exponent, level)
    link = judge_sharpening(exponent.value, limits_of(exponent), p, least, level)
    widths = np.exp(width_of_each(grid, own.mean)[0])
    curves = spread_columns("size.width", widths, np.exp(width_of_each(grid, again.mean)), level)
    curves |= {
        "cell.size": sample.sizes[sample.of_size].tolist(),
        "cell.control": sample.control.tolist(),
        "cell.n": sample.n.tolist(),
        "cell.mean": own.mean[0].tolist(),
        "cell.se": se.tolist(),
        "cell.crossover": fitted.tolist(),
    }
    extras: dict[str, Plain] = {"reduced_chi2": float(measured.reduced[0])}
    return link, Found({"sharpening": exponent}, curves, extras), Draws(sample, own, again, smooth)


def groups_link(
    sample: Sample, n_uniform: int, level: float, rng: np.random.Generator
) -> tuple[Link, Found]:
    """Whether seeds fall into two groups, by the dip of each cell."""
    depth, p = cell_dips(sample, n_uniform, rng)
    by_size = two_groups(sample, p)
    sizes = range(sample.sizes.size)
    fewest = [float(sample.n[sample.cells_of(s)].min()) for s in sizes]
    curves: Curves = {
        "cell.dip": depth.tolist(),
        "cell.p_dip": p.tolist(),
        "size.p_two_groups": by_size.tolist(),
    }
    return judge_groups(by_size.tolist(), fewest, level), Found({}, curves, {})


@dataclass(frozen=True)
class Search:
    """How a collapse is searched.

    Attributes:
        se_floor: Least standard error of a mean, as a share of the range of means.
        min_overlap: Share of cells that must overlap with another size.
        zeta: Exponent of the order parameter held at this; None to fit it.
        n_starts: Random starts.
        n_steps: Most steps of each.
        n_profile: Points of each profile of S.
    """

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
    gain = stretch_gain(numbers[None, 1], np.array([quality]), np.array([unstretched]))
    p = tail_share(
        float(gain[0]), stretch_gain(smooth[0][:, 1], smooth[1], crossover.without_size())
    )
    found = Found({}, {}, {"quality": quality, "p_collapse": p})
    for k, name in enumerate(NUMBERS[: problem.n_free]):
        found.params[name] = parameter(float(numbers[k]), redrawn[:, k], level)
        _add_profile(found, problem, k, numbers, quality, search.n_profile)
    found.params["nu"] = _inverted(found.params["inverse_nu"])
    if search.zeta is None:
        ratio = redrawn[:, 2] / np.where(redrawn[:, 1] != 0, redrawn[:, 1], np.nan)
        found.params["zeta"] = parameter(float(numbers[2] / numbers[1]), ratio, level)
    found.extras["quality_without_size"] = unstretched
    stretch = np.exp(problem.log_size)[sample.of_size]
    found.curves["cell.scaled_control"] = (
        (sample.control - numbers[0]) * stretch ** numbers[1]
    ).tolist()
    found.curves["cell.scaled_mean"] = (draws.own.mean[0] * stretch ** -numbers[2]).tolist()
    found.curves["cell.scaled_se"] = (problem.se[0] * stretch ** -numbers[2]).tolist()
    decades = float(np.log10(sample.sizes[-1] / sample.sizes[0]))
    collapsed = Collapsed(quality, limits_of(found.params["inverse_nu"]), p, decades)
    return judge_collapse(collapsed, quality_range, min_decades, level), found


def stretch_gain(inverse_nu: Array, quality: Array, unstretched: Array) -> Array:
    """How much better curves collapse when size stretches the control, with the sign of 1 / nu."""
    gain = np.maximum(unstretched - quality, 0.0) / np.maximum(quality, 1e-12)
    return np.sign(inverse_nu) * np.where(np.isfinite(quality), gain, 0.0)


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
    found.extras.update({f"{name}_s1_low": below, f"{name}_s1_high": above})
    found.curves[f"profile_{name}.value"] = value.tolist()
    found.curves[f"profile_{name}.quality"] = [float(q) if q < np.inf else None for q in quality]


def _inverted(inverse: Parameter) -> Parameter:
    """Nu from 1 / nu: its interval is unbounded where that of 1 / nu reaches 0."""
    low, high = limits_of(inverse)
    value = 1.0 / inverse.value if inverse.value != 0 else np.inf
    return Parameter(value, None, 1.0 / high if high > 0 else None, 1.0 / low if low > 0 else None)


def grid_bias(draws: Draws, search: Search, numbers: Array) -> Array | None:
    """How much a control twice as coarse moves the numbers, over 3, `[3]`.

    Between values of the control a curve is taken for a line: the error is of second order in
    their distance, so a third of this is that of the table itself.

    Returns:
        Null where half of the values do not make a table.
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
