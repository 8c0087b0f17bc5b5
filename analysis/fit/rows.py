"""Fits of a table whose rows are outcomes: which arm, pair, seed or split each is of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observatory.analysis.fit.result import Fitted
from observatory.analysis.fit.settings import built, draw_seed
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.stats.estimate import about
from observatory.analysis.tables.columns import columns_text


@dataclass(frozen=True)
class ReadRows:
    """A table as an estimator takes it."""

    rows: Any  # of the estimator's own kind, with a `value` per row and the name of the `outcome`
    columns: Mapping[str, str]  # which column was read as what, by role
    warnings: Sequence[str]  # what was left out


def fit_rows(
    name: str,
    read: Callable[[], ReadRows],
    level: float | None,
    settings: Mapping[str, Any] | None,
    config_dir: Path | None,
    seed: int | None = None,
) -> Fitted:
    """The estimator of `conf/fit/NAME.yaml` on the rows of a table, which is read after it is made.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
    """
    options = {"level": level, "settings": settings, "config_dir": config_dir}
    fit, drawn = built(name, None, options)[0], draw_seed(seed)
    found = read()
    part = Part(
        **about(fit, drawn),
        event=found.rows.outcome,
        n=found.rows.value.size,
        compute=lambda: fit.estimate(found.rows, drawn),
        warnings=found.warnings,
        extras={"columns": columns_text(found.columns)},
    )
    return Task(name, [part]).run()
