"""When networks grok: laws of the times, and the share that has had the event against time."""

from typing import TYPE_CHECKING, Unpack

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.options import FitOptions, TimesOptions

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


def times(
    table: "Table", estimator: str | None = None, **options: Unpack[TimesOptions]
) -> "Fitted":
    """The time to grok against a control: a power law, t = A (control - critical)^-nu.

    Args:
        table: A CSV or Parquet file, the folder of a study, or "mlflow:EXPERIMENT"; in Python also
            a DataFrame or a Study. A row per run with its time (`time`, and `t_lo` where it is an
            interval), empty where it did not grok.
        estimator: How: times (least squares on uncensored runs, where none is named), free,
            boundary, weibull, lognormal or loglogistic (censored runs too).
        options: See `TimesOptions`; `horizon_steps` censors records.

    Returns:
        The exponent, the amplitude and, where it is free, the critical point.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the table cannot give a law.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"weight_decay": [0.1, 0.1, 0.2, 0.2, 0.4, 0.4] * 2})
        >>> runs["time"] = 200 / runs["weight_decay"] + [-20, 30, 10, -10, 5, 0] * 2
        >>> float(times(runs, n_bootstrap=100).params["nu"].round(2))
        1.0
    """
    from observatory.analysis.fit.observed import known_options, prepare

    given = known_options(options, TimesOptions)
    return prepare("times", table, estimator or "times", given, timed=True).run()


def survival(
    table: "Table", estimator: str | None = None, **options: Unpack[FitOptions]
) -> "Fitted":
    """The share that has had the event against time, per value of the control.

    Args:
        table: As in `times`.
        estimator: How: survival (Kaplan-Meier; Turnbull's curves where intervals between looks
            overlap in part; beside failures the cumulative incidence).
        options: See `FitOptions`.

    Returns:
        Median times with their intervals, and the curves.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the table cannot give curves.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"weight_decay": [0.1] * 6, "time": [10, 20, 30, 40, 50, 60]})
        >>> survival(runs, horizon_steps=100).record["n"]
        6
    """
    from observatory.analysis.fit.observed import known_options, prepare

    given = known_options(options, FitOptions)
    return prepare("survival", table, estimator or "survival", given, timed=True).run()


QUESTIONS = (
    Question(
        ask=times,
        summary="the time to grok against a control, as a power law",
        examples=(
            "times runs.parquet --time t_grok --horizon-steps 200000",
            "times results/laptop_map --estimator weibull --json",
        ),
        place=20,
        panel="figure_times:draw_times",
        fit_across="groups:fit_groups",
        section="section:draw_times",
        section_across="section_across:draw_ratios",
    ),
    Question(
        ask=survival,
        summary="the share that has had the event against time",
        examples=("survival runs.csv --plot survival.pdf",),
        panel="figure_survival:draw_survival",
    ),
)
