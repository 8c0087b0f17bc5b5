"""Everything that figures and tables of one group of replicas are drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.page.frames import column, where, words
from observatory.analysis.page.groups import Group
from observatory.analysis.page.records import Record, estimator_name, lead_reason, limits
from observatory.analysis.tables.cells import CELLS, cells_of
from observatory.core.errors import StoreError

_STEPS_DRAWN = 160
"""Largest number of steps per curve; more are thinned evenly on the log axis."""
WINDOW = "window"
"""The estimator of a boundary with two edges: its upper one is the collapse."""


@dataclass(frozen=True)
class Facts:
    """One group of replicas, with what was counted in it and fitted to it."""

    group: Group  # the replicas
    # name of the event preset that figures and the answer speak of; empty where none was named
    event: str
    level: float  # coverage of the Wilson intervals; NaN where nothing was counted
    # the cell table at the full horizon; where nothing was counted the weight decays alone
    cells: pd.DataFrame
    # the cell tables at every horizon of the fits, the full one included
    cells_at: Mapping[int, pd.DataFrame]
    times: pd.DataFrame  # one row per replica, see `_replica_times`
    # records of `fits.json`, all events and horizons; empty where nothing was fitted
    records: Sequence[Record]
    steps_drawn: int  # largest number of steps per curve
    unfitted: str = ""  # why nothing can be counted and fitted; empty where it was

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved config of the group's first run."""
        return self.group.runs[0].manifest["config"]

    @property
    def decay_known(self) -> bool:
        """Whether there is a weight decay of any replica: of a watched one there may be none."""
        return bool((~np.isnan(column(self.cells, "weight_decay"))).any())

    @property
    def horizon(self) -> int:
        """Steps at which the replicas were censored."""
        return self.group.horizon

    @property
    def window_max(self) -> float:
        """Largest weight decay that entered the boundary fits, or any where nothing was fitted."""
        windows = [record["extras"].get("window_max") for record in self.boundaries]
        largest = float(column(self.group.replicas, "weight_decay").max())
        return min([window for window in windows if window is not None], default=largest)

    @property
    def boundaries(self) -> list[Record]:
        """Boundaries of one edge at the full horizon, refused ones included, the lead first."""
        found = [r for r in self.of("boundary") if r["estimator"] != WINDOW]
        return sorted(found, key=lambda record: lead_reason(record) is None)

    @property
    def boundaries_at(self) -> list[Record]:
        """Boundaries of the lead at all horizons, refused ones included.

        Of records that name no lead, those of the first estimator that is not refused at the full
        horizon.
        """
        found = self._of_event("boundary")
        led = [r for r in found if lead_reason(r) is not None]
        if any(limits(record, "critical") for record in led):
            return led
        first = [estimator_name(r) for r in self.boundaries if limits(r, "critical")][:1]
        return [r for r in found if estimator_name(r) in first]

    @property
    def window(self) -> Record | None:
        """The window of two edges at the full horizon, refused or not; None where not fitted."""
        return next((r for r in self.of("boundary") if r["estimator"] == WINDOW), None)

    def single(self, fit: str) -> Record | None:
        """The first record of a kind of fit at the full horizon that is not refused, or None."""
        return next((r for r in self.of(fit) if r["refused"] is None), None)

    def boundaries_by(self, horizon: int) -> list[Record]:
        """Boundaries of one edge at a horizon in steps, refused ones included."""
        found = self._of_event("boundary")
        return [r for r in found if r["horizon_steps"] == horizon and r["estimator"] != WINDOW]

    def of(self, fit: str) -> list[Record]:
        """Records of one kind of fit at the full horizon, for the event."""
        return [r for r in self._of_event(fit) if r["horizon_steps"] in (None, self.horizon)]

    def _of_event(self, fit: str) -> list[Record]:
        return [r for r in self.records if r["fit"] == fit and r["event"] == self.event]


def gather(group: Group, records: Sequence[Record], steps_drawn: int = _STEPS_DRAWN) -> Facts:
    """A group with what was counted in it and fitted to it.

    Args:
        group: The replicas.
        records: Of `fits.json`, those of this group, its cells among them; the first that is fitted
            names the event that figures speak of.
        steps_drawn: Largest number of steps per curve.

    Raises:
        ConfigError: If the outcomes hold no such event.
        StoreError: If the records hold no cells.
    """
    counted = [record for record in records if record["fit"] == CELLS]
    if not counted:
        raise StoreError("fits.json holds no counts per weight decay. Run `observatory fit STUDY`.")
    event, level = str(counted[0]["event"]), float(counted[0]["level"])
    tables = {r["horizon_steps"]: cells_of(r) for r in counted if r["event"] == event}
    return Facts(
        group=group,
        event=event,
        level=level,
        cells=tables[group.horizon],
        cells_at=tables,
        times=_replica_times(group, event),
        records=[record for record in records if record["fit"] != CELLS],
        steps_drawn=steps_drawn,
    )


def gather_unfitted(group: Group, why: str, steps_drawn: int = _STEPS_DRAWN) -> Facts:
    """A group of watched trainings of which nothing can be fitted: what was looked at is there.

    Args:
        group: The replicas.
        why: What lacks for fits.
        steps_drawn: Largest number of steps per curve.
    """
    event = next(iter(group.runs[0].manifest["config"].get("event") or {}), "")
    return Facts(
        group=group,
        event=event,
        level=np.nan,
        cells=pd.DataFrame({"weight_decay": np.unique(column(group.replicas, "weight_decay"))}),
        cells_at={},
        times=_replica_times(group, event),
        records=[],
        steps_drawn=steps_drawn,
        unfitted=why,
    )


def _replica_times(group: Group, event: str) -> pd.DataFrame:
    """When each replica had the event, and how its record ended.

    `t_lo` and `t_hi` are there also where it collapsed or diverged later: it had the event by every
    horizon in between.
    """
    rows = group.replicas
    watched, diverged = column(rows, "step"), column(rows, "diverged_step")
    watched = np.where(diverged > 0, diverged, watched)
    outcome = words(rows, "outcome")
    failed = np.isin(outcome, ["diverged", "collapsed"]) & (watched <= group.horizon)
    t_lo, t_hi, t_mem = (
        _until(group.horizon, rows, name) for name in (f"{event}_lo", f"{event}_hi", "mem_hi")
    )
    end = np.where(failed, outcome, np.where(np.isnan(t_hi), "censored", "grokked"))
    times = pd.DataFrame(
        {
            "run_id": words(rows, "run_id"),
            "replica": rows["replica"].to_numpy(),
            "weight_decay": column(rows, "weight_decay"),
            "t_lo": np.where(np.isnan(t_hi), np.nan, t_lo),
            "t_hi": t_hi,
            "t_mem": t_mem,
            "watched": np.minimum(watched, group.horizon),
            "end": end,
        }
    )
    return where(times, watched > 0).reset_index(drop=True)


def _until(horizon: int, rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Steps of a column up to the horizon, NaN for later ones or where there is no such column."""
    found = column(rows, name) if name in rows else np.full(len(rows), np.nan)
    return np.where(found <= horizon, found, np.nan)
