"""Everything that figures and tables of one group of replicas are drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.figures.boundary import Record, limits
from observatory.analysis.report.groups import Group
from observatory.analysis.study_fits import cell_table

OUTCOMES = ("grokked", "lost", "memorised", "none", "collapsed", "diverged", "unfinished")


@dataclass(frozen=True)
class Facts:
    """One group of replicas, with what was counted in it and fitted to it.

    Attributes:
        group: The replicas.
        event: Name of the event preset.
        level: Coverage of the Wilson intervals.
        horizon: Steps at which the replicas were censored.
        cells: The cell table at the horizon.
        cells_at: The cell tables at every horizon of the fits, the full one included.
        times: One row per replica: weight_decay, t_lo, t_hi, watched, end.
        records: Records of `fits.json` for the event, all horizons.
        window_max: Largest weight decay that entered the boundary fits.
        steps_drawn: Largest number of steps per curve.
    """

    group: Group
    event: str
    level: float
    horizon: int
    cells: pd.DataFrame
    cells_at: Mapping[int, pd.DataFrame]
    times: pd.DataFrame
    records: Sequence[Record]
    window_max: float
    steps_drawn: int

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved config of the group's first run."""
        return self.group.runs[0].manifest["config"]

    @property
    def boundaries(self) -> list[Record]:
        """Boundary records at the full horizon."""
        return [r for r in self.records if r["fit"] == "boundary" and self._full(r)]

    @property
    def boundaries_at(self) -> list[Record]:
        """Boundary records at all horizons, of the first estimator that found one at the full horizon."""
        chosen = next((r["estimator"] for r in self.boundaries if limits(r, "critical")), None)
        return [r for r in self.records if r["fit"] == "boundary" and r["estimator"] == chosen]

    @property
    def power_laws(self) -> list[Record]:
        """Records of the time to grok at the full horizon."""
        return [r for r in self.records if r["fit"] == "times" and self._full(r)]

    def _full(self, record: Record) -> bool:
        return record["horizon_steps"] in (None, self.horizon)


def gather(
    group: Group, records: Sequence[Record], event: str, level: float, steps_drawn: int
) -> Facts:
    """Count the cells of a group and pick the records that are about its event."""
    mine = [record for record in records if record["event"] == event]
    horizons = {record["horizon_steps"] for record in mine} - {None}
    windows = [
        record["extras"]["window_max"]
        for record in mine
        if record.get("extras", {}).get("window_max") is not None
    ]
    largest = float(group.replicas["weight_decay"].max())
    return Facts(
        group=group,
        event=event,
        level=level,
        horizon=group.horizon,
        cells=cells_of(group, event, group.horizon, level),
        cells_at={h: cells_of(group, event, h, level) for h in sorted({*horizons, group.horizon})},
        times=replica_times(group, event),
        records=mine,
        window_max=min(windows, default=largest),
        steps_drawn=steps_drawn,
    )
