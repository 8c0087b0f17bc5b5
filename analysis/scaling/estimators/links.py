"""The links of the finite-size chain before the collapse, each beside a smooth crossover."""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.scaling.estimators.binder import (
    KINDS,
    Crossings,
    crossings,
    cumulant_noise,
    cumulants,
    pair_weights,
)
from observatory.analysis.scaling.estimators.collapse_quality import standard_errors
from observatory.analysis.scaling.estimators.found import (
    Curves,
    Draws,
    Found,
    crossover_draws,
    limits_of,
    parameter,
    spread_columns,
    tail_share,
)
from observatory.analysis.scaling.estimators.sample import Sample, moments, resampled
from observatory.analysis.scaling.estimators.sharpening import (
    shared_curve,
    sharpening,
    sigmoid_grid,
    width_of_each,
)
from observatory.analysis.scaling.estimators.susceptibility import LAWS, fit_laws, peaks
from observatory.analysis.scaling.estimators.unimodality import cell_dips, two_groups
from observatory.analysis.scaling.estimators.verdicts import (
    Crossed,
    Link,
    judge_crossings,
    judge_groups,
    judge_sharpening,
    judge_susceptibility,
)
from observatory.analysis.stats.estimate import Plain

Array = NDArray[np.float64]


def _concentration(spread: Array) -> Array:
    """How close together crossings lie; none at all is as far as can be, `[draw]`."""
    return -np.nan_to_num(spread, nan=np.inf, posinf=np.inf)


def crossing_link(
    draws: Draws, min_share: float, level: float
) -> tuple[Link, dict[str, Crossed], Found]:
    """Cumulants of every kind, their crossings, and the drift of these with 1 / size."""
    own, again, smooth = (cumulants(m) for m in (draws.own, draws.again, draws.smooth))
    found, by_kind = Found(), dict[str, Crossed]()
    inverse = 1.0 / draws.sample.sizes
    for kind in KINDS:
        found.curves[f"cell.{kind}"] = [None if np.isnan(v) else float(v) for v in own[kind][0]]
        noise = cumulant_noise(again[kind])
        pairs, redrawn = (crossings(draws.sample, c[kind], noise) for c in (own, again))
        weight = pair_weights(redrawn, min_share)
        place, slope, spread = pairs.drift(weight)
        places, slopes, _ = redrawn.drift(weight)
        null = crossings(draws.sample, smooth[kind], noise).drift(np.maximum(weight, 1e-300))[2]
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
        p = tail_share(float(_concentration(spread)[0]), _concentration(null))
        at = parameter(float(place[0]), places, level)
        moved = parameter(float(slope[0]), slopes, level)
        found.params.update({f"crossing_{kind}": at, f"drift_{kind}": moved})
        found.table[f"crossing_{kind}"] = {"p": p}
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

    `grid_size` is how many centres and widths are tried, `n_draws` how many resamples of seeds and
    smooth crossovers are drawn, `least` the exponent below which shrinking counts as none.
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
