"""Whether a run still holds the rows that it held when it, or one of its shards, was done."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from observatory.store.files import read_json
from observatory.store.parts import PARTS, start_of


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


def noted_rows(run: Path) -> dict[str, dict[str, int]]:
    """Rows of every table by name, of every shard that says that it is done, by its number."""
    said = [read_json(path) for path in run.glob("shards/*/progress.json")]
    done = sorted((p for p in said if p["status"] == "done"), key=lambda p: p["shard"])
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
