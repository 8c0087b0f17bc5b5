"""What would have been seen of known times: records of replicas that are looked at now and then."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.observations import Array
from observatory.analysis.times.estimators.aft import EXACT, INTERVAL, LEFT, RIGHT, Records


def watched_records(
    time: Array, control: Array, end: Array, look: float | None
) -> tuple[Records, Array]:
    """What would have been seen of times `[problem, row]`, and the weights of these records.

    Each row is watched to its `end` and looked at every `look` steps, None where times are exact.
    It becomes two records, one with the event and one without, of which each table counts one: so
    the records of all tables share their kinds.
    """
    if look is None:
        seen = time <= end
        parts = [(EXACT, np.where(seen, time, 1.0), np.ones_like(time), seen)]
    else:
        high = look * np.ceil(time / look)
        seen = high <= end
        low = np.where(seen, high - look, 1.0)
        first = low <= 0
        safe, top = np.where(first, 1.0, low), np.where(seen, high, 2.0)
        parts = [
            (INTERVAL, safe, np.log(top / safe), seen & ~first),
            (LEFT, top, np.zeros_like(time), seen & first),
        ]
        parts = [part for part in parts if part[0] == INTERVAL or part[3].any()]
    parts.append((RIGHT, np.broadcast_to(end, time.shape), np.zeros_like(time), ~seen))
    kind = np.repeat([part[0] for part in parts], control.size)
    log_time, width, weights = (
        np.concatenate([np.asarray(part[i], dtype=np.float64) for part in parts], axis=1)
        for i in (1, 2, 3)
    )
    inside = kind == INTERVAL
    width[:, inside] = np.where(width[:, inside] > 0, width[:, inside], 1.0)
    records = Records(kind.astype(np.int64), np.log(log_time), width, np.tile(control, len(parts)))
    return records, weights


@dataclass(frozen=True)
class LookGrid:
    """Every record that rows can become where events are seen at looks: shared by all tables.

    A row that is not seen by its end is at look 0.
    """

    look: float  # steps between two looks
    n_looks: int
    cells: Array  # distinct controls and ends, `[cell, 2]`
    cell: NDArray[np.int64]  # of each row, `[row]`

    @classmethod
    def of(cls, control: Array, end: Array, look: float) -> "LookGrid":
        """The grid of rows, each with its control and its end, `[row]`."""
        cells, cell = np.unique(np.stack([control, end], axis=1), axis=0, return_inverse=True)
        return cls(look, int(end.max() // look) + 1, cells, cell.reshape(-1))

    @property
    def n_records(self) -> int:
        """Records that there can be."""
        return len(self.cells) * (self.n_looks + 1)

    def counted(self, time: Array) -> Array:
        """Rows of each table that become each record, of their times `[problem, row]`."""
        number = np.ceil(time / self.look)
        seen = self.look * number <= self.cells[self.cell, 1]
        code = self.cell * (self.n_looks + 1) + np.where(seen, number, 0.0).astype(np.int64)
        code += np.arange(len(time))[:, None] * self.n_records
        counts = np.bincount(code.ravel(), minlength=len(time) * self.n_records)
        return counts.reshape(len(time), -1).astype(np.float64)

    def records(self, counts: Array) -> tuple[Records, Array]:
        """The records that some table has, and their weights, `[problem, record]`."""
        control, end = np.repeat(self.cells, self.n_looks + 1, axis=0).T
        number = np.tile(np.arange(self.n_looks + 1), len(self.cells))
        kind = np.select([number == 0, number == 1], [RIGHT, LEFT], INTERVAL)
        high = np.where(number == 0, end, self.look * number)
        inside = kind == INTERVAL
        low = np.where(inside, high - self.look, high)
        order = np.argsort(kind, kind="stable")
        order = order[counts.sum(axis=0)[order] > 0]
        made = Records(kind, np.log(low), np.log(high / low), control)
        taken = Records(*(getattr(made, f.name)[order] for f in fields(Records)))
        return taken, counts[:, order]
