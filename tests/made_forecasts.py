"""Made-up replicas with signals of known skill: none, the clock, a precursor, fakes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from observatory.analysis.forecast.estimators.records import (
    EVENT,
    NATURAL,
    TWIN,
    Signal,
    SignalRecords,
    clock_signal,
)

BASELINES = ("clock", "train_loss", "val_loss", "weight_norm", "weight_norm_change", "logit_scale")


@dataclass(frozen=True)
class Made:
    """What to make up.

    Attributes:
        n_seeds: Seeds, each in every cell.
        cells: Values of the control; at 0 the event never happens.
        rate: Share of replicas with the event, of every other cell.
        twins: Whether every replica has a twin that never has the event.
        lead: Steps between the precursor's rise and the event.
        horizon: Steps.
        every: Steps between looks.
        noise: Of every signal.
        times: Earliest and latest event, evenly in logarithms between.
        even: Height of a precursor that the val loss shares; None: it knows the last 60 steps.
    """

    n_seeds: int = 14
    cells: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0)
    rate: float = 0.7
    twins: bool = True
    lead: float = 600.0
    horizon: int = 4000
    every: int = 50
    noise: float = 0.3
    times: tuple[float, float] = (1200.0, 3800.0)
    even: float | None = None

    def records(self, seed: int, names: tuple[str, ...] | None = None) -> SignalRecords:
        """One study; `names` are the signals that it holds, all where None."""
        rng = np.random.default_rng(seed)
        steps = np.arange(0, self.horizon + 1, self.every, dtype=np.float64)
        rows: list[tuple[int, float, str, float]] = []
        for s in range(self.n_seeds):
            for cell in self.cells:
                happens = cell > 0 and rng.random() < self.rate
                t = float(np.exp(rng.uniform(*np.log(self.times)))) if happens else np.inf
                rows.append((s, cell, EVENT if happens else NATURAL, t))
                if self.twins:
                    rows.append((s, cell, TWIN, np.inf))
        times = np.array([row[3] for row in rows])
        cell = np.array([row[1] for row in rows])
        made = self._curves(steps, times, cell, np.array([r[2] == TWIN for r in rows]), rng)
        signals = {"clock": clock_signal(steps, len(rows))}
        for name, values in made.items():
            if names is not None and name not in names and name not in BASELINES:
                continue
            value, change = values, np.diff(values, axis=1, prepend=np.nan) / self.every
            readings = np.full(len(rows), steps.size, dtype=np.int64)
            signals[name] = Signal(value, change, readings)
            if name == "weight_norm":
                signals["weight_norm_change"] = Signal(value, change, readings, ("change",))
        happened = np.isfinite(times)
        t_hi = np.where(happened, np.ceil(times / self.every) * self.every, np.nan)
        return SignalRecords(
            steps=steps,
            signals=signals,
            baselines=[name for name in BASELINES if name in signals],
            val_acc=np.where(steps[None] > times[:, None] - 400, 0.5, 0.05),
            chance=0.05,
            seed=np.array([row[0] for row in rows]),
            control=cell,
            kind=np.array([row[2] for row in rows]),
            opened=np.full(len(rows), 200.0),
            t_lo=t_hi - self.every,
            t_hi=t_hi,
            watched=np.where(happened, np.fmin(t_hi + 200, self.horizon), self.horizon),
            event="made",
            control_name="weight_decay",
            horizon_steps=self.horizon,
            steps_per_epoch=None,
        )

    def _curves(
        self,
        steps: np.ndarray,
        times: np.ndarray,
        cell: np.ndarray,
        twin: np.ndarray,
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        n = times.size

        def noisy(mean: np.ndarray) -> np.ndarray:
            walk = np.cumsum(rng.normal(0, self.noise / 4, (n, steps.size)), axis=1)
            return mean + walk + rng.normal(0, self.noise, (n, steps.size))

        def rise(lead: float, width: float = 60.0) -> np.ndarray:
            gap = np.where(np.isfinite(times), times - lead, 1e9)[:, None]
            return 1 / (1 + np.exp(np.clip((gap - steps[None]) / width, -50, 50)))

        flat = np.zeros((n, steps.size))
        clock = np.tile(steps / 1000, (n, 1))
        known = 0.5 * rise(60.0) if self.even is None else self.even * rise(self.lead)
        return {
            "train_loss": noisy(np.exp(-clock)),
            "val_loss": noisy(2.0 + twin[:, None] - known),
            "weight_norm": noisy(5.0 - clock * cell[:, None]),
            "logit_scale": noisy(clock),
            "nothing": noisy(flat),
            "nothing_else": noisy(flat),
            "clock_copy": clock + rng.normal(0, 0.01, (n, steps.size)),
            "even": noisy(2.0 + twin[:, None] - known),
            "precursor": noisy(8.0 * rise(self.lead)),
            "nowcast": noisy(8.0 * rise(250.0)),
            "decay_on": noisy(8.0 * ((cell[:, None] > 0) & (clock > 1.0))),
        }


def long_table(records: SignalRecords, names: tuple[str, ...]) -> pd.DataFrame:
    """The records as a table of anyone: a row per replica and step."""
    n, looks = records.n, records.steps.size
    frame = pd.DataFrame(
        {
            "replica": np.repeat(np.arange(n), looks),
            "step": np.tile(records.steps, n),
            "seed": np.repeat(records.seed, looks),
            "weight_decay": np.repeat(records.control, looks),
            "kind": np.repeat(np.where(records.kind == TWIN, TWIN, ""), looks),
            "t_mem": 200.0,
            "t_hi": np.repeat(records.t_hi, looks),
        }
    )
    for name in names:
        frame[name] = records.signals[name].value.ravel()
    if records.val_acc is not None:
        frame["val_acc"] = records.val_acc.ravel()
    kept = frame["step"].to_numpy() <= np.repeat(records.watched, looks)
    return pd.DataFrame(frame[kept]).reset_index(drop=True)
