"""Arms compared pair by pair, in a table from anywhere: read, checked, tested."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from observatory.analysis.tables.sources import Table

from observatory.analysis.fit.result import flat_record
from observatory.analysis.fit.settings import deep_settings, draw_seed
from observatory.analysis.paired.estimators.comparison import PairedComparison
from observatory.analysis.paired.result import PairedFit
from observatory.analysis.paired.table import PairedColumns, PairedTable, read_paired
from observatory.analysis.stats.estimate import refusal_record
from observatory.core.errors import ConfigError

NAME = "paired"


def build_comparison(settings: Mapping[str, Any]) -> PairedComparison:
    """The comparison of `conf/deep_fit/paired.yaml`, with some of its settings changed.

    Raises:
        ConfigError: If there is no such setting, or one breaks its rule.
    """
    node = deep_settings(NAME, settings)
    node.pop("_target_")
    try:
        return PairedComparison(**node)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`{NAME}` cannot be built: {error}") from error


@final
@dataclass(frozen=True)
class PairedTask:
    """A comparison and the table that it is for, both checked.

    Attributes:
        comparison: The tests.
        read: The table.
        seed: Of the sign flips.
    """

    comparison: PairedComparison
    read: PairedTable
    seed: int

    def run(self) -> PairedFit:
        """Test every contrast; raises `FitRefusedError` where there is none to be tested."""
        return PairedFit(self.comparison.estimate(self.read.rows, self.seed), self.read)

    def refused(self, reason: str) -> dict[str, Any]:
        """The record where it refused."""
        record = refusal_record(
            fit=NAME,
            estimator=self.comparison.estimator,
            event=self.read.rows.outcome,
            horizon_steps=None,
            horizon_epochs=None,
            level=self.comparison.level,
            n=self.read.rows.value.size,
            seed=self.seed,
            reason=reason,
        )
        return flat_record({**record, "warnings": list(self.read.warnings)})


def prepare_paired(
    table: Table, columns: PairedColumns, settings: Mapping[str, Any], seed: int | None
) -> PairedTask:
    """The comparison, the table and the seed, all checked; nothing is computed yet.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder.
        columns: Which columns hold what.
        settings: Of `conf/deep_fit/paired.yaml`, by name.
        seed: Of the sign flips; None: that of all fits.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    comparison, read = build_comparison(settings), read_paired(table, columns)
    return PairedTask(comparison, read, draw_seed(seed))


def fit_paired(
    table: Table,
    *,
    value: str | None = None,
    arm: str | None = None,
    pair: str | None = None,
    family: str | None = None,
    reference: str | None = None,
    level: float | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> PairedFit:
    """How arms that share pairs differ: means, or rates where the outcome is 0 or 1.

    Args:
        table: A DataFrame, a CSV or Parquet file, or a study or its folder: a row per pair and
            arm.
        value: Column of the outcome; None: "value", of a study "val_acc" at the last look.
        arm: Column of what is compared; None: "arm".
        pair: Column of what the arms share; None: "seed".
        family: Column of conditions or outcomes, each compared by itself; all contrasts of the
            table are one family of tests.
        reference: The arm that the others are compared with; None: every two arms.
        level: Coverage of the intervals; tests are at 1 - level.
        seed: Of the sign flips.
        settings: Further settings of `conf/deep_fit/paired.yaml` by name, such as margin.

    Returns:
        A difference with its interval, tests and a verdict per contrast. It prints itself.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        StoreError: If a folder is no study.
        FitRefusedError: If no contrast has pairs enough that vary.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"seed": [0, 1, 2, 3, 4, 5] * 2, "arm": ["a"] * 6 + ["b"] * 6})
        >>> runs["value"] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2.1, 3.0, 3.9, 5.0, 6.1, 7.0]
        >>> found = fit_paired(runs)
        >>> round(float(found.params["b - a"]), 3), found.verdicts["b - a"]
        (1.017, 'differs')
    """
    columns = PairedColumns(value, arm, pair, family, reference)
    changes = {} if level is None else {"level": level}
    return prepare_paired(table, columns, {**changes, **(settings or {})}, seed).run()
