"""Every profile limit of the likelihood fits of a boundary, beside brute force on random tables.

Brute force holds the parameter, looks at a few thousand places for the others, and climbs from the
best dozen. The limit is right where the profile has fallen by half the quantile there, and stays
below it everywhere beyond. 200 random tables in all, seeds stated.
"""

from collections.abc import Callable

import numpy as np
import pytest

from observatory.analysis.boundary.estimators import profile
from observatory.analysis.boundary.estimators.beta_binomial import BoundaryBetaBinomial
from observatory.analysis.boundary.estimators.firth import BoundaryFirth
from observatory.analysis.boundary.estimators.likelihood import firth_likelihood
from observatory.analysis.boundary.estimators.maximum_likelihood import BoundaryMle
from observatory.analysis.boundary.estimators.profile import LikelihoodFit, Maximum
from observatory.analysis.boundary.estimators.ratio import boundary_ratio
from observatory.analysis.boundary.estimators.seed_effect import BoundarySeedEffect
from observatory.analysis.boundary.estimators.window import BoundaryWindow
from observatory.analysis.stats.ascent import climb
from observatory.analysis.stats.bins import bin_rates
from observatory.analysis.stats.observations import Observations, from_counts
from observatory.analysis.stats.solvers import chi2_quantile, f_quantile
from observatory.core.errors import FitRefusedError

pytestmark = pytest.mark.usefixtures("without_checks_of_calls")
GRID = np.array([0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0])
ROUNDING = 0.02
"""Of a log-likelihood; 0.02 moves a limit by about a hundredth of its distance."""
NEAR = 1e-3
"""Decades from a limit within which a steep profile must cross."""


def mle(lapse: float | None, guess: float | None = 0.0) -> BoundaryMle:
    return BoundaryMle(
        link="logistic",
        edge="lower",
        window_max=1.0,
        guess=guess,
        lapse=lapse,
        interval="profile",
        n_bootstrap=20,
        n_simulations=0,
        n_studies=0,
        level=0.95,
    )


def rising(rng: np.random.Generator, n_each: int = 8) -> np.ndarray:
    """Counts of a curve with up to a tenth of lapses."""
    centre, slope = rng.uniform(-2.0, -0.3), np.exp(rng.uniform(np.log(2.0), np.log(40.0)))
    p = (1.0 - rng.uniform(0.0, 0.1)) / (1.0 + np.exp(-slope * (np.log10(GRID) - centre)))
    return rng.binomial(n_each, p)


def counts(rng: np.random.Generator) -> Observations:
    return from_counts(GRID, np.full(GRID.size, 8), rising(rng), "first99", 2500)


def window_counts(rng: np.random.Generator) -> Observations:
    x, (left, width) = np.log10(GRID), rng.uniform([-2.0, 0.5], [-1.2, 1.2])
    slopes = np.exp(rng.uniform(np.log(3.0), np.log(30.0), 2))
    p = 1.0 / (1.0 + np.exp(-slopes[0] * (x - left)))
    p = p / (1.0 + np.exp(slopes[1] * (x - left - width)))
    return from_counts(GRID, np.full(GRID.size, 12), rng.binomial(12, p), "first99", 2500)


def seeded(rng: np.random.Generator, n_seeds: int = 8) -> Observations:
    """Runs of seeds, each with a critical point of its own."""
    own = rng.uniform(-1.6, -0.6) + rng.uniform(0.0, 0.4) * rng.normal(size=(n_seeds, 1))
    slope = np.exp(rng.uniform(np.log(4.0), np.log(30.0)))
    grokked = rng.random((n_seeds, GRID.size)) < 1 / (1 + np.exp(-slope * (np.log10(GRID) - own)))
    seeds = np.repeat(np.arange(n_seeds), GRID.size)
    none = np.full(seeds.size, np.nan)
    return Observations(
        np.tile(GRID, n_seeds), grokked.ravel(), none, "first99", 2500, None, seed=seeds
    )


