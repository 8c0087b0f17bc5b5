r"""Binder-like cumulants over seeds, where those of two sizes cross, and how crossings drift.

$U_4 = 1 - \langle m^4\rangle / (3 \langle m^2\rangle^2)$ depends on where m is zero.
"""

from dataclasses import dataclass

import numpy as np

from observatory.analysis.scaling.estimators.found import (
    Draws,
    Found,
    limits_of,
    parameter,
    spread_columns,
    tail_share,
)
from observatory.analysis.scaling.estimators.sample import Array, Moments, Sample
from observatory.analysis.scaling.estimators.verdicts import KINDS, Crossed, Link, judge_crossings


def cumulant(moments: Moments, origin: Array | float) -> Array:
    r"""Binder-like cumulant of each cell, $1 - \langle m^4\rangle / (3\langle m^2\rangle^2)$.

    Not unbiased in few seeds: with n seeds it is off by a term of order 1 / n. 2/3 where all seeds
    are equal and not at the origin, 0 for normal scatter about it; NaN where every seed lies on it.

    Source:
        Binder (1981), Z. Phys. B 43, 119. Deviation: averages over seeds, and any origin.
    """
    shift = moments.mean - origin
    second = moments.second + shift**2
    fourth = moments.fourth + shift * (
        4.0 * moments.third + shift * (6.0 * moments.second + shift**2)
    )
    return 1.0 - fourth / (3.0 * np.where(second > 0, second, np.nan) ** 2)


def cumulants(moments: Moments) -> dict[str, Array]:
    """The cumulant for every kind of origin, each `[draw, cell]`."""
    lowest = moments.mean.min(axis=-1, keepdims=True)
    origins = {"raw": 0.0, "centred": moments.mean, "shifted": lowest}
    return {kind: cumulant(moments, origins[kind]) for kind in KINDS}


def dominant_crossing(x: Array, difference: Array, noise: Array) -> Array:
    """Where a difference changes sign with the largest area, over its noise, on its smaller side.

    Curves that lie on each other cross at random: such crossings have little area beside them. `x`
    rises, `[point]`; `noise` is the spread of the `[draw, point]` differences at each point,
    positive; NaN counts as no difference, and is the crossing where the sign never changes,
    `[draw]`.
    """
    difference = np.nan_to_num(difference)
    step = np.gradient(x) / noise
    n = len(difference)
    sign, last, at = np.zeros(n), np.zeros(n), np.full(n, x[0])
    area, left = np.zeros(n), np.zeros(n)
    pending, best, found = np.full(n, np.nan), np.zeros(n), np.full(n, np.nan)
    for k, place in enumerate(x):
        here = difference[:, k]
        crossed = (sign * here) < 0
        better = crossed & (np.minimum(left, area) > best)
        found = np.where(better, pending, found)
        best = np.where(better, np.minimum(left, area), best)
        weight = np.abs(last) + np.abs(here)
        zero = at + (place - at) * np.abs(last) / np.where(weight > 0, weight, 1.0)
        pending, left = np.where(crossed, zero, pending), np.where(crossed, area, left)
        area = np.where(crossed, 0.0, area) + np.abs(here) * step[k]
        known = here != 0
        sign = np.where(known, np.sign(here), sign)
        last, at = np.where(known, here, last), np.where(known, place, at)
    better = np.minimum(left, area) > best
    return np.where(better, pending, found)


@dataclass(frozen=True)
class Crossings:
    """Where the cumulants of two sizes cross, for all pairs of sizes."""

    inverse_size: Array  # mean of 1 / size of each pair, `[pair]`
    place: Array  # value of the control, NaN where they do not cross, `[draw, pair]`

    def drift(self, weight: Array) -> tuple[Array, Array, Array]:
        """Weighted line through the crossings against 1 / size, in each draw.

        Returns:
            The crossing at infinite size, the slope, and the standard deviation of the crossings
            about their mean, each `[draw]`; NaN where fewer than three pairs of some weight cross.
        """
        there = np.isfinite(self.place) & (weight > 0)
        w = np.where(there, weight, 0.0)
        total = np.where(there.sum(axis=-1) >= 3, w.sum(axis=-1), np.nan)
        y, x = np.where(there, self.place, 0.0), self.inverse_size
        mean_x, mean_y = (w * x).sum(axis=-1) / total, (w * y).sum(axis=-1) / total
        dx, dy = x - mean_x[:, None], y - mean_y[:, None]
        spread = (w * dx**2).sum(axis=-1)
        slope = (w * dx * dy).sum(axis=-1) / np.where(spread > 0, spread, np.nan)
        return mean_y - slope * mean_x, slope, np.sqrt((w * dy**2).sum(axis=-1) / total)


