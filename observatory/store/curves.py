"""What one run recorded over training, as a table for other programs."""

from collections.abc import Sequence

import pandas as pd

from observatory.store.replica import Tables
from observatory.store.schema import RUN_ID

EVALUATION = "evaluation"


def curves_of(run: Tables, columns: Sequence[str]) -> pd.DataFrame:
    """A row per replica and step at which something was looked at, with the replica's settings.

    Args:
        run: Its tables.
        columns: Quantities; none: those of the evaluation.

    Raises:
        StoreError: If no table, or more than one, has a column.
    """
    places: dict[str, list[str]] = {}
    for column in columns or [c.name for c in run.columns(EVALUATION)]:
        place = run.table_of(column) if columns else EVALUATION
        places.setdefault(place, []).append(column)
    rows: pd.DataFrame | None = None
    for place, names in places.items():
        own = run.table(place, names)
        keys = [RUN_ID.name, "replica", "step"]
        rows = own if rows is None else rows.merge(own, on=keys, how="outer")
    assert rows is not None
    settings = run.replicas().drop(columns="shard", errors="ignore")
    joined = settings.merge(rows, on=[RUN_ID.name, "replica"])
    return joined.sort_values(["replica", "step"]).reset_index(drop=True)
