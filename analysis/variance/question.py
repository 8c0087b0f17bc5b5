"""What the scatter of an outcome is due to: seeds, splits, both together, numerics."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observatory.analysis.fit.contract import Question

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


def variance(
    table: "Table",
    *,
    value: str | None = None,
    arm: str | None = None,
    group: Sequence[str] | None = None,
    level: float | None = None,
    settings: Mapping[str, Any] | None = None,
    config_dir: Path | None = None,
    tracking_uri: str | None = None,
) -> "Fitted":
    """How much of an outcome's scatter is of seeds, of splits, of both together, of numerics.

    Args:
        table: A CSV or Parquet file, the folder of a study, or "mlflow:EXPERIMENT"; in Python also
            a DataFrame or a Study. A row per run.
        value: Column of the outcome (value; of a study, val_acc at the last look).
        arm: Column whose levels may have means of their own, such as weight decay.
        group: Columns of the components (seed, and split where the table has it). What rows alike
            in all of these differ by is the component "numeric".
        level: Coverage of the intervals, such as 0.95.
        settings: Any further setting of conf/fit/variance.yaml, by name, such as log.
        config_dir: Folder of configurations of your own, laid out as conf/ is.
        tracking_uri: Database or server of MLflow, for mlflow:EXPERIMENT.

    Returns:
        Variance and share of each component and the intraclass correlation.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the table cannot tell the components apart.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"seed": [0, 0, 1, 1, 2, 2], "value": [1, 2, 4, 5, 9, 8]})
        >>> variance(runs).params.round(2)[["variance[numeric]", "icc"]].tolist()
        [0.5, 0.96]
    """
    from observatory.analysis.fit.task import fit_rows, read_rows
    from observatory.analysis.variance.table import read_components

    options = {"level": level, "settings": settings, "config_dir": config_dir}
    named = {"value": value, "arm": arm, "group": group}
    given = {**named, "tracking_uri": tracking_uri}
    read = partial(read_rows, table, given, lambda opened: read_components(opened, **named))
    return fit_rows("variance", options, read)


QUESTIONS = (
    Question(
        ask=variance,
        summary="how much of the scatter comes from seeds, splits, numerics",
        examples=("variance runs.csv --value t_grok --group seed,split --arm weight_decay",),
        panel="figure:draw_shares",
        size="figure:size_of",
    ),
)
