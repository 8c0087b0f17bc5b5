"""Made-up times to grok: a law, a threshold or none, seeds with an effect of their own or not."""

from dataclasses import dataclass

import numpy as np

from observatory.analysis.stats.observations import Observations
from observatory.analysis.times.estimators.aft import Records
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.watched import watched_records

CELLS = (0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True)
class Made:
    """The generator t = offset + A (weight_decay - critical)^-nu, times errors, looked at in steps.

    The power is bent by 1 + (weight_decay / b)^k and by 1 + (b / weight_decay)^k, `large` and
    `small` being (b, k). The errors of ln t are `noise` times the named distribution's, its median
    0, plus a normal effect of the seed with standard deviation `seed_sd`, the same at every weight
    decay; `widening` is the exponent with which the noise grows as weight decay falls below 0.2.
    """

    critical: float = 0.0
    nu: float = 1.0
    amplitude: float = 300.0
    offset: float = 0.0
    distribution: str = "lognormal"
    noise: float = 0.3
    seed_sd: float = 0.0
    large: tuple[float, float] | None = None
    small: tuple[float, float] | None = None
    widening: float = 0.0
    cells: tuple[float, ...] = CELLS
    n_seeds: int = 8
    horizon: float = 6000.0
    look: float = 25.0

    @property
    def control(self) -> np.ndarray:
        """Weight decay of each row."""
        return np.repeat(self.cells, self.n_seeds)

    @property
    def seeds(self) -> np.ndarray:
        """Seed of each row."""
        return np.tile(np.arange(self.n_seeds), len(self.cells))

    def times(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Times of n studies, `[study, row]`, infinite at or below the critical point."""
        gap = self.control - self.critical
        power = np.where(gap > 0, gap, 1.0) ** -self.nu
        if self.large is not None:
            power = power * (1.0 + (self.control / self.large[0]) ** self.large[1])
        if self.small is not None:
            power = power * (1.0 + (self.small[0] / self.control) ** self.small[1])
        median = np.where(gap > 0, self.offset + self.amplitude * power, np.inf)
        errors = ERRORS[self.distribution]
        z = errors.quantile(1.0 - rng.random((n, gap.size))) - errors.median
        effect = self.seed_sd * rng.normal(size=(n, self.n_seeds))[:, self.seeds]
        noise = self.noise * (self.control / 0.2) ** -self.widening
        return median * np.exp(noise * z + effect)

    def records(self, times: np.ndarray, horizon: float) -> tuple[Records, np.ndarray]:
        """What is seen of them up to a horizon, all studies at once."""
        end = np.full(self.control.size, horizon)
        return watched_records(times, self.control, end, self.look)

    def table(self, times: np.ndarray) -> Observations:
        """One study as a table, `times` being `[row]`."""
        high = self.look * np.ceil(times / self.look)
        seen = high <= self.horizon
        return Observations(
            self.control,
            seen,
            np.where(seen, high, np.nan),
            "first99",
            round(self.horizon),
            10,
            time_lo=np.where(seen, high - self.look, np.nan),
            watched=np.minimum(high, self.horizon),
            seed=self.seeds,
        )

    def one(self, seed: int) -> Observations:
        """One study."""
        return self.table(self.times(1, np.random.default_rng(seed))[0])
