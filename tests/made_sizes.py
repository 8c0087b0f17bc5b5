"""Order parameters by size, control and seed with a planted transition, crossover, or exact law."""

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

from observatory.analysis.fit.settings import build, settings_of
from observatory.analysis.scaling.estimators.chain import FiniteSizeChain
from observatory.analysis.scaling.estimators.sample import SizedRows

SIZES = (16, 32, 64, 128, 256)
CRITICAL = 0.4
QUICK = {"n_bootstrap": 60, "n_null": 39, "n_profile": 5, "n_starts": 8, "n_uniform": 99}
"""Fewer draws than the usual ones: intervals and p-values are coarse."""


def chain(**changes: object) -> FiniteSizeChain:
    """The chain as conf/fit has it, some numbers changed."""
    return build(*settings_of("scaling", "scaling", changes))


def rows_of(value: np.ndarray, sizes: Sequence[float], control: np.ndarray) -> SizedRows:
    """Rows from an array `[size, control, seed]`."""
    n = value.shape[2]
    grid = np.meshgrid(np.asarray(sizes, dtype=float), control, np.arange(n), indexing="ij")
    size, x, seed = (part.ravel() for part in grid)
    return SizedRows(size, x, value.ravel(), seed.astype(np.int64), "m")


def scaled(
    rng: np.random.Generator,
    *,
    inverse_nu: float = 1.0,
    zeta_over_nu: float = 0.0,
    drift: float = 0.0,
    noise: float = 0.15,
    sizes: Sequence[float] = SIZES,
    n_control: int = 25,
    n_seeds: int = 30,
) -> SizedRows:
    """m = L^b (F(u) + G(u) z), u = (x - 0.4 - drift ln L) L^a / 0.05, L in units of 64.

    With inverse_nu = 0 a smooth crossover, whose centre may drift with size.
    """
    control = np.linspace(0.2, 0.6, n_control)
    length = np.asarray(sizes, dtype=float)[:, None, None] / 64.0
    place = control[None, :, None] - CRITICAL - drift * np.log(length)
    u = place * length**inverse_nu / 0.05
    z = rng.normal(size=(len(sizes), n_control, n_seeds))
    scatter = noise * (0.3 + np.exp(-(u**2) / 4.0)) * z
    return rows_of(length**zeta_over_nu * (1.0 / (1.0 + np.exp(-u)) + scatter), sizes, control)


def thresholds(rng: np.random.Generator, n_control: int = 15, n_seeds: int = 20) -> SizedRows:
    """A smooth crossover of another kind: each network jumps, at a place of its own."""
    control = np.linspace(0.2, 0.6, n_control)
    z = rng.normal(size=(2, len(SIZES), n_control, n_seeds))
    u = (control[None, :, None] - CRITICAL - 0.04 * z[0]) / 0.005
    value = 1.0 / (1.0 + np.exp(-np.clip(u, -50, 50))) + 0.02 * z[1]
    return rows_of(value, SIZES, control)


def limited(
    rng: np.random.Generator, noise: float, width: float, rest: float, n_seeds: int
) -> SizedRows:
    """A crossover whose width, width * (1 + rest / L), tends to a limit."""
    control = np.linspace(0.2, 0.6, 15)
    length = np.asarray(SIZES, dtype=float)[:, None, None]
    u = np.clip((control[None, :, None] - CRITICAL) / (width * (1.0 + rest / length)), -500, 500)
    z = rng.normal(size=(len(SIZES), control.size, n_seeds))
    value = 1.0 / (1.0 + np.exp(-u)) + noise * (0.3 + np.exp(-(u**2) / 4.0)) * z
    return rows_of(value, SIZES, control)


def curie_weiss(rng: np.random.Generator, sizes: Sequence[int], n_seeds: int) -> SizedRows:
    """|m| of the Curie-Weiss model by temperature, drawn from its exact distribution.

    Critical temperature 1; in the number of spins 1 / nu = 1 / 2 and zeta / nu = -1 / 4.
    """
    temperature = np.linspace(0.8, 1.2, 25)
    value = np.empty((len(sizes), temperature.size, n_seeds))
    for i, n in enumerate(sizes):
        down = np.arange(n + 1)
        total = n - 2.0 * down
        ways = gammaln(n + 1) - gammaln(down + 1) - gammaln(n - down + 1)
        for j, t in enumerate(temperature):
            log_weight = ways + total**2 / (2.0 * n * t)
            weight = np.exp(log_weight - log_weight.max())
            drawn = rng.choice(total, size=n_seeds, p=weight / weight.sum())
            value[i, j] = np.abs(drawn) / n
    return rows_of(value, sizes, temperature)
