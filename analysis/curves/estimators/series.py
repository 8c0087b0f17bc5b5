"""A curve to fit: values against steps, or against any other abscissa; and what laws share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from observatory.analysis.curves.estimators.separable import Array, Law, Solution, evaluate
from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.resample import percentile_interval
from observatory.core.errors import FitRefusedError

_N_DRAWN = 200
"""Places at which a record holds the curve."""


@dataclass(frozen=True)
class Series:
    """Points of one curve, sorted by `step`; None is what nobody knows."""

    step: Array  # abscissa: optimizer steps, unless `step_name` says otherwise, `[point]`
    value: Array  # `[point]`, finite
    step_name: str = "step"  # what the abscissa is called
    value_name: str = "value"  # what the value is called
    lr: float | None = None  # learning rate
    weight_decay: float | None = None  # weight decay
    steps_per_epoch: float | None = None  # optimizer steps per epoch
    horizon_steps: int | None = None  # steps that were run

    @property
    def n(self) -> int:
        """How many points."""
        return self.step.size


def require_points(series: Series, least: int, what: str) -> None:
    """Refuse a curve of fewer than `least` distinct steps, or one that does not move."""
    n_steps = np.unique(series.step).size
    if n_steps < least:
        raise FitRefusedError(
            f"{what} needs values at {least} values of `{series.step_name}` at least, got "
            f"{n_steps}. Add some, spread evenly over what the curve should show."
        )
    if float(np.ptp(series.value)) == 0.0:
        raise FitRefusedError(
            f"`{series.value_name}` is {series.value[0]:g} everywhere: a curve that does not move "
            "has no law. Add runs, or steps, in which it does."
        )


def criteria(rss: float, n: int, n_params: int) -> tuple[float, float]:
    """Akaike's criterion of normal noise, and the one corrected for few points.

    `n ln(rss / n) + 2 k` of k fitted numbers, the spread included, fewer than n - 1; and that plus
    `2 k (k + 1) / (n - k - 1)`.

    Source:
        Burnham and Anderson (2002), section 2.4. Deviation: none.
    """
    aic = n * math.log(max(rss, 1e-300) / n) + 2.0 * n_params
    return aic, aic + 2.0 * n_params * (n_params + 1.0) / (n - n_params - 1.0)


def akaike_weights(aicc: Mapping[str, float]) -> dict[str, float]:
    """What share of the evidence each law has, from its criterion."""
    best = min(aicc.values())
    raw = {name: math.exp(-0.5 * (value - best)) for name, value in aicc.items()}
    return {name: value / sum(raw.values()) for name, value in raw.items()}


def wild_draws(
    fitted: Array,
    value: Array,
    leverage: Array,
    block: int,
    n_draws: int,
    rng: np.random.Generator,
) -> Array:
    """Values anew: the fit plus its residuals, whose sign turns at random, block by block.

    Spread that changes along the curve, and residuals that are alike within a block, stay. Each
    residual is divided by 1 - h, h its leverage, since a point that the curve follows closely shows
    less of its noise. `[point]` in, `[draw, point]` out.

    Source:
        Davidson and Flachaire (2008), J. Econometrics 146, 162: Rademacher signs and residuals of
        HC3; blocks as in Shao (2011), J. Comput. Graph. Stat. 20. Deviation: h is at most 0.9.
    """
    n = value.size
    residual = (value - fitted) / (1.0 - np.minimum(leverage, 0.9))
    offsets = rng.integers(0, block, size=(n_draws, 1))
    which = (np.arange(n)[None, :] + offsets) // block
    signs = rng.choice([-1.0, 1.0], size=(n_draws, n // block + 2))
    return fitted + residual * np.take_along_axis(signs, which, axis=1)


def lag_one(residual: Array) -> float:
    """Correlation of each residual with the next; 0 where there is no residual."""
    total = float(residual @ residual)
    return float(residual[1:] @ residual[:-1]) / total if total > 0 else 0.0


def r_squared(value: Array, fitted: Array) -> float:
    """The share of the variance of the values that a curve accounts for."""
    return 1.0 - float(((value - fitted) ** 2).sum() / ((value - value.mean()) ** 2).sum())


def parameter(value: float, draws: Array, level: float) -> Parameter:
    """A number with the percentile interval of its draws; unbounded where these are."""
    known = draws[~np.isnan(draws)]
    low, high = percentile_interval(known, level)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite becomes null
        spread = float(known.std(ddof=1))
    return Parameter(value, spread, low, high)


def identified(
    found: Mapping[str, Array],
    draws: Mapping[str, Array],
    level: float,
    widths: Mapping[str, float],
    ratio: float,
) -> dict[str, Parameter]:
    """The parameters that the data determine, with their intervals.

    A parameter that may have any sign counts up to the width of `widths`, any other up to a `ratio`
    of its limits. `found` is of the fit, one draw each; `draws` of resampled values.
    """
    kept: dict[str, Parameter] = {}
    for name, one in found.items():
        value, drawn = float(one[0]), draws[name]
        if not (math.isfinite(value) and np.isfinite(drawn).all()):
            continue
        made = parameter(value, drawn, level)
        low, high = made.ci_low or 0.0, made.ci_high or 0.0
        if name in widths:
            narrow = high - low <= widths[name]
        else:
            narrow = low * high > 0 and max(low / high, high / low) <= ratio
        if narrow:
            kept[name] = made
    return kept


def block_of(residual: Array, longest: int) -> tuple[int, bool]:
    """How many neighbouring residuals turn together, and whether more should.

    One where they are not alike beyond chance; else twice the length over which an AR(1) of their
    correlation forgets, at most `longest` and a sixth of the points.
    """
    alike = lag_one(residual)
    if alike <= 2.0 / math.sqrt(residual.size):
        return 1, False
    wanted = math.ceil(2.0 / max(1.0 - alike, 1e-9))
    allowed = max(1, min(longest, residual.size // 6))
    return min(wanted, allowed), wanted > allowed


def residual_warnings(residual: Array, longest: int) -> list[str]:
    """A warning where residuals follow each other for longer than resampled blocks can be."""
    if not block_of(residual, longest)[1]:
        return []
    return [
        f"Residuals of neighbouring points are alike (correlation {lag_one(residual):.2f}): the "
        "law misses part of the curve, and its intervals are too narrow."
    ]


def columns_to_draw(
    series: Series, law: Law, found: Solution, draws: Solution, scale: tuple[float, float], p: float
) -> dict[str, Array]:
    """The data, and the curve with its band of level `p` at 200 places, as a record's curves.

    `scale` is what of a step is subtracted, and what that is divided by, to get the law's x.
    """
    at = np.linspace(float(series.step.min()), float(series.step.max()), _N_DRAWN)
    x = (at - scale[0]) / scale[1]
    tail = (1.0 - p) / 2.0
    low, high = np.quantile(evaluate(law, x, draws), [tail, 1.0 - tail], axis=0)
    return {
        "data.step": series.step,
        "data.value": series.value,
        "fit.step": at,
        "fit.value": evaluate(law, x, found)[0],
        "fit.low": low,
        "fit.high": high,
    }


def at_limits(law: Law, found: Solution) -> list[tuple[float, float]]:
    """In what share of the draws each inner number ended at its lower and at its upper limit."""
    return [
        (
            float((found.theta[:, inner] < low + 1e-6).mean()),
            float((found.theta[:, inner] > high - 1e-6).mean()),
        )
        for inner, (low, high) in enumerate(zip(law.low, law.high, strict=True))
    ]
