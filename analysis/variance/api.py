"""Variance components of an outcome, in a table from anywhere: read, checked, fitted."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd
from observatory.analysis.tables.sources import Table

from observatory.analysis.fit.result import flat_record
from observatory.analysis.fit.settings import deep_settings, draw_seed
from observatory.analysis.page.save import save_picture
from observatory.analysis.paired.table import codes_of, table_frame
from observatory.analysis.stats.estimate import Estimate, refusal_record
from observatory.analysis.stats.text import text_of
from observatory.analysis.tables.columns import column_of, known_columns
from observatory.analysis.tables.values import numbers
from observatory.analysis.variance.estimators.components import VarianceComponents, VarianceRows
from observatory.core.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "variance"
USUAL = ("seed", "split")
"""Components that are looked for where none is named."""


def build_components(settings: Mapping[str, Any]) -> VarianceComponents:
    """The fit of `conf/deep_fit/variance.yaml`, with some of its settings changed.

    Raises:
        ConfigError: If there is no such setting, or one breaks its rule.
    """
    node = deep_settings(NAME, settings)
    node.pop("_target_")
    try:
        return VarianceComponents(**node)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`{NAME}` cannot be built: {error}") from error


@final
@dataclass(frozen=True, repr=False)
class VarianceFit:
    """Variances, and the columns that they were read from.

    Attributes:
        estimate: Variances, shares, the intraclass correlation, warnings.
    """

    estimate: Estimate

    def params(self) -> pd.DataFrame:
        """A row per number: `value`, and its limits `lower` and `upper`."""
        found = {n: (p.value, p.ci_low, p.ci_high) for n, p in self.estimate.params.items()}
        names = ["value", "lower", "upper"]
        return pd.DataFrame.from_dict(found, orient="index", columns=names, dtype=float)

    @property
    def warnings(self) -> Sequence[str]:
        """What a reader could take wrongly."""
        return self.estimate.warnings

    def to_json(self) -> dict[str, Any]:
        """The record."""
        return flat_record(self.estimate.to_json())

    def to_string(self) -> str:
        """The record as JSON text."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False)

    def plot(self) -> "Figure":
        """Draw every share with its interval."""
        from observatory.analysis.variance.figure import shares_figure

        return shares_figure(self.to_json())

    def save_plot(self, path: Path) -> None:
        """Write the figure; the ending of `path` names the format."""
        save_picture(self.plot(), path)

    def __str__(self) -> str:
        return text_of(self.to_json(), "")

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


@final
@dataclass(frozen=True)
class VarianceTask:
    """A fit and the table that it is for, both checked.

    Attributes:
        fit: The mixed model.
        rows: The table.
        warnings: What was left out of it.
        seed: Told only.
    """

    fit: VarianceComponents
    rows: VarianceRows
    warnings: Sequence[str]
    seed: int

    def run(self) -> VarianceFit:
        """Fit it; raises `FitRefusedError` where the table cannot give the variances."""
        found = self.fit.estimate(self.rows, self.seed)
        return VarianceFit(replace(found, warnings=[*self.warnings, *found.warnings]))

    def refused(self, reason: str) -> dict[str, Any]:
        """The record where it refused."""
        record = refusal_record(
            fit=NAME,
            estimator=self.fit.estimator,
            event=self.rows.outcome,
            horizon_steps=None,
            horizon_epochs=None,
            level=self.fit.level,
            n=self.rows.value.size,
            seed=self.seed,
            reason=reason,
        )
        return flat_record({**record, "warnings": list(self.warnings)})


def prepare_variance(
    table: Table,
    value: str | None,
    arm: str | None,
    group: Sequence[str] | None,
    settings: Mapping[str, Any],
) -> VarianceTask:
    """The fit and the table, both checked; nothing is computed yet.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder.
        value: Column of the outcome; None: "value", of a study "val_acc" at the last look.
        arm: Column whose levels may have means of their own; None: none.
        group: Columns of the components; None: seed, and split where the table has it.
        settings: Of `conf/deep_fit/variance.yaml`, by name.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    fit = build_components(settings)
    asked = [*(group or USUAL), *([] if arm is None else [arm])]
    frame, usual = table_frame(table, value, asked)
    present = list(map(str, frame.columns))
    if group is None:
        group = [name for name in USUAL if column_of(name, present)] or USUAL[:1]
    names = [value or usual, *group, *([] if arm is None else [arm])]
    found = [column_of(name, present) for name in names]
    roles = ["value", *["group"] * len(group), "arm"][: len(names)]
    for role, name, column in zip(roles, names, found, strict=True):
        if column is None:
            raise ConfigError(
                f"`{role}` must name columns of the table, got {name!r}. "
                f"{known_columns(present, name)}"
            )
    columns = [str(column) for column in found]
    if len(set(columns)) < len(columns):
        raise ConfigError(f"A column can be one thing only, got {columns}.")
    frame = frame.reset_index(drop=True)
    outcome = numbers(frame, columns[0], "Fill or remove the row.", empty=True)
    lost = np.isnan(outcome)
    notes = [f"Rows without a value are left out ({int(lost.sum())})."] if lost.any() else []
    frame = pd.DataFrame(frame.loc[~lost]).reset_index(drop=True)
    if frame.empty:
        raise ConfigError(f"`{columns[0]}` is empty in every row. Name another by `--value`.")
    codes = [codes_of(frame, column)[0] for column in columns[1:]]
    levels = dict(zip(group, codes, strict=False))
    arms = codes[-1] if arm is not None else np.zeros(len(frame), dtype=np.int64)
    rows = VarianceRows(outcome[~lost], levels, arms, columns[0])
    return VarianceTask(fit, rows, notes, draw_seed(None))


def fit_variance(
    table: Table,
    *,
    value: str | None = None,
    arm: str | None = None,
    group: Sequence[str] | None = None,
    level: float | None = None,
    settings: Mapping[str, Any] | None = None,
) -> VarianceFit:
    """How much of an outcome's scatter is of seeds, of splits, of both together, of numerics.

    Args:
        table: A DataFrame, a CSV or Parquet file, or a study or its folder: a row per run.
        value: Column of the outcome; None: "value", of a study "val_acc" at the last look.
        arm: Column whose levels may have means of their own, such as weight decay.
        group: Columns of the components; None: seed, and split where the table has it. What rows
            alike in all of these differ by is the component "numeric".
        level: Coverage of the intervals.
        settings: Further settings of `conf/deep_fit/variance.yaml` by name, such as log.

    Returns:
        Variance and share of each component and the intraclass correlation. It prints itself.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        StoreError: If a folder is no study.
        FitRefusedError: If the table cannot tell the components apart.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"seed": [0, 0, 1, 1, 2, 2], "value": [1, 2, 4, 5, 9, 8]})
        >>> fit_variance(runs).params()["value"].round(2)[["variance[numeric]", "icc"]].tolist()
        [0.5, 0.96]
    """
    changes = {} if level is None else {"level": level}
    return prepare_variance(table, value, arm, group, {**changes, **(settings or {})}).run()
