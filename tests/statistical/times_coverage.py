"""What the printed intervals of times to grok cover, by the number of seeds.

Studies are those of `tests.made_times`: 300 steps / (weight decay - critical), errors of 0.3 in
ln t, a horizon of 6000 steps and looks every 25. Rows of `tests.statistical.interval_coverage`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.stats import norm

from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.observations import Observations
from observatory.analysis.times.estimators.censored import TimesAft
from observatory.analysis.times.estimators.survival import Survival
from observatory.analysis.times.estimators.time_ratio import time_ratio
from observatory.analysis.times.estimators.uncensored import TimePowerLaw
from observatory.core.errors import FitRefusedError
from tests.made_times import Made

LEVEL = 0.95
N_DRAWS = 300
"""Resamples of a fit, as in conf/fit/study.yaml."""
SHARES = (0.1, 0.5, 0.9)
"""True shares that have had the event where the band of a curve is judged."""
DECAYS = {"all": 0.3, "three quarters": 0.06, "a quarter": 0.04}
"""Weight decays by how many have the event by the horizon: 1.00, 0.73 and 0.23 of them."""
Held = dict[str, np.ndarray]


def studies(made: Made, n_studies: int) -> list[Observations]:
    """Tables of one truth; as many rows of the same numbers for every interval."""
    times = made.times(n_studies, np.random.default_rng([140, made.n_seeds]))
    return [made.table(row) for row in times]


def survivors(made: Made, steps: np.ndarray) -> np.ndarray:
    """The true share without the event after so many steps, of one weight decay."""
    with np.errstate(divide="ignore"):
        return norm.sf(np.log(steps * made.cells[0] / made.amplitude) / made.noise)


def survival(decay: float, n_studies: int, n_seeds: int) -> Held:
    """Of one weight decay: the median, the restricted mean, the band of the share.

    Times are those of looks, and so is the truth. Where a band has no limits it is not judged.
    """
    made = Made(cells=(decay,), n_seeds=n_seeds)
    looks = np.arange(0.0, made.horizon + made.look, made.look)
    left = survivors(made, looks)
    median = made.look * np.ceil(made.amplitude / decay / made.look)
    mean = made.look * left[:-1].sum()
    at = [i for i in (int(np.argmax(left <= 1.0 - s + 1e-9)) for s in SHARES) if i]
    found: dict[str, list[float]] = {}
    for data in studies(made, n_studies):
        try:
            curves = Survival(window_max=None, level=LEVEL).fit(data, 0).curves
        except FitRefusedError:
            continue
        for name, true in (("median", median), ("rmst", mean)):
            ends = (curves[f"{name}.low"][0], curves[f"{name}.high"][0])
            found.setdefault(name, []).append(_within(*ends, true))
        steps = np.array(curves["km.step"], dtype=float)
        for i in at:
            j = int(np.searchsorted(steps, looks[i], side="right")) - 1
            ends = (curves["km.low"][j], curves["km.high"][j])
            name = f"share, where it is {1.0 - left[i]:.1f}"
            found.setdefault(name, []).append(_within(*ends, 1.0 - left[i]))
    return {name: np.array(rows)[~np.isnan(rows)] for name, rows in found.items()}


def _within(low: float | None, high: float | None, true: float) -> float:
    """1 where the limits hold the truth, 0 where not, NaN where there is none."""
    if low is None and high is None:
        return np.nan
    return float((-np.inf if low is None else low) <= true <= (np.inf if high is None else high))


def law(fit: TimesAft | TimePowerLaw, made: Made, n_studies: int, n_seeds: int) -> Held:
    """The parameters of a law of the times."""
    truth = {"nu": made.nu, "amplitude": made.amplitude, "critical": made.critical}
    truth["sigma"] = made.noise
    found: dict[str, list[float]] = {}
    for data in studies(replace(made, n_seeds=n_seeds), n_studies):
        try:
            params = fit.fit(data, 0).params
        except FitRefusedError:
            continue
        for name, at in params.items():
            found.setdefault(name, []).append(_held(at, truth[name]))
    return {name: np.array(rows) for name, rows in found.items()}


def _held(at: Parameter, true: float) -> float:
    return _within(at.ci_low, at.ci_high, true)


def ratio(distribution: str, seed_sd: float, n_studies: int, n_seeds: int) -> Held:
    """The ratio of the times of two groups, 1.3, seeds acting alike on both and on each."""
    made = Made(distribution=distribution, n_seeds=n_seeds, seed_sd=seed_sd)
    slower = replace(made, amplitude=1.3 * made.amplitude)
    rng = np.random.default_rng([141, n_seeds])
    both = [group.times(n_studies, rng) for group in (slower, made)]
    alike = np.exp(0.2 * rng.normal(size=(n_studies, n_seeds)))[:, made.seeds]
    found: list[float] = []
    for a, b, shared in zip(*both, alike, strict=True):
        try:
            fit = time_ratio(slower.table(a * shared), made.table(b * shared), ("a", "b"), LEVEL)
        except FitRefusedError:
            continue
        found.append(_held(fit.params["ratio"], 1.3))
    return {"ratio": np.array(found)}


def aft(distribution: str, critical: str) -> TimesAft:
    """The censored likelihood as configured, without the simulated test."""
    return TimesAft(distribution, critical, np.inf, 48, N_DRAWS, 0, LEVEL)


ROWS: dict[str, Callable[[int, int], Held]] = {
    **{f"survival, {name} have the event": partial(survival, at) for name, at in DECAYS.items()},
    **{
        f"times, {name}, critical held at 0": partial(
            law, aft(name, "zero"), Made(distribution=name)
        )
        for name in ("lognormal", "weibull", "loglogistic")
    },
    **{
        f"times, {name}, critical fitted, truth 0.05": partial(
            law, aft(name, "free"), Made(distribution=name, critical=0.05)
        )
        for name in ("lognormal", "weibull", "loglogistic")
    },
    "ratio of times, lognormal": partial(ratio, "lognormal", 0.0),
    "ratio of times, lognormal, seeds of each group apart": partial(ratio, "lognormal", 0.2),
    "ratio of times, weibull": partial(ratio, "weibull", 0.0),
    "times, uncensored, no critical": partial(
        law,
        TimePowerLaw("zero", np.inf, 400, N_DRAWS, LEVEL),
        Made(cells=(0.1, 0.15, 0.2, 0.3, 0.5, 1.0), look=1.0),
    ),
    "times, uncensored, critical fitted, truth 0.05": partial(
        law,
        TimePowerLaw("free", np.inf, 400, N_DRAWS, LEVEL),
        Made(cells=(0.15, 0.2, 0.3, 0.5, 1.0), critical=0.05, look=1.0),
    ),
}
"""By name: from the numbers of studies and of seeds to what their intervals hold."""
