"""Fits on a table from anywhere, one function each: read, checked, fitted."""

from typing import Unpack

from observatory.analysis.fit.result import Fitted
from observatory.analysis.fit.task import prepare, prepare_ratio, prepare_seeds
from observatory.analysis.tables.sources import Options, Table


def fit_boundary(table: Table, estimator: str | None = None, **options: Unpack[Options]) -> Fitted:
    """The rate of grokking against a control, and its critical point.

    Args:
        table: A DataFrame, a CSV or Parquet file, or a study or its folder: counts (columns n and
            n_grokked), or a row per run.
        estimator: "mle" (where it is None), "firth", "lsq", "lsq_smoothed", "probit", "cloglog",
            "beta_binomial", "seed_effect", "window" (both edges), "comparison" (of curves); see
            `conf/fit/boundary_*.yaml`.
        options: Names of columns (`x`, `success`, `group`, `n`, ...), `horizon_steps`, `level`,
            `n_bootstrap`, `interval`, `window_max`, `seed`, ...: see `Options`.

    Returns:
        The critical point, in the control's unit, the slope per decade, and what else the
        estimator fits. It prints itself.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the table cannot give a boundary.

    Example:
        >>> import pandas as pd
        >>> counts = pd.DataFrame(
        ...     {"weight_decay": [0.01, 0.03, 0.1, 0.3], "n": 20, "n_grokked": [1, 6, 15, 20]}
        ... )
        >>> found = fit_boundary(counts, "firth", horizon_steps=10_000)
        >>> found.conf_int().round(3).loc["critical"].tolist()
        [0.034, 0.07]
        >>> print(found)
        boundary (firth), event grokked, horizon 10000 steps, n = 80
          critical = 0.04865  95% [0.03383, 0.06985]  (weight decay)
          slope    = 4.177  95% [2.722, 6.091]
    """
    return prepare("boundary", table, estimator, **options).run()


def fit_times(table: Table, estimator: str | None = None, **options: Unpack[Options]) -> Fitted:
    """The time to grok against a control: a power law, t = A (x - critical)^-nu.

    Args:
        table: As in `fit_boundary`, a row per run with its time (`time`, and `t_lo` where it is
            an interval), empty where it did not grok.
        estimator: See `conf/fit/times*.yaml`; None: "times", least squares on survivors.
        options: As in `fit_boundary`; `horizon_steps` censors records, `critical` is a critical
            point to hold.

    Returns:
        The exponent, the amplitude and, where it is free, the critical point. It prints itself.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the table cannot give a law.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"weight_decay": [0.1, 0.1, 0.2, 0.2, 0.4, 0.4] * 2})
        >>> runs["time"] = 200 / runs["weight_decay"] + [-20, 30, 10, -10, 5, 0] * 2
        >>> float(fit_times(runs, "times", n_bootstrap=100).params["nu"].round(2))
        1.0
    """
    return prepare("times", table, estimator, **options).run()


def fit_survival(table: Table, estimator: str | None = None, **options: Unpack[Options]) -> Fitted:
    """The share that has grokked against time, per value of the control.

    Args:
        table: As in `fit_times`.
        estimator: See `conf/fit/survival*.yaml`; None: the usual one.
        options: As in `fit_times`.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the table cannot give curves.
    """
    return prepare("survival", table, estimator, **options).run()


def fit_horizon(table: Table, estimator: str | None = None, **options: Unpack[Options]) -> Fitted:
    """How the boundary moves with the horizon, and whether that is all there is to it.

    Args:
        table: As in `fit_times`.
        estimator: See `conf/fit/horizon*.yaml`; None: the usual one.
        options: As in `fit_times`.

    Returns:
        The boundary at every horizon, and the verdict "threshold", "horizon artefact" or "cannot
        tell" among the extras.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the table cannot give a boundary.
    """
    return prepare("horizon", table, estimator, **options).run()


def boundary_ratio(
    above: Table, below: Table, names: tuple[str, str] = ("a", "b"), **options: Unpack[Options]
) -> Fitted:
    """How many times larger the critical point of one table is than that of another.

    Args:
        above: The table above the fraction bar, as in `fit_boundary`.
        below: The table below. Where both have a horizon and times, both are cut at the shorter.
        names: What they are called.
        options: As in `fit_boundary`, the same for both tables.

    Returns:
        The ratio with its interval. It prints itself.

    Raises:
        ConfigError: If a table or an option breaks a rule.
        FitRefusedError: If a table holds no boundary.
    """
    return prepare_ratio(above, below, names, **options).run()


def plan_seeds(
    pilot: Table, width_decades: float, assurance: float = 0.8, **options: Unpack[Options]
) -> Fitted:
    """How many seeds per value of the control an interval of a wanted width needs.

    Args:
        pilot: The table of a first study, as in `fit_boundary`.
        width_decades: Wanted width of the interval of the critical point, in decades.
        assurance: Share of simulated studies that must reach it.
        options: As in `fit_boundary`.

    Returns:
        The number of seeds. It prints itself.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the pilot holds no boundary, or no number of seeds is enough.
    """
    return prepare_seeds(pilot, width_decades, assurance, **options).run()