def _cumulant_noise(draws: Array) -> Array:
    """Spread of the cumulant of each cell over resamples, from their quartiles, `[cell]`."""
    low, high = np.nanquantile(np.where(np.isnan(draws).all(axis=0), 0.0, draws), [0.25, 0.75], 0)
    return np.maximum((high - low) / 1.349, 1e-3)


def crossings(sample: Sample, cumulant: Array, noise: Array) -> Crossings:
    """The dominant crossing of every pair of sizes, by linear interpolation.

    Where the noise of the cumulants `[draw, cell]` is large, `[cell]`, a crossing weighs little.
    """
    inverse, places = list[float](), list[Array]()
    for i in range(sample.sizes.size):
        for j in range(i + 1, sample.sizes.size):
            a, b = sample.cells_of(i), sample.cells_of(j)
            xa, xb = sample.control[a], sample.control[b]
            grid = np.unique(np.concatenate([xa, xb]))
            grid = grid[(grid >= max(xa[0], xb[0])) & (grid <= min(xa[-1], xb[-1]))]
            inverse.append(0.5 * (1.0 / sample.sizes[i] + 1.0 / sample.sizes[j]))
            if grid.size < 2:
                places.append(np.full(len(cumulant), np.nan))
                continue
            difference = _linear(cumulant[:, b], xb, grid) - _linear(cumulant[:, a], xa, grid)
            spread = _linear(noise[None, a] ** 2, xa, grid) + _linear(noise[None, b] ** 2, xb, grid)
            places.append(dominant_crossing(grid, difference, np.sqrt(spread[0])))
    return Crossings(np.array(inverse), np.stack(places, axis=-1))


def _linear(values: Array, x: Array, grid: Array) -> Array:
    """Linear interpolation of many curves, `[draw, point]` to `[draw, grid]`."""
    right = np.clip(np.searchsorted(x, grid), 1, x.size - 1)
    share = (grid - x[right - 1]) / (x[right] - x[right - 1])
    on_left, on_right = share == 0.0, share == 1.0  # a missing neighbour is not looked at
    mixed = values[:, right - 1] * (1.0 - share) + values[:, right] * share
    return np.where(on_left, values[:, right - 1], np.where(on_right, values[:, right], mixed))


def _pair_weights(draws: Crossings, min_share: float) -> Array:
    """Inverse variance of each pair's crossing, `[pair]`, by the distance of its quartiles.

    0 where the pair crosses in less than the `min_share` of the draws. Crossings have outliers.
    """
    weight = np.zeros(draws.inverse_size.size)
    for pair, places in enumerate(draws.place.T):
        seen = places[np.isfinite(places)]
        if seen.size >= max(min_share * places.size, 2):
            low, high = np.quantile(seen, [0.25, 0.75])
            weight[pair] = 1.0 / max((high - low) / 1.349, 1e-12) ** 2
    return weight


def crossing_link(
    draws: Draws, min_share: float, level: float
) -> tuple[Link, dict[str, Crossed], Found]:
    """Cumulants of every kind, their crossings, and the drift of these with 1 / size."""
    own, again, smooth = (cumulants(m) for m in (draws.own, draws.again, draws.smooth))
    found, by_kind = Found(), dict[str, Crossed]()
    inverse = 1.0 / draws.sample.sizes
    for kind in KINDS:
        found.curves[f"cell.{kind}"] = [None if np.isnan(v) else float(v) for v in own[kind][0]]
        noise = _cumulant_noise(again[kind])
        pairs, redrawn = (crossings(draws.sample, c[kind], noise) for c in (own, again))
        weight = _pair_weights(redrawn, min_share)
        place, slope, spread = pairs.drift(weight)
        places, slopes, _ = redrawn.drift(weight)
        null = crossings(draws.sample, smooth[kind], noise).drift(np.maximum(weight, 1e-300))[2]
        found.curves["pair.inverse_size"] = pairs.inverse_size.tolist()
        found.curves.update(spread_columns(f"pair.{kind}", pairs.place[0], redrawn.place, level))
        each = (Crossings(inverse, _lowest(draws.sample, u[kind])) for u in (own, again))
        lowest, lowests = (of.drift(np.ones(inverse.size))[0] for of in each)
        found.params[f"u4_lowest_{kind}"] = parameter(float(lowest[0]), lowests, level)
        if np.isnan(place[0]):
            by_kind[kind] = Crossed(None, None, 1.0)
            continue
        # the closer the crossings lie the more they show; none at all is as far as can be
        close, closes = (-np.nan_to_num(s, nan=np.inf, posinf=np.inf) for s in (spread, null))
        p = tail_share(float(close[0]), closes)
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
