"""A shard whose horizon is longer than that of the shard it goes on from.

It is written as a worker leaves a shard that is interrupted at the old horizon: with the rows so
far and a checkpoint. Who had left by a rule keeps its rows; who had stopped at the horizon waits
with its kept state for a seat that rounds alike.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from observatory.core.errors import StoreError
from observatory.fleet.state import ReplicaStates
from observatory.store.files import write_atomically, write_bytes
from observatory.store.parts import PARTS, read_part, to_frame
from observatory.store.rows import lost_of_shard
from observatory.store.schema import RUN_ID, STATES, STEP, WEIGHTS
from observatory.training.build import Parts
from observatory.training.due import NEVER
from observatory.training.shard import CHECKPOINT, schedules, tables
from observatory.training.state_rows import from_rows

_OF_THE_END = ("outcomes", WEIGHTS)
"""Tables of which a replica has a row when it leaves."""


@final
@dataclass(frozen=True)
class EarlierShard:
    """A shard of a run that was trained to a shorter horizon.

    Attributes:
        folder: Of the shard.
        horizon: At which its replicas stopped.
        rows: Noted rows of every table when it was done.
    """

    folder: Path
    horizon: int
    rows: Mapping[str, int]

    def going_on(self) -> set[int]:
        """Replicas that stopped at the horizon, not by a rule.

        Raises:
            StoreError: If rows were lost.
        """
        if lost := lost_of_shard(self.folder, self.rows):
            raise StoreError(lost)
        ended = self._rows("outcomes")
        return {
            int(r) for rows in ended for r in rows["replica"][rows["retire_reason"] == "horizon"]
        }

    def states(self, replicas: set[int], parts: Parts) -> list[ReplicaStates]:
        """The complete states of replicas at the horizon, one each, by replica.

        Raises:
            StoreError: If one was not kept.
        """
        here = pc.field(STEP.name) == self.horizon
        kept = [from_rows(rows, parts.optimizer) for rows in self._rows(STATES, here) if len(rows)]
        found = {each.replica[i]: each.rows([i]) for each in kept for i in range(len(each))}
        if missing := sorted(replicas - found.keys()):
            raise StoreError(
                f"the states at step {self.horizon} of its replicas {missing} were not kept "
                "(`store.states.horizon`) or are lost"
            )
        return [found[replica] for replica in sorted(replicas)]

    def checkpoint(self) -> dict[str, Any]:
        """What its worker saved last.

        Raises:
            StoreError: If there is none, as in a study that came as a bundle, or it is damaged.
        """
        try:
            return torch.load(self.folder / CHECKPOINT, map_location="cpu", weights_only=True)
        except Exception as error:
            raise StoreError(f"its {CHECKPOINT} is missing or damaged ({error})") from error

    def _rows(self, table: str, which: pc.Expression | None = None) -> Iterator[pd.DataFrame]:
        """The rows of each part of a table, or some of them."""
        for part in sorted((self.folder / table).glob(PARTS)):
            rows = read_part(part)
            yield to_frame(rows if which is None else rows.filter(which))


def write_continued(
    before: EarlierShard, shard: int, shards: int, folder: Path, run_id: str, parts: Parts
) -> tuple[int, int]:
    """Write a shard that goes on from `before` into an empty folder.

    Args:
        before: The shard with the shorter horizon.
        shard: Index of both.
        shards: Of the run.
        folder: That is filled.
        run_id: Of the new run.
        parts: Of the new run.

    Returns:
        How many replicas go on, and how many are as they were.

    Raises:
        StoreError: If it cannot go on; says why, as a part of a sentence.
    """
    going = before.going_on()
    states, saved = before.states(going, parts), before.checkpoint()
    rows = {
        name: _copied(
            before.folder / name, folder / name, run_id, going if name in _OF_THE_END else set()
        )
        for name in tables(parts)
    }
    fleet = parts.shard(shard, shards)
    fleet.tick, fleet.queue.cursor = saved["fleet"]["tick"], fleet.table.n_fresh
    fleet.queue.waiting = states
    tally = [[r, w, outcome, left and r not in going] for r, w, outcome, left in saved["tally"]]
    checkpoint = {
        "fleet": fleet.state(),
        "agenda": {purpose: [NEVER] * parts.fleet.size for purpose in schedules(parts)},
        "tally": tally,
        "looks": saved["looks"],
        "rows": rows,
        "cost_s": {},
        "cpu_s": 0.0,
    }
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    write_bytes(folder / CHECKPOINT, buffer.getvalue())
    return len(going), len(fleet.table) - len(going)


def _copied(table: Path, into: Path, run_id: str, without: set[int]) -> int:
    """Copy a table into another run, without the rows of some replicas; returns how many rows."""
    total = 0
    for part in sorted(table.glob(PARTS)):
        rows = read_part(part)
        kept = rows.filter(pa.array(~np.isin(rows["replica"].to_numpy(), list(without))))
        if not len(kept):
            continue
        place = kept.schema.get_field_index(RUN_ID.name)
        names = pa.DictionaryArray.from_arrays(np.zeros(len(kept), dtype=np.int32), [run_id])
        named = kept.set_column(place, kept.schema.field(place), names)

        def write(path: Path, named: pa.Table = named) -> None:
            pq.write_table(named, path, compression="zstd", write_page_checksum=True)

        write_atomically(into / part.name, write)
        total += len(kept)
    return total
