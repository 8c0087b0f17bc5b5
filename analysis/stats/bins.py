"""Counts of replicas with the event per weight decay, and what they say before any fit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.observations import Array, Observations, critical_words
from observatory.analysis.stats.solvers import fisher_p, xlogy
from observatory.core.errors import FitRefusedError

_FALLS = 3.84
"""Twice the log-likelihood by which a falling step must beat every rising one."""


@dataclass(frozen=True)
class RateBins:
    """Counts per distinct weight decay, in rising order."""

    x: Array  # log10 of the weight decay, `[bin]`
    n: Array  # replicas, `[bin]`
    k: Array  # replicas with the event, `[bin]`
    # replicas of each seed, `[seed, bin]`; null where seeds do not recur over bins
    n_by: Array | None = None
    k_by: Array | None = None  # replicas of each seed with the event, likewise
    control: str = "weight decay"  # what the weight decay is called
    sign: int = 1  # -1 where x is minus log10, so that an upper edge rises along it
    event: str = "grokked"  # what the event is called

    @property
    def rate(self) -> Array:
        """Share of replicas with the event, `[bin]`."""
        return self.k / self.n

    @property
    def weight_decay(self) -> Array:
        """The weight decays, `[bin]`."""
        return 10.0 ** (self.sign * self.x)

    def turned(self) -> "RateBins":
        """The same counts with the axis turned round: a falling edge becomes a rising one."""
        n_by, k_by = (None if by is None else by[:, ::-1] for by in (self.n_by, self.k_by))
        x, n, k = -self.x[::-1], self.n[::-1], self.k[::-1]
        return RateBins(x, n, k, n_by, k_by, self.control, -self.sign, self.event)


def bin_rates(observations: Observations) -> RateBins:
    """Count the replicas with the event at each distinct weight decay, and of each seed.

    Raises:
        ValueError: If a weight decay is not positive: the axis is logarithmic.
    """
    name = observations.control
    if np.any(observations.weight_decay <= 0):
        raise ValueError(f"`{name}` must be positive on a log axis. Use `within` first.")
    cells, index = np.unique(observations.weight_decay, return_inverse=True)
    weight = observations.weights
    k_weight = weight * observations.grokked
    n, k = _counted(index, weight, cells.size), _counted(index, k_weight, cells.size)
    n_by = k_by = None
    if observations.seed is not None and seeds_recur(index, observations.seed, weight):
        seeds, which = np.unique(observations.seed, return_inverse=True)
        shape = (seeds.size, cells.size)
        flat, size = which * cells.size + index, seeds.size * cells.size
        n_by = _counted(flat, weight, size).reshape(shape)
        k_by = _counted(flat, k_weight, size).reshape(shape)
    return RateBins(np.log10(cells), n, k, n_by, k_by, name, event=observations.event)


def seeds_recur(cell: NDArray[np.intp], seed: NDArray[np.int64], weight: Array) -> bool:
    """Whether replicas share seeds; not where every cell has one: all resamples would be alike."""
    return seeds_shared(seed, weight) and several_seeds(cell, seed)


def seeds_shared(seed: NDArray[np.int64], weight: Array) -> bool:
    """Whether some seed has more than one replica."""
    seeds, which = np.unique(seed, return_inverse=True)
    return bool(np.any(_counted(which, weight, seeds.size) > 1.0))


def several_seeds(cell: NDArray[np.intp], seed: NDArray[np.int64]) -> bool:
    """Whether some cell has more than one seed."""
    pairs = np.unique(np.stack([cell, seed], axis=1), axis=0)
    return len(pairs) > np.unique(cell).size


def distinct_rows(table: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each distinct row first stands, and which of these every row is.

    Example:
        >>> [a.tolist() for a in distinct_rows(np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0]]))]
        [[0, 1], [0, 1, 0]]
    """
    places: dict[bytes, int] = {}
    back = [places.setdefault(row.tobytes(), len(places)) for row in np.ascontiguousarray(table)]
    which = np.array(back, dtype=np.intp)
    return np.unique(which, return_index=True)[1], which


def _counted(index: NDArray[np.intp], weight: Array, size: int) -> Array:
    return np.asarray(np.bincount(index, weights=weight, minlength=size), dtype=np.float64)


def require_boundary(bins: RateBins) -> None:
    """Refuse counts in which no boundary can lie.

    Raises:
        FitRefusedError: If there are fewer than two weight decays, less than one replica at one of
            them, or all or no replicas had the event.
    """
    name = bins.control
    if np.any(bins.n < 1.0 - 1e-9):
        least = int(np.argmin(bins.n))
        raise FitRefusedError(
            f"The weights at {name} {bins.weight_decay[least]:g} add up to {bins.n[least]:.3g} "
            "replicas: a rate needs one. Give the weights as numbers of replicas."
        )
    if bins.x.size < 2:
        raise FitRefusedError(
            f"A boundary needs at least two {name}s, got {bins.x.size}. "
            "Add some on both sides of the transition."
        )
    low, high = sorted(bins.weight_decay[[0, -1]])
    more, less = ("larger", "smaller")[:: bins.sign]
    had = f"had the event `{bins.event}` between {low:g} and {high:g}"
    if not bins.k.any():
        raise FitRefusedError(f"No replica {had}. Add {more} {name}s or a longer horizon.")
    if np.all(bins.k == bins.n):
        raise FitRefusedError(f"Every replica {had}. Add {less} {name}s or a shorter horizon.")


