"""Fits whose tables and settings are read and checked: nothing is computed yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, final

import pandas as pd

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.result import Fitted, flat_record
from observatory.analysis.fit.settings import built, draw_seed
from observatory.analysis.stats.estimate import Estimate, Plain, about, refusal_record
from observatory.analysis.tables.columns import columns_text
from observatory.analysis.tables.open import Table, caveats_of, open_table
from observatory.core.errors import FitRefusedError
from observatory.store.reader import Study

_SHARED = {field.name for field in fields(Estimate)} - {"params", "table"}
"""What a part knows of an estimate before it is computed."""


@final
@dataclass(frozen=True, kw_only=True)
class Part:
    """One fit of a task: what its record says before anything is computed, and how to compute it.

    Attributes:
        fit: What is fitted, such as "boundary".
        estimator: How, as one word.
        event: Name of the event preset, or of the value that is fitted.
        level: Coverage of the intervals.
        n: Rows that enter, for the record of a refusal.
        seed: Of all draws.
        compute: The estimate; raises `FitRefusedError` where the table cannot give one.
        horizon_steps: Steps after which records are cut; None where nobody knows.
        horizon_epochs: The same in epochs.
        group: What sets this part apart from the others, such as {"layer": 0}.
        warnings: Of the table.
        extras: Of the table, such as the columns that were read.
        curves: What is drawn even of a fit that refused.
    """

    fit: str
    estimator: str
    event: str
    level: float
    n: int
    seed: int
    compute: Callable[[], Estimate]
    horizon_steps: int | None = None
    horizon_epochs: float | None = None
    group: Mapping[str, Plain] = field(default_factory=dict[str, Plain])
    warnings: Sequence[str] = ()
    extras: Mapping[str, Plain] = field(default_factory=dict[str, Plain])
    curves: Mapping[str, Sequence[float | None]] = field(
        default_factory=dict[str, Sequence[float | None]]
    )

    def record(self) -> Record:
        """The record of the fit, computed now; that of its refusal where it refuses."""
        try:
            made = self.compute()
        except FitRefusedError as refusal:
            known = {name: getattr(self, name) for name in _SHARED}
            record = refusal_record(**known, reason=str(refusal))
        else:
            warnings, extras = [*self.warnings, *made.warnings], {**made.extras, **self.extras}
            record = replace(made, warnings=warnings, extras=extras).to_json()
        return {**flat_record(record), **({"group": dict(self.group)} if self.group else {})}


@final
@dataclass(frozen=True)
class Task:
    """What a question makes of its tables: one fit, or one per curve."""

    question: str  # its name
    parts: Sequence[Part]  # the fits
    data: Any = None  # what the figure needs beside the records

    def run(self) -> Fitted:
        """Compute every part.

        Raises:
            FitRefusedError: If every part refuses; its `record` is that of the first.
        """
        fitted = Fitted(self.question, [part.record() for part in self.parts], self.data)
        if fitted.refused is not None:
            error = FitRefusedError(" ".join([fitted.refused, *fitted.records[0]["warnings"]]))
            error.record = fitted.records[0]
            raise error
        return fitted


@dataclass(frozen=True)
class ReadRows:
    """A table as an estimator of rows takes it."""

    rows: Any  # of the estimator's own kind, with a `value` per row and the name of the `outcome`
    columns: Mapping[str, str]  # which column was read as what, by role
    warnings: Sequence[str]  # what was left out


def read_rows(
    table: Table,
    given: Mapping[str, Any],
    read: Callable[[pd.DataFrame | Study], ReadRows],
) -> ReadRows:
    """The rows that an estimator takes of a table, with what was done to it when it was opened.

    `given` are the options of the user, and `read` takes the opened table.
    """
    opened = open_table(table, given.get("tracking_uri"), given.values())
    found = read(opened)
    return replace(found, warnings=[*caveats_of(opened), *found.warnings])


def rows_part(fit: Any, read: ReadRows, seed: int) -> Part:
    """An estimator on rows that were read, as a part of a task."""
    return Part(
        **about(fit, seed),
        event=read.rows.outcome,
        n=read.rows.value.size,
        compute=lambda: fit.estimate(read.rows, seed),
        warnings=read.warnings,
        extras={"columns": columns_text(read.columns)},
    )


def fit_rows(name: str, options: Mapping[str, Any], read: Callable[[], ReadRows]) -> Fitted:
    """The estimator of `conf/fit/NAME.yaml` on the rows of a table, which is read after it is made.

    Args:
        name: Of the question.
        options: As of `CommonOptions`, checked.
        read: Reads the table.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
    """
    fit, seed = built(name, None, options)[0], draw_seed(options.get("seed"))
    return Task(name, [rows_part(fit, read(), seed)]).run()