def brute_force(
    found: Maximum, x: np.ndarray, held: int | None, values: np.ndarray, n_places: int
) -> np.ndarray:
    """The greatest log-likelihood at each value of a parameter."""
    rng = np.random.default_rng(0)
    low, high = found.low.copy(), found.high.copy()
    inner = [low.copy(), high.copy()]  # places that matter: near the data, slopes that show
    for i, name in enumerate(found.names):
        if name.startswith("critical"):
            inner[0][i], inner[1][i] = -3.5, 1.0
        if name.startswith("slope"):
            inner[0][i], inner[1][i] = np.log(0.3), min(np.log(300.0), high[i])
    starts: list[np.ndarray] = []
    boxes: list[tuple[np.ndarray, np.ndarray]] = []
    for value in values:
        places = rng.uniform(*inner, size=(n_places, low.size))
        if held is not None:
            places[:, held] = value
        ends = rng.random(places.shape)  # a third on each end of a share's box, and in between
        shares = [i for i in range(low.size) if not found.names[i].startswith(("crit", "slope"))]
        for i in shares:
            places[:, i] = np.where(ends[:, i] < 0.4, inner[0][i], places[:, i])
        step = x[rng.integers(0, x.size, n_places // 3)]  # a steep curve must pass through a rate
        width = rng.normal(0.0, 3.0, step.size) / np.exp(places[: step.size, 1])
        places[: step.size, 0] = step + width
        places = np.concatenate([places, np.tile(found.theta, (9, 1))])
        places[-9:, 1] += np.linspace(-2, 2, 9)
        lows, highs = low.copy(), high.copy()
        if held is not None:
            places[:, held] = lows[held] = highs[held] = value
        places = np.clip(places, lows, highs)
        rows = np.arange(len(places))
        order = np.argsort(-found.evaluate(places, rows)[0])[:12]
        starts.append(np.concatenate([places[order], places[-9:]]))
        boxes.append((np.tile(lows, (21, 1)), np.tile(highs, (21, 1))))
    lows, highs = (np.concatenate(ends) for ends in zip(*boxes, strict=True))
    climbed = climb(found.evaluate, np.concatenate(starts), lows, highs, 1e-10)[1]
    return climbed.reshape(values.size, 21).max(axis=1)


def wrong_limits(
    fit: LikelihoodFit, data: Observations, which: tuple[str, ...], n_places: int
) -> list[str] | None:
    """What brute force says of the limits of a fit; None where it refuses."""
    kept: list[tuple[Maximum, np.ndarray, int | None]] = []
    real = profile.profiled

    def spy(found, x, level, degrees=None):
        kept.append((found, x, degrees))
        return real(found, x, level, degrees)

    module = __import__(type(fit).__module__, fromlist=["profiled"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "profiled", spy)
        try:
            params = fit.fit(data, 0).params
        except FitRefusedError:
            return None
    (found, x, degrees), said = kept[0], list[str]()
    if data.seed is not None:
        assert degrees == len(set(data.seed)) - 1
    if isinstance(fit, BoundaryBetaBinomial):
        assert degrees == GRID.size - 2
    drop = 0.5 * (chi2_quantile(0.95, 1) if degrees is None else f_quantile(0.95, 1, degrees))
    top = brute_force(found, x, None, np.zeros(1), 3 * n_places)[0]
    if top > found.value + 1e-3:
        said.append(f"maximum {found.value:.4f}, brute force {top:.4f}")
    for i in np.flatnonzero(found.free):
        name = found.names[i]
        if name not in which:
            continue
        logs = np.log10 if name.startswith("critical") else np.log
        reach = (
            (x[0] - 1, x[-1] + 1) if name.startswith("critical") else (found.low[i], found.high[i])
        )
        for end, limit in zip(reach, (params[name].ci_low, params[name].ci_high), strict=True):
            natural = not name.startswith(("critical", "slope"))
            at = end if limit is None else limit if natural else float(logs(limit))
            values = np.linspace(at, end, 4) if abs(end - at) > 1e-9 else np.array([end])
            fallen = top - brute_force(found, x, int(i), values, n_places)
            open_end = limit is None or (natural and abs(at - end) < 1e-9)
            if open_end and fallen[0] > drop + ROUNDING:
                said.append(f"{name} has a limit before {end:g}: {fallen[0]:.3f}")
            if not open_end and not abs(fallen[0] - drop) < ROUNDING:
                side = NEAR * np.array([-1.0, 1.0]) * np.sign(end - found.theta[i])
                inner, outer = top - brute_force(found, x, int(i), at + side, n_places)
                if not inner - ROUNDING < drop < outer + ROUNDING:
                    said.append(f"{name} {limit}: fallen by {fallen[0]:.3f}, not {drop:.3f}")
            if not open_end and fallen[1:].min() < drop - ROUNDING:
                said.append(f"{name} {limit}: {fallen[1:].min():.3f} beyond")
    return said


CRITICAL = ("critical", "critical_upper")
EVERY = ("critical", "slope", "lapse", "guess", "overdispersion", "seed_spread")
FITS: dict[str, tuple[LikelihoodFit, Callable, tuple[str, ...], int, int]] = {
    "no lapses": (mle(0.0), counts, EVERY, 109, 200),
    "lapses": (mle(None), counts, EVERY, 20, 400),
    "guesses and lapses": (mle(None, None), counts, CRITICAL, 10, 800),
    "Firth": (
        BoundaryFirth(edge="lower", window_max=1.0, n_simulations=0, level=0.95),
        counts, EVERY, 30, 150,
    ),
    "beta-binomial": (
        BoundaryBetaBinomial(link="logistic", window_max=1.0, lapse=0.0, level=0.95),
        counts, CRITICAL, 15, 300,
    ),
    "seed effect": (
        BoundarySeedEffect(link="logistic", window_max=1.0, lapse=0.0, level=0.95),
        seeded, CRITICAL, 2, 30,
    ),
    "window": (
        BoundaryWindow(link="logistic", window_max=None, lapse=0.0, n_simulations=20, level=0.95),
        window_counts, CRITICAL, 3, 300,
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_profile_limits_are_those_of_brute_force(name: str) -> None:
    fit, make, which, n_tables, n_places = FITS[name]
    rng, answered, wrong = np.random.default_rng(20), 0, list[str]()
    while answered < n_tables:
        said = wrong_limits(fit, make(rng), which, n_places)
        answered += said is not None
        wrong += [f"table {answered}: {words}" for words in said or ()]
    assert wrong == []


def best_by_grid(data: Observations, centres: np.ndarray) -> np.ndarray:
    """The penalised log-likelihood at each critical point, the slope on a dense grid."""
    bins, slopes = bin_rates(data), np.linspace(np.log(0.3), np.log(400.0), 120)
    evaluate = firth_likelihood(bins.x, bins.n[None], bins.k[None])
    places = np.zeros((centres.size, slopes.size, 4))
    places[..., 0], places[..., 1] = centres[:, None], slopes
    rows = places.reshape(-1, 4)
    value = evaluate(rows, np.arange(len(rows)))[0]
    return value.reshape(centres.size, slopes.size).max(axis=1)


@pytest.mark.slow
def test_limits_of_a_ratio_are_those_of_brute_force() -> None:
    """Not the values at which the profiles are added, which lie 0.005 decades apart; 10 pairs."""
    rng, answered = np.random.default_rng(21), 0
    while answered < 10:
        a, b = counts(rng), counts(rng)
        try:
            found = boundary_ratio(a, b, ("a", "b"), 0.95, 20, 0)
        except FitRefusedError:
            continue
        answered += 1
        at = np.log10(float(found.extras["critical_denominator"])) + np.linspace(-0.8, 0.8, 161)
        below = best_by_grid(b, at)
        ratio = found.params["ratio"]
        top = best_by_grid(a, at + np.log10(ratio.value)).max() + below.max()
        for limit in (ratio.ci_low, ratio.ci_high):
            if limit is not None:
                held = (best_by_grid(a, at + np.log10(limit)) + below).max()
                assert 2.0 * (top - held) == pytest.approx(chi2_quantile(0.95, 1), abs=0.06)
