"""Options of forecasts and of published leads; the command line reads their meanings from here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict


class LeadOptions(TypedDict, total=False):
    """What a regression of published onsets takes.

    Attributes:
        onset: Column of published onsets, in steps, a row per run.
        lead: Column of published leads instead: event minus onset.
        time: Column of the events, in steps (event_step, grok_step, t_grok, t_hi, time).
        level: Coverage of the intervals; tests are at 1 - level.
        seed: Seed of all draws.
        settings: Any further setting of conf/fit, by name.
        config_dir: Folder of configurations of your own, laid out as conf/ is.
        tracking_uri: Database or server of MLflow, for mlflow:EXPERIMENT.
    """

    onset: str | None
    lead: str | None
    time: str | None
    level: float | None
    seed: int | None
    settings: Mapping[str, Any] | None
    config_dir: Path | None
    tracking_uri: str | None


class ForecastOptions(LeadOptions, total=False):
    """What a comparison of forecasts takes; columns are those of a long table.

    Attributes:
        signals: The registered family, by name; `s_bar@layer0` is one entry of a list (all).
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
