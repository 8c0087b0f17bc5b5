"""Options of fits of runs; the command line reads their types and meanings from here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict


class SeededOptions(TypedDict, total=False):
    """What every question takes that draws.

    Attributes:
        level: Coverage of the intervals, such as 0.95; tests are at 1 - level.
        seed: Seed of all draws.
        tracking_uri: Database or server of MLflow, for mlflow:EXPERIMENT.
    """

    level: float | None
    seed: int | None
    tracking_uri: str | None


class CommonOptions(SeededOptions, total=False):
    """What every question takes that has its settings in conf/fit.

    Attributes:
        settings: Any further setting of conf/fit, by name.
        config_dir: Folder of configurations of your own, laid out as conf/ is.
    """

    settings: Mapping[str, Any] | None
    config_dir: Path | None


class RunOptions(SeededOptions, total=False):
    """What every fit of runs takes; None, or left out: as the table or conf/fit has it.

    Attributes:
        control: Column of what is varied (weight_decay).
        success: Column that says whether a run grokked, 0 or 1 (grokked).
        time: Column of times in steps, empty where a run did not grok (time, t_hi).
        t_lo: Column of the last look before the time (t_lo).
        watched: Column of the steps for which a run was watched (watched, duration).
        group: Column of what rows share, such as a seed: the unit of resampling (seed).
        weights: Column of how many runs a row stands for (weight).
        outcome: Column of how a run ended: collapsed and diverged can no longer grok (outcome).
        n: Column of the number of runs, in a table of counts (n).
        n_grokked: Column of the runs that grokked, likewise (n_grokked).
        where: Which rows count, such as "optimizer == 'adamw' and lr < 0.1".
        event: What grokked means; of a study, an event preset (first99).
        horizon_steps: Steps at which records are cut; or the horizon that counts belong to.
        steps_per_epoch: Optimizer steps per epoch, to give the horizon in epochs too.
        window_max: Largest control that enters the fit; inf for all.
    """

    control: str | None
    success: str | None
    time: str | None
    t_lo: str | None
    watched: str | None
    group: str | None
    weights: str | None
    outcome: str | None
    n: str | None
    n_grokked: str | None
    where: str | None
    event: str | None
    horizon_steps: int | None
    steps_per_epoch: int | None
    window_max: float | None


class FitOptions(RunOptions, CommonOptions, total=False):
    """What fits by an estimator of conf/fit take.

    Attributes:
        by: Column of groups: a fit of each, and of boundaries their ratios to the first.
        n_bootstrap: Number of resamples.
    """

    by: str | None
    n_bootstrap: int | None


class BoundaryOptions(FitOptions, total=False):
    """What fits of a boundary take.

    Attributes:
        interval: Kind of interval: profile, percentile or bca.
        smoothing: s of (k + s) / (n + 2 s), where the estimator has it.
    """

    interval: str | None
    smoothing: float | None


class TimesOptions(FitOptions, total=False):
    """What fits of times take.

    Attributes:
        critical: A critical point to hold, where the estimator holds one.
    """

    critical: float | None


class RatioOptions(RunOptions, total=False):
    """What a ratio of two boundaries takes.

    Attributes:
        names: What the two tables are called (their paths).
        n_bootstrap: Number of resamples.
    """

    names: Sequence[str] | None
    n_bootstrap: int | None


class SeedsOptions(RunOptions, total=False):
    """What a plan of seeds takes.

    Attributes:
        n_simulations: Number of simulated studies per number of seeds.
    """

    n_simulations: int | None