def require_rise(bins: RateBins) -> None:
    """Refuse counts that a falling step describes better than any rising one, and by how much.

    Raises:
        FitRefusedError: If twice the logarithm of their likelihood ratio exceeds 3.84, that of one
            parameter at 0.05.
    """
    rise, fall = (_step(bins, falls) for falls in (False, True))
    if 2.0 * (fall[0] - rise[0]) <= _FALLS:
        return
    j, name = fall[1], bins.control
    shares = [(bins.k[part].sum(), bins.n[part].sum()) for part in (slice(j), slice(j, None))]
    (k0, n0), (k1, n1) = shares[:: bins.sign]
    at = bins.weight_decay[[j - 1, j][:: bins.sign]]
    word, other = ("falls", "upper") if bins.sign > 0 else ("rises", "lower")
    hint = (
        "`--estimator firth --set edge=upper`"
        if bins.sign > 0
        else "another estimator, such as `firth`"
    )
    raise FitRefusedError(
        f"The event rate {word} with {name}: {k0:g} of {n0:g} had the event `{bins.event}` up to "
        f"{at[0]:g}, {k1:g} of {n1:g} from {at[1]:g}. These counts show the {other} edge alone: "
        f"fit it by {hint}."
    )


def require_inside(bins: RateBins, x0: float) -> None:
    """Refuse a critical point more than a decade beyond the values tried.

    Raises:
        FitRefusedError: If it is.
    """
    if not bins.x[0] - 1.0 < x0 < bins.x[-1] + 1.0:
        low, high = sorted(bins.weight_decay[[0, -1]])
        power = bins.sign * x0  # of a flat rate, hundreds of decades away
        value = f"{10.0**power:.2g}" if abs(power) < 100.0 else f"1e{power:+.0f}"
        steps = " ".join(non_monotone(bins)) or "Their rates lie on one side of its midpoint."
        raise FitRefusedError(
            f"The {critical_words(bins.control)} would be {value}, more than a decade beyond the "
            f"values tried, {low:g} to {high:g}: that is no estimate. {steps} Add values on "
            "both sides of the edge, and fit runs that are alike."
        )


def _step(bins: RateBins, falls: bool) -> tuple[float, int]:
    """The greatest log-likelihood of two rates, the second lower or not, and where it begins."""
    found = [(_log_likelihood(bins.k.sum(), bins.n.sum()), 1)]
    for j in range(1, bins.x.size):
        (k0, n0), (k1, n1) = (
            (bins.k[part].sum(), bins.n[part].sum()) for part in (slice(j), slice(j, None))
        )
        if (k1 / n1 < k0 / n0) == falls:
            found.append((_log_likelihood(k0, n0) + _log_likelihood(k1, n1), j))
    return max(found)


def _log_likelihood(k: float, n: float) -> float:
    return float(xlogy(k, k / n) + xlogy(n - k, 1.0 - k / n))


def separation_reason(bins: RateBins) -> str:
    """Why the slope is unbounded, and which weight decays would bound it."""
    partial = np.flatnonzero((bins.k > 0) & (bins.k < bins.n))
    below, above = np.flatnonzero(bins.k == 0), np.flatnonzero(bins.k == bins.n)
    low = bins.weight_decay[below[-1]] if below.size else bins.weight_decay[0]
    high = bins.weight_decay[above[0]] if above.size else bins.weight_decay[-1]
    low, high = min(low, high), max(low, high)
    return (
        f"Separation: {partial.size} of {bins.x.size} {bins.control}s have a rate "
        "strictly between 0 and 1, and the best curve has infinite slope: any steeper one fits at "
        f"least as well. Add {bins.control}s between {low:g} and {high:g}, add seeds "
        "there, smooth the rates, or use Firth's estimator."
    )


def non_monotone(bins: RateBins) -> list[str]:
    """A warning where the rate falls as weight decay grows, with the largest fall and its p."""
    rate = bins.rate
    peak = np.maximum.accumulate(rate)
    later = int(np.argmax(peak - rate))
    if peak[later] <= rate[later]:
        return []
    earlier = int(np.argmax(rate[:later]))
    p_value = fisher_p([[round(bins.k[i]), round(bins.n[i] - bins.k[i])] for i in (earlier, later)])
    return [
        f"The rate is not monotone: it falls from {rate[earlier]:.2f} at {bins.control} "
        f"{bins.weight_decay[earlier]:g} to {rate[later]:.2f} at {bins.weight_decay[later]:g} "
        f"(Fisher's exact p = {p_value:.2g}, uncorrected)."
    ]
