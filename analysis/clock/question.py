"""Whether a boundary is a threshold of weight decay, or the pace that decay sets."""

from typing import TYPE_CHECKING, Unpack

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.options import CommonOptions, RunOptions

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


class ClockOptions(RunOptions, CommonOptions, total=False):
    """What a threshold or clock takes.

    Attributes:
        lr: Column of learning rates (lr).
    """

    lr: str | None


def clock(
    table: "Table", estimator: str | None = None, **options: Unpack[ClockOptions]
) -> "Fitted":
    """Whether the boundary is a threshold of weight decay, a clock of lr x weight decay, or both.

    Args:
        table: A CSV or Parquet file, the folder of a study, or "mlflow:EXPERIMENT"; in Python also
            a DataFrame or a Study. A row per run with its learning rate and its time, as in
            `times`; at least two learning rates.
        estimator: How: clock.
        options: See `ClockOptions`.

    Returns:
        The slopes of the boundary against learning rate and horizon, exponents of the times, and
        the verdict "clock", "threshold", "both" or "cannot tell" among the extras.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the table has one learning rate, no event, or no boundary.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"weight_decay": [0.1, 0.2], "lr": 0.01, "time": [200, 100]})
        >>> clock(runs, horizon_steps=1000)
        Traceback (most recent call last):
        observatory.core.errors.FitRefusedError: A clock needs at least 2 learning rates, got 1...
    """
    from observatory.analysis.clock.table import prepare_clock
    from observatory.analysis.fit.observed import known_options

    return prepare_clock(table, estimator, known_options(options, ClockOptions)).run()


QUESTIONS = (
    Question(
        ask=clock,
        summary="whether a boundary is a threshold of weight decay, or the pace that decay sets",
        examples=(
            "clock runs.csv --lr lr --horizon-steps 20000",
            "clock results/clock --plot clock.pdf",
        ),
        place=17,
        figure="figure:clock_figure",
        fit_across="study_fits:fit_clock",
        section_across="section:draw_clock",
    ),
)
