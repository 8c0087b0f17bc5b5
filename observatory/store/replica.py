"""One network of a run: its settings, how it ended, and what was recorded of it as series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import pandas as pd


@runtime_checkable
class Tables(Protocol):
    """Where a network's rows are read: a run."""

    run_id: str

    def outcomes(self) -> pd.DataFrame:
        """How every network of the run ended."""
        ...

    def table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A table of the run."""
        ...

    def table_of(self, column: str) -> str:
        """The table that has a column."""
        ...


@final
@dataclass(frozen=True, repr=False)
class Replica:
    """One network of a run.

    Attributes:
        run: The run that trained it.
        number: Its number in the run.
    """

    run: Tables
    number: int

    @property
    def outcome(self) -> pd.Series:
        """Its settings, and how it ended: null while it trains."""
        rows = self.run.outcomes()
        return pd.Series(rows.loc[rows["replica"] == self.number].iloc[0])

    def table(self, name: str) -> pd.DataFrame:
        """Its rows of a table, in the order of steps.

        Raises:
            StoreError: If the run has no such table.
        """
        rows = self.run.table(name)
        return pd.DataFrame(rows.loc[rows["replica"] == self.number]).reset_index(drop=True)

    def series(self, column: str, table: str | None = None) -> pd.Series:
        """One recorded quantity by step.

        Args:
            column: Such as "val_acc" or "s_bar".
            table: Where it is; None: the evaluation, or else the only table that has it.

        Returns:
            Values by step; of lists (as of layers) an array each.

        Raises:
            StoreError: If no table, or more than one, has the column.
        """
        place = self.run.table_of(column) if table is None else table
        rows = self.run.table(place, [column])
        own = rows.loc[rows["replica"] == self.number]
        return pd.Series(own[column].to_numpy(), index=pd.Index(own["step"], name="step"),
                         name=column)  # fmt: skip

    def __repr__(self) -> str:
        known = {str(n): v for n, v in self.outcome.items() if n in ("seed", "weight_decay", "lr")}
        settings = ", ".join(f"{name} {value:g}" for name, value in known.items())
        return f"Replica {self.number} of run {self.run.run_id}: {settings}"
