"""Which recorded signals forecast an event, and what published lead times show."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.options import CommonOptions

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


class _LeadOptions(CommonOptions, total=False):
    """What a regression of published onsets takes.

    Attributes:
        onset: Column of published onsets, in steps, a row per run.
        lead: Column of published leads instead: event minus onset.
        time: Column of the events, in steps (event_step, grok_step, t_grok, t_hi, time).
    """

    onset: str | None
    lead: str | None
    time: str | None


class _ForecastOptions(_LeadOptions, total=False):
    """What a comparison of forecasts takes; columns are those of a long table.

    Attributes:
        signals: The registered family, by name; `s_bar@layer0` is one entry of a list,
            `mobility16(train_loss)` Hjorth's mobility of the last 16 readings (all).
        event: Event preset of a study, or what the event is called (first99).
        control: Column of what negatives are matched on (weight_decay).
        replica: Column that sets replicas apart (replica).
        group: Column of the unit of folds and of resampling (seed).
        step: Column of the step of a row (step).
        time: Column of the first look that shows the event, the same in all rows of a replica;
            empty: never (t_hi, event_step, t_grok, time).
        t_lo: Column of the last look before it (t_lo).
        opened: Column of the step from which alarms count, such as memorising (t_mem).
        kind: Column of how a replica without the event came to be: natural, twin or failed (kind).
        horizon_steps: Steps at which records are cut.
        chance: Accuracy of guessing, for nowcasts; a study knows it.
        n_bootstrap: Number of resamples.
    """

    signals: Sequence[str] | str | None
    event: str | None
    control: str | None
    replica: str | None
    group: str | None
    step: str | None
    t_lo: str | None
    opened: str | None
    kind: str | None
    horizon_steps: int | None
    chance: float | None
    n_bootstrap: int | None


def forecast(*tables: "Table", **options: Unpack[_ForecastOptions]) -> "Fitted":
    """Does any recorded signal forecast the event better than the clock, the losses and the norm?

    Args:
        tables: The folder of a study or of several, random-label twins among them; or one CSV or
            Parquet file, "mlflow:EXPERIMENT", or in Python a DataFrame, with a row per replica and
            step. With published onsets or leads (--onset, --lead): a row per run.
        options: See `_ForecastOptions`.

    Returns:
        The share of events that each signal forecast on held-out seeds; in the table its role,
        rule, false alarms, leads, tests and verdict.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        StoreError: If a folder is no study.
        FitRefusedError: If there are too few events, negatives or seeds.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"replica": [0, 0], "step": [0, 100], "seed": 0, "t_hi": 100})
        >>> rows["s_bar"] = [0.1, 0.4]
        >>> forecast(rows, signals="s_bar")
        Traceback (most recent call last):
        observatory.core.errors.FitRefusedError: 0 events leave room for an alarm 100 steps ahead...
    """
    from observatory.analysis.fit.observed import known_options

    if options.get("onset") is not None or options.get("lead") is not None:
        return _published(tables, options)
    from observatory.analysis.forecast.prepare import prepare_forecast

    return prepare_forecast(tables, known_options(options, _ForecastOptions)).run()


def lead_times(table: "Table", **options: Unpack[_LeadOptions]) -> "Fitted":
    """Published onsets regressed on their events, and what leads on events show by construction.

    Args:
        table: A CSV or Parquet file or "mlflow:EXPERIMENT"; in Python also a DataFrame. A row per
            run.
        options: See `_LeadOptions`.

    Returns:
        The slope of log onset on log event; 0 for onsets that know nothing of their events.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If there are too few runs.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"onset": [90.0, 100, 110, 95, 105]})
        >>> runs["t_grok"] = [1e3, 3e3, 1e4, 3e4, 1e5]
        >>> found = lead_times(runs, onset="onset", settings={"n_permutations": 99})
        >>> abs(float(found.params["onset_slope"])) < 0.1, found.record["extras"]["lead_r2"] > 0.99
        (True, True)
    """
    from observatory.analysis.fit.observed import known_options
    from observatory.analysis.forecast.prepare import prepare_leads

    return prepare_leads(table, known_options(options, _LeadOptions)).run()


def _published(tables: "tuple[Table, ...]", options: _ForecastOptions) -> "Fitted":
    """The regression that forecasts pass on where columns of published onsets are named."""
    from observatory.core.errors import ConfigError

    if len(tables) != 1:
        raise ConfigError(f"Published onsets are read from one table, got {len(tables)}.")
    given: dict[str, Any] = {name: v for name, v in options.items() if v is not None}
    if unknown := sorted(set(given) - set(_LeadOptions.__annotations__)):
        raise ConfigError(f"{unknown} are not of published leads: leave them out.")
    return lead_times(tables[0], **given)


QUESTIONS = (
    Question(
        ask=forecast,
        summary="whether a signal forecasts better than the clock, the losses and the norm",
        examples=(
            "forecast results/laptop_horizon results/twins --signals s_bar,sigma_h,pr_norm",
            "forecast signals.csv --replica run --group seed --time t_grok --opened t_mem --json",
        ),
        aliases=("audit",),
        place=90,
        words="text:forecast_text",
        figure="section:fitted_figure",
        fit_group="prepare:fit_group",
        section="section:draw_forecast",
    ),
    Question(
        ask=lead_times,
        summary="published onsets against their events, and what leads show by construction",
        examples=("lead_times docs/examples/leads.csv --onset onset_step",),
        words="text:leads_text",
    ),
)
