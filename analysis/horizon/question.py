"""Whether a boundary is a threshold, or where the horizon happened to end."""

from typing import TYPE_CHECKING, Unpack

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.options import FitOptions

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


def horizon(
    table: "Table", estimator: str | None = None, **options: Unpack[FitOptions]
) -> "Fitted":
    """How the boundary moves with the horizon, and whether that is all there is to it.

    Args:
        table: A CSV or Parquet file, the folder of a study, or "mlflow:EXPERIMENT"; in Python also
            a DataFrame or a Study. A row per run with its time, as in `times`.
        estimator: How: horizon.
        options: See `FitOptions`.

    Returns:
        The boundary at every horizon, and the verdict "threshold", "horizon artefact" or "cannot
        tell" among the extras.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the table cannot give a boundary.
    """
    from observatory.analysis.fit.observed import known_options, prepare

    given = known_options(options, FitOptions)
    return prepare("horizon", table, estimator or "horizon", given, timed=True).run()


QUESTIONS = (
    Question(
        ask=horizon,
        summary="how the boundary moves with the horizon, and whether it is a threshold",
        examples=("horizon runs.csv --horizon-steps 200000",),
        place=15,
        panel="figure_horizons:draw_horizon",
        fit_group="study_fits:fit_by_horizon",
        section="section:draw_horizons",
    ),
)
