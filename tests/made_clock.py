"""Studies at several learning rates whose truth is known: a clock, a threshold, both."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from observatory.analysis.clock.estimators.rows import ClockRows, joined
from observatory.analysis.stats.observations import Observations
from observatory.analysis.times.estimators.aft_errors import ERRORS

DECAY_TIMES = (0.3, 0.65, 1.1, 1.7, 2.5, 3.7, 5.6, 8.5, 14.0, 30.0)
"""lr x weight_decay x horizon of the cells of each learning rate in conf/experiment/clock.yaml."""
MIDDLE = 0.003
"""The learning rate at which laws with another exponent of it have the same times."""


@dataclass(frozen=True)
class MadeClock:
    """Times t = offset + amplitude / (lr^b' (weight_decay - critical)^a') of the median replica.

    With `lr_exponent` below 1 the rest of the power is taken at MIDDLE: at that learning rate times
    are the same for every exponent. ln t is scattered by `noise` times the named distribution, and
    by a normal effect of the seed, the same in every cell, with standard deviation `seed_sd`.
    `widening` is the exponent with which the noise grows as lr x weight_decay falls below 3.7 /
    horizon, `bend` half of the curvature of ln t in ln(lr x weight_decay) about that place.
    """

    lr_exponent: float = 1.0
    decay_exponent: float = 1.0
    critical: float = 0.0
    amplitude: float = 2.5
    offset: float = 0.0
    distribution: str = "lognormal"
    noise: float = 0.25
    seed_sd: float = 0.15
    widening: float = 0.0
    bend: float = 0.0
    lrs: tuple[float, ...] = (0.001, 0.003, 0.01)
    decay_times: tuple[float, ...] = DECAY_TIMES
    n_seeds: int = 16
    horizon: float = 20_000.0
    look: float = 25.0

    @property
    def cells(self) -> np.ndarray:
        """Learning rate and weight decay of each cell, `[cell, 2]`."""
        return np.array(
            [(lr, u / (lr * self.horizon)) for lr in self.lrs for u in self.decay_times]
        )

    def medians(self, lr: np.ndarray, decay: np.ndarray) -> np.ndarray:
        """Median times in steps, infinite at or below the critical point."""
        gap = decay - self.critical
        rate = lr**self.lr_exponent * MIDDLE ** (self.decay_exponent - self.lr_exponent)
        falling = self.amplitude / (rate * np.where(gap > 0, gap, 1.0) ** self.decay_exponent)
        u = np.log(lr * decay * self.horizon / 3.7)
        return np.where(gap > 0, self.offset + falling * np.exp(self.bend * u * u), np.inf)

    def rows(self, seed: int) -> ClockRows:
        """One study."""
        rng = np.random.default_rng(seed)
        effect = self.seed_sd * rng.normal(size=self.n_seeds)
        errors = ERRORS[self.distribution]
        lr, decay = np.repeat(self.cells, self.n_seeds, axis=0).T
        seeds = np.tile(np.arange(self.n_seeds), len(self.cells))
        z = errors.quantile(1.0 - rng.random(lr.size)) - errors.median
        noise = self.noise * (lr * decay * self.horizon / 3.7) ** -self.widening
        time = self.medians(lr, decay) * np.exp(noise * z + effect[seeds])
        high = self.look * np.ceil(time / self.look)
        seen = high <= self.horizon
        parts = {
            rate: Observations(
                decay[own],
                seen[own],
                np.where(seen, high, np.nan)[own],
                "first99",
                round(self.horizon),
                1,
                time_lo=np.where(seen, high - self.look, np.nan)[own],
                watched=np.minimum(high, self.horizon)[own],
                seed=seeds[own],
            )
            for rate in self.lrs
            for own in [lr == rate]
        }
        return joined(parts)

    def frame(self, seed: int) -> pd.DataFrame:
        """One study as a table of runs."""
        rows = self.rows(seed)
        data = rows.data
        columns = {"lr": rows.lr, "weight_decay": data.weight_decay, "seed": data.seed}
        columns |= {"t_lo": data.time_lo, "t_hi": data.time, "watched": data.watched}
        return pd.DataFrame(columns)


CLOCK = MadeClock()
THRESHOLD = MadeClock(lr_exponent=0.0, critical=0.03, amplitude=0.6)
BOTH = MadeClock(critical=0.0125)
SHARP = MadeClock(lr_exponent=0.0, critical=0.03, amplitude=0.02, offset=300.0)
