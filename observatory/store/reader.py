"""The run store as tables: a `Study` holds runs, a `Run` its manifest, replicas and tables."""

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import pandas as pd
import pyarrow as pa

from observatory.core.columns import Column
from observatory.core.errors import StoreError
from observatory.core.settings import did_you_mean
from observatory.store.curves import EVALUATION, curves_of
from observatory.store.files import read_json
from observatory.store.lock import owner_of
from observatory.store.parameters import Arrays
from observatory.store.parts import read_part, read_table, shards_of, sort_rows, to_frame
from observatory.store.replica import Number, Replica
from observatory.store.rows import lost_rows, progress_of
from observatory.store.schema import KEYS, NEVER_PARTED, RUN_ID, check_version, to_arrow_schema

MANIFEST = "manifest.json"
REPLICAS = "replicas.parquet"
LOCK = "owner.lock"

Status = Literal["running", "done", "failed", "interrupted"]


@final
class Run:
    """One fleet and everything it recorded. Reads when asked, changes nothing.

    Args:
        folder: `results/<study>/runs/<run_id>`.

    Attributes:
        folder: The same.
        manifest: Plain values of `manifest.json`, as they were when the run was opened.
        run_id: Name of the run.

    Raises:
        StoreError: If it is no run, or one of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.manifest: dict[str, Any] = read_json(self.folder / MANIFEST)
        check_version(self.manifest)
        if lacking := sorted({"run_id", "status", "tables"} - self.manifest.keys()):
            raise StoreError(
                f"`{self.folder / MANIFEST}` lacks {lacking}: it was changed by hand. The tables "
                "are intact. Restore it from a copy."
            )
        self.run_id: str = self.manifest["run_id"]
        if self.run_id != self.folder.resolve().name:
            raise StoreError(
                f"`{self.folder}` holds the run {self.run_id!r}: its folder was renamed, or its "
                "manifest changed by hand. Give the folder the name of the run."
            )

    @property
    def status(self) -> Status:
        """What the manifest says; "interrupted" where it says "running" and has no live owner.

        Jobs own their shards, and may outlive who submitted them. So is one that has lost rows.
        """
        status: Status = read_json(self.folder / MANIFEST)["status"]
        if status != "running":
            return "interrupted" if status == "done" and self.lost() else status
        locks = [self.folder / LOCK, *(shard / LOCK for shard in shards_of(self.folder))]
        return "running" if any(map(owner_of, locks)) else "interrupted"

    def lost(self) -> str:
        """Which tables lost rows since their shard was done, in words; else empty."""
        return "; ".join(lost_rows(self.folder, read_json(self.folder / MANIFEST)).values())

    def tables(self) -> tuple[str, ...]:
        """Names of the tables that the run writes, with or without rows so far."""
        return tuple(sorted(self.manifest["tables"]))

    def columns(self, table: str) -> tuple[Column, ...]:
        """What a table holds beside its keys `run_id, replica, step`.

        Raises:
            StoreError: If the run has no such table.
        """
        if table not in self.manifest["tables"]:
            raise StoreError(
                f"Run `{self.run_id}` has no table `{table}`, only {list(self.tables())}."
            )
        return tuple(Column.from_json(column) for column in self.manifest["tables"][table])

    def replicas(self) -> pd.DataFrame:
        """The static table: seed and settings of every replica, sorted by `replica`.

        Raises:
            StoreError: If the file is damaged.
        """
        table = read_part(self.folder / REPLICAS)
        return to_frame(
            table.take(pa.array(np.argsort(table["replica"].to_numpy(), kind="stable")))
        )

    def arrow(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a table as they were written, sorted by replica, then step.

        Args:
            name: One of `tables()`.
            columns: Which to read beside the keys, or None for all.

        Raises:
            StoreError: If the table or a column is unknown, or a part is damaged.
        """
        declared = self.columns(name)
        known = [column.name for column in declared]
        keys = [key.name for key in KEYS]
        wanted = known if columns is None else [c for c in columns if c not in keys]
        if unknown := sorted(set(wanted) - set(known)):
            raise StoreError(f"Table `{name}` has no column {unknown}, only {known} beside {keys}.")
        schema = to_arrow_schema([c for c in declared if c.name in wanted])
        ordered = pa.schema([schema.field(column) for column in (*keys, *wanted)])
        parts = read_table(self.folder, name, ordered)
        return sort_rows(pa.concat_tables([ordered.empty_table(), *parts]).unify_dictionaries())

    def table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows of a table, sorted by replica, then step; see `cells.to_pandas` for the dtypes.

        The keys are plain columns. In the others `isna()` means not measured, and a NaN that was
        measured stays one; `.to_numpy()` makes both NaN. Lists are arrays, None where null.

        Args:
            name: One of `tables()`.
            columns: Which to read beside the keys, or None for all.

        Raises:
            StoreError: If the table or a column is unknown, or a part is damaged.
        """
        return to_frame(self.arrow(name, columns))

    def table_of(self, column: str) -> str:
        """The table that records a quantity: the evaluation, or else the only one that does.

        Args:
            column: Its name, such as "val_acc".

        Raises:
            StoreError: If no table has it, or more than one.
        """
        known = {name: [c.name for c in self.columns(name)] for name in self.tables()}
        holding = [name for name, columns in known.items() if column in columns]
        if EVALUATION in holding or len(holding) == 1:
            return EVALUATION if EVALUATION in holding else holding[0]
        if holding:
            raise StoreError(f"`{column}` is in {holding}: name one of them as `table`.")
        every = sorted({name for columns in known.values() for name in columns})
        meant = did_you_mean(column, every)
        raise StoreError(f"Run `{self.run_id}` records no `{column}`, only {every}.{meant}")

    def replica(self, number: Number) -> Replica:
        """One network of the run.

        Raises:
            StoreError: If the run has no replica of this number.
        """
        if number not in set(numbers := self.replicas()["replica"]):
            raise StoreError(
                f"Run `{self.run_id}` has the replicas {numbers.min()} to {numbers.max()}, got "
                f"{number}."
            )
        return Replica(self, int(number))

    def weights(self, replica: Number, step: int | None = None) -> Arrays:
        """As `Replica.weights`."""
        return self.replica(replica).weights(step)

    def network(self, replica: Number, step: int | None = None, *, trust: bool = False) -> Any:
        """As `Replica.network`."""
        return self.replica(replica).network(step, trust=trust)

    def outcomes(self) -> pd.DataFrame:
        """Every replica with its settings and how it ended after `step` steps; null till then.

        An arm that never parted was no network: it is left out.

        Raises:
            StoreError: If a file is damaged, or a replica ended twice.
        """
        ended = self.table("outcomes").drop(columns=RUN_ID.name)
        if twice := sorted(set(ended.loc[ended["replica"].duplicated(), "replica"])):
            raise StoreError(
                f"Run `{self.run_id}` has more than one outcome of the replicas {twice}. Its files "
                "were copied by hand, or two writers shared a shard; train it in another folder."
            )
        ended["step"] = ended["step"].astype("Int64")
        every = self.replicas().merge(ended, on="replica", how="left")
        reason = every.get("retire_reason", every["replica"])  # a watched run has none
        return every.loc[reason != NEVER_PARTED].reset_index(drop=True)

    def progress(self) -> list[dict[str, Any]]:
        """What each shard last said of itself, by number of the shard."""
        return progress_of(self.folder)

    def __repr__(self) -> str:
        return f"Run {self.run_id}: {len(self.replicas())} replicas, {self.status}"


@final
class Study:
    """One sweep: the runs of a folder.

    Args:
        folder: `results/<study>`.

    Attributes:
        folder: The same.
        name: Name of the folder.

    Raises:
        StoreError: If the folder is missing, no study, empty, or holds a run of another version.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.name = self.folder.resolve().name
        found = sorted(self.folder.glob(f"runs/[!.]*/{MANIFEST}"))
        if not found:
            raise StoreError(
                f"`{self.folder}` is no study: it has no run in `runs/`. Give the folder "
                "`results/<study>`, or train first."
            )
        runs = [Run(path.parent) for path in found]
        extended = {(run.manifest.get("extends") or {}).get("run_id") for run in runs}
        self._runs = tuple(run for run in runs if run.run_id not in extended)

    @property
    def runs(self) -> list[Run]:
        """Its runs by `run_id`; of a part those asked for, and none that another run extends."""
        return list(self._runs)

    def only(self, *run_ids: str) -> "Study":
        """A part of the study: some of its runs. The study itself stays whole.

        For fits of a part: `observatory.fits.boundary(study.only("0123456789ab"))`.

        Args:
            run_ids: Names of the runs, at least one.

        Raises:
            StoreError: If none is named, or the study has no such run.
        """
        known = {run.run_id: run for run in self._runs}
        if unknown := sorted(set(run_ids) - set(known)) or not run_ids:
            raise StoreError(
                f"`run_ids` must be of {list(known)}, got {unknown if run_ids else 'none'}."
            )
        part = copy(self)
        part._runs = tuple(known[name] for name in known if name in run_ids)
        return part

    def replicas(self) -> pd.DataFrame:
        """Every replica of every run: settings, and how it ended; null while it trains."""
        return pd.concat([run.outcomes() for run in self.runs], ignore_index=True)

    def curves(self, *columns: str) -> pd.DataFrame:
        """What was recorded over training, a row per replica and step, with its settings.

        For other programs: `study.curves().to_csv("curves.csv")`.

        Args:
            columns: Quantities, such as "val_acc" or "s_bar"; none: those of the evaluation. Those
                that are looked at on other steps are empty on the rest.

        Raises:
            StoreError: If no table, or more than one, has a column.
        """
        return pd.concat([curves_of(run, columns) for run in self.runs], ignore_index=True)

    def weights(self, replica: Number, step: int | None = None) -> Arrays:
        """As `Replica.weights`, where the study, or this part of it, has one run."""
        return self._run().weights(replica, step)

    def network(self, replica: Number, step: int | None = None, *, trust: bool = False) -> Any:
        """As `Replica.network`, where the study, or this part of it, has one run."""
        return self._run().network(replica, step, trust=trust)

    def _run(self) -> Run:
        names = [run.run_id for run in self._runs]
        if len(names) > 1:
            raise StoreError(f"A replica is one of a run: name one of {names}, as in `only`.")
        return self._runs[0]

    def __repr__(self) -> str:
        rows = self.replicas()
        counts = rows["outcome"].fillna("unfinished").value_counts()
        outcomes = ", ".join(f"{name} {count}" for name, count in counts.items())
        n = len(self.runs)
        runs = "1 run" if n == 1 else f"{n} runs"
        return f"Study {self.name}: {runs}, {len(rows)} replicas ({outcomes})"
