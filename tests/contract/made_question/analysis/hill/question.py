"""Whether the rate follows a Hill curve of the control."""

from typing import TYPE_CHECKING, Unpack

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.options import FitOptions

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


def hill(table: "Table", estimator: str | None = None, **options: Unpack[FitOptions]) -> "Fitted":
    """A Hill curve of the event rate.

    Args:
        table: A DataFrame, a CSV or Parquet file, a study or its folder.
        estimator: How: hill.
        options: See `FitOptions`.
    """
    from observatory.analysis.fit.observed import known_options, prepare

    given = known_options(options, FitOptions)
    return prepare("hill", table, estimator or "hill", given, timed=False).run()


QUESTIONS = (
    Question(
        ask=hill,
        summary="the event rate as a Hill curve of the control",
        examples=("hill counts.csv --level 0.9",),
        place=12,
        panel="figure:draw_hill",
        section="figure:draw_section",
    ),
)
