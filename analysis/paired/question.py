"""How arms that share pairs, such as seeds, differ."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observatory.analysis.fit.contract import Question

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


def paired(
    table: "Table",
    *,
    value: str | None = None,
    arm: str | None = None,
    pair: str | None = None,
    family: str | None = None,
    reference: str | None = None,
    level: float | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    config_dir: Path | None = None,
    tracking_uri: str | None = None,
) -> "Fitted":
    """How arms that share pairs differ: means, or rates where the outcome is 0 or 1.

    Args:
        table: A CSV or Parquet file, the folder of a study, or "mlflow:EXPERIMENT"; in Python also
            a DataFrame or a Study. A row per pair and arm.
        value: Column of the outcome (value; of a study, val_acc at the last look).
        arm: Column of what is compared (arm).
        pair: Column of what the arms share (seed).
        family: Column of conditions or outcomes, each compared by itself; all contrasts of the
            table are one family of tests.
        reference: The arm that the others are compared with; where none is named, every two arms.
        level: Coverage of the intervals, such as 0.95; tests are at 1 - level.
        seed: Seed of the sign flips.
        settings: Any further setting of conf/fit/paired.yaml, by name, such as margin.
        config_dir: Folder of configurations of your own, laid out as conf/ is.
        tracking_uri: Database or server of MLflow, for mlflow:EXPERIMENT.

    Returns:
        A difference with its interval, tests and a verdict per contrast.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If no contrast has pairs enough that vary.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"seed": [0, 1, 2, 3, 4, 5] * 2, "arm": ["a"] * 6 + ["b"] * 6})
        >>> runs["value"] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2.1, 3.0, 3.9, 5.0, 6.1, 7.0]
        >>> found = paired(runs)
        >>> round(float(found.params["b - a"]), 3), found.verdicts["b - a"]
        (1.017, 'differs')
    """
    from observatory.analysis.fit.rows import ReadRows, fit_rows
    from observatory.analysis.paired.table import read_paired
    from observatory.analysis.tables.open import open_table

    def read() -> ReadRows:
        asked = {"value": value, "arm": arm, "pair": pair, "family": family}
        return read_paired(open_table(table, tracking_uri), asked, reference)

    return fit_rows("paired", read, level, settings, config_dir, seed)


QUESTIONS = (
    Question(
        ask=paired,
        summary="how arms that share seeds differ, with tests",
        examples=("paired runs.csv --value peak --arm group --pair seed --family weight_decay",),
        place=110,
        words="text:comparison_text",
        panel="figure:draw_differences",
        size="figure:size_of",
        fit_across="groups:fit_groups",
        section_across="section:draw_groups",
    ),
)
