"""Whether a run still holds the rows that it held when it, or one of its shards, was done."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from observatory.core.errors import StoreError
from observatory.store.files import read_json
from observatory.store.parts import PARTS, shards_of, start_of

PROGRESS = "progress.json"
SAID = {
    *("shard", "status", "finished", "active", "queued", "replica_steps", "steps_left"),
    *("updated", "cells"),
}
"""What every version has said of a shard."""


def n_rows(table: Path, before: int | None = None) -> int:
    """Rows of one table of a shard, as the ends of its files say; a damaged file holds none.

    Args:
        table: Its folder.
        before: Leave out the parts that start at this tick or later.
    """
    total = 0
    for part in table.glob(PARTS):
        if before is None or start_of(part) < before:
            with suppress(OSError, pa.ArrowException):
                total += pq.read_metadata(part).num_rows
    return total


def lost_of_shard(shard: Path, noted: Mapping[str, int], before: int | None = None) -> str:
    """Of every table that holds fewer rows than were noted, how many it holds; else "".

    Args:
        shard: Its folder.
        noted: Rows by name of the table.
        before: As of `n_rows`.
    """
    return "; ".join(
        f"`{name}` of shard {shard.name} holds {found} of {rows} rows"
        for name, rows in noted.items()
        if (found := n_rows(shard / name, before)) < rows
    )


def progress_of(run: Path) -> list[dict[str, Any]]:
    """What each shard of a run last said of itself, by number of the shard.

    Raises:
        StoreError: If a file is not as a shard writes it.
    """
    found: list[dict[str, Any]] = []
    for shard in shards_of(run):
        if (path := shard / PROGRESS).is_file():
            said = read_json(path)
            lacking = SAID - said.keys() if isinstance(said, dict) else SAID
            if lacking or said["shard"] != int(shard.name):
                raise StoreError(
                    f"`{path}` is not what shard {shard.name} wrote of itself: it was changed or "
                    "copied by hand. The tables are intact. Restore it from a copy, or remove it "
                    "and run the command again."
                )
            found.append(said)
    return found


def noted_rows(run: Path) -> dict[str, dict[str, int]]:
    """Rows of every table by name, of every shard that says that it is done, by its number."""
    done = (said for said in progress_of(run) if said["status"] == "done")
    return {str(p["shard"]): p.get("rows", {}) for p in done}


def lost_rows(run: Path, manifest: Mapping[str, Any]) -> dict[int, str]:
    """What a run has lost since it, or a shard of it, was done; empty where it is whole.

    Args:
        run: Its folder.
        manifest: Of it; one of an older version notes no rows, and nothing is missed.

    Returns:
        By number of the shard, words as of `lost_of_shard`.
    """
    noted = manifest.get("rows") or noted_rows(run)
    kept = manifest.get("tables", {})
    found = {
        int(shard): lost_of_shard(
            run / "shards" / shard, {name: n for name, n in rows.items() if name in kept}
        )
        for shard, rows in noted.items()
    }
    return {shard: lost for shard, lost in found.items() if lost}
