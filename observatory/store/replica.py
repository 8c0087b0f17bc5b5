"""One network of a run: its settings, how it ended, and what was recorded of it as series."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, SupportsIndex, final, runtime_checkable

import pandas as pd

from observatory.core.columns import Column
from observatory.core.extras import require
from observatory.store.parameters import Arrays, kept_steps, parameters

Number = SupportsIndex
"""A whole number, NumPy's too."""


@runtime_checkable
class Tables(Protocol):
    """A run, as far as its networks are read from it."""

    run_id: str
    folder: Path
    manifest: dict[str, Any]

    def replicas(self) -> pd.DataFrame:
        """Settings of every network of the run."""
        ...

    def columns(self, table: str) -> tuple[Column, ...]:
        """What a table holds beside its keys."""
        ...

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

    def kept_steps(self) -> list[int]:
        """Steps at which its weights were kept, as `store.states` of its run says."""
        return list(kept_steps(self.run.folder, self.run.manifest, self.number))

    def weights(self, step: int | None = None) -> Arrays:
        """Its weights by name, in the shapes of its model.

        Args:
            step: Updates that it had made; None: the last one at which they were kept.

        Raises:
            StoreError: If they were not kept at that step; it says at which they were.
        """
        return parameters(self.run.folder, self.run.manifest, self.number, step)

    def network(self, step: int | None = None, *, trust: bool = False) -> Any:
        """The network itself, an `nn.Module` on the CPU, in evaluation mode.

        Args:
            step: As of `weights`.
            trust: Whether it may be code outside of this package, which runs.

        Raises:
            StoreError: As `weights`.
            ConfigError: If its code is not of this package, or it cannot be made here.
        """
        require("train", by="`network`")
        # What makes networks stands above the store, which knows nothing of it until it is asked.
        above: Any = import_module("observatory.launch.networks")
        return above.network(self.run.run_id, self.run.manifest, self.weights(step), trust=trust)

    def __repr__(self) -> str:
        known = {str(n): v for n, v in self.outcome.items() if n in ("seed", "weight_decay", "lr")}
        settings = ", ".join(f"{name} {value:g}" for name, value in known.items())
        return f"Replica {self.number} of run {self.run.run_id}: {settings}"
