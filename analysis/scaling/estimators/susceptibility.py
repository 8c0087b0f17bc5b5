r"""How the largest variance over seeds grows with size: a power, or a law that levels off.

$\chi = n_s \mathrm{Var}(m)$; every law is fitted to ln chi by least squares.
"""

from dataclasses import dataclass

import numpy as np

from observatory.analysis.scaling.estimators.found import (
    Curves,
    Draws,
    Found,
    limits_of,
    parameter,
    spread_columns,
    tail_share,
)
from observatory.analysis.scaling.estimators.sample import Array, Moments, Sample
from observatory.analysis.scaling.estimators.verdicts import Link, judge_susceptibility
from observatory.analysis.stats.estimate import Plain

LAWS = ("constant", "power", "logarithm", "saturating", "hill")
_N_NUMBERS = {"constant": 1, "power": 2, "logarithm": 2, "saturating": 2, "hill": 3}
"""Numbers of each law; the spread about it is one more."""


@dataclass(frozen=True)
class Laws:
    """Laws fitted to the largest susceptibility of each size, in each draw."""

    exponent: Array  # gamma / nu of the power law, `[draw]`
    aicc: dict[str, Array]  # by law; infinite where there are too few sizes for it, each `[draw]`
    fitted: dict[str, Array]  # ln chi of each law, `[draw, size]`


def peaks(sample: Sample, moments: Moments) -> Array:
    """Largest n_s Var(m) of each size, `[draw, size]`.

    n_s is the median number of seeds of all cells: with its own for each, a size with more seeds
    would seem to fluctuate more.
    """
    variance = moments.variance
    each = [variance[:, sample.cells_of(s)].max(axis=-1) for s in range(sample.sizes.size)]
    return float(np.median(sample.n)) * np.stack(each, axis=-1)


def peaks_at_ends(sample: Sample, moments: Moments) -> list[float]:
    """The sizes whose variance is largest at an end of the control."""
    found = list[float]()
    for size in range(sample.sizes.size):
        variance = moments.variance[0, sample.cells_of(size)]
        if int(np.argmax(variance)) in (0, variance.size - 1):
            found.append(float(sample.sizes[size]))
    return found


def _shapes(size: Array) -> dict[str, Array]:
    """Ln of each law with amplitude 1, for each of its other numbers, `[candidate, size]`.

    The power law is not among them: it is a line in ln size.
    """
    low = float(size.min())
    over = np.geomspace(1e-2, 1e3, 200)[:, None]
    rate = np.geomspace(1e-3, 30.0, 200)[:, None] / low
    middle = np.geomspace(0.03 * low, 30.0 * float(size.max()), 80)[:, None, None]
    power = np.geomspace(0.25, 8.0, 26)[:, None]
    hill = -np.logaddexp(0.0, power * (np.log(middle) - np.log(size)))
    return {
        "constant": np.zeros((1, size.size)),
        "logarithm": np.log(np.log(size / low) + over),
        "saturating": np.log(-np.expm1(-rate * size)),
        "hill": hill.reshape(-1, size.size),
    }


def fit_laws(size: Array, chi: Array) -> Laws:
    """Fit every law by least squares of ln chi, `[draw, size]`, positive, sizes rising.

    Akaike's criterion is corrected for few sizes: n ln(RSS / n) + 2 k + 2 k (k + 1) / (n - k - 1);
    k counts the spread.
    """
    y = np.log(np.maximum(chi, 1e-300))
    mean = y.mean(axis=-1, keepdims=True)
    x = np.log(size) - np.log(size).mean()
    exponent = (y @ x) / (x @ x)
    fitted = {"power": mean + exponent[:, None] * x}
    for law, shape in _shapes(size).items():
        centred = shape - shape.mean(axis=-1, keepdims=True)
        left = (centred**2).sum(axis=-1) - 2.0 * (y - mean) @ centred.T
        fitted[law] = mean + centred[np.argmin(left, axis=-1)]
    aicc = {law: _criterion(((y - fitted[law]) ** 2).sum(axis=-1), size.size, law) for law in LAWS}
    return Laws(exponent, aicc, fitted)


def _criterion(rss: Array, n: int, law: str) -> Array:
    """Akaike's corrected criterion of a law with `rss` left at n sizes."""
    k = _N_NUMBERS[law] + 1
    if n - k - 1 <= 0:
        return np.full(rss.shape, np.inf)
    return n * np.log(np.maximum(rss, 1e-12) / n) + 2.0 * k + 2.0 * k * (k + 1) / (n - k - 1)


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
