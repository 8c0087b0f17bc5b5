"""Where the event rate switches, how two such boundaries compare, and seeds to find one."""

from typing import TYPE_CHECKING, Unpack

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.options import BoundaryOptions, RatioOptions, SeedsOptions

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


def boundary(
    table: "Table", estimator: str | None = None, **options: Unpack[BoundaryOptions]
) -> "Fitted":
    """The event rate against a control, and its critical point.

    Args:
        table: A CSV or Parquet file, the folder of a study, or "mlflow:EXPERIMENT"; in Python also
            a DataFrame or a Study. It holds counts (columns n and n_grokked), or a row per run.
        estimator: How: mle (where none is named), firth, lsq, lsq_smoothed, probit, cloglog,
            beta_binomial, seed_effect, window (both edges) or comparison (of curves).
        options: See `BoundaryOptions`.

    Returns:
        The critical point, in the control's unit, the slope per decade, and what else the
        estimator fits.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the table cannot give a boundary.

    Example:
        >>> import pandas as pd
        >>> counts = pd.DataFrame(
        ...     {"weight_decay": [0.01, 0.03, 0.1, 0.3], "n": 20, "n_grokked": [1, 6, 15, 20]}
        ... )
        >>> found = boundary(counts, "firth", horizon_steps=10_000)
        >>> found.conf_int().round(3).loc["critical"].tolist()
        [0.034, 0.07]
        >>> print(found)
        boundary (firth), event grokked, horizon 10000 steps, n = 80
          critical = 0.04865  95% [0.03383, 0.06985]  (weight decay)
          slope    = 4.177  95% [2.722, 6.091]
    """
    from observatory.analysis.fit.observed import known_options, prepare

    given = known_options(options, BoundaryOptions)
    task = prepare("boundary", table, estimator or "mle", given, timed=False)
    if given.get("by") is not None:
        from observatory.analysis.boundary.compare import with_ratios

        task = with_ratios(task, given)
    return task.run()


def ratio(above: "Table", below: "Table", **options: Unpack[RatioOptions]) -> "Fitted":
    """How many times larger the critical point of one table is than that of another.

    Args:
        above: The table above the fraction bar, as in `boundary`.
        below: The table below. Where both have a horizon and times, both are cut at the shorter.
        options: See `RatioOptions`; the same for both tables.

    Returns:
        The ratio with its interval.

    Raises:
        ConfigError: If a table or an option breaks a rule.
        FitRefusedError: If a table holds no boundary.
    """
    from observatory.analysis.boundary.compare import prepare_ratio
    from observatory.analysis.fit.observed import known_options

    return prepare_ratio(above, below, known_options(options, RatioOptions)).run()


def seeds(
    pilot: "Table",
    *,
    width_decades: float,
    assurance: float = 0.8,
    **options: Unpack[SeedsOptions],
) -> "Fitted":
    """How many seeds per value of the control an interval of a wanted width needs.

    Args:
        pilot: The table of a first study, as in `boundary`.
        width_decades: Wanted width of the interval of the critical point, in decades.
        assurance: Share of simulated studies that must reach it.
        options: See `SeedsOptions`.

    Returns:
        The number of seeds.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the pilot holds no boundary, or no number of seeds is enough.
    """
    from observatory.analysis.boundary.compare import prepare_seeds
    from observatory.analysis.fit.observed import known_options

    given = known_options(options, SeedsOptions)
    return prepare_seeds(pilot, width_decades, assurance, given).run()


QUESTIONS = (
    Question(
        ask=boundary,
        summary="the event rate against a control, and its critical point",
        examples=(
            "boundary counts.csv --estimator lsq --smoothing 0.5 --json",
            "boundary runs.csv --control train_fraction --success solved --group seed --plot a.pdf",
            "boundary results/laptop_map --event first95 --horizon-steps 1500",
            "boundary runs.csv --by optimizer --where 'lr < 0.1'",
            "boundary mlflow:sweep --control params.wd --success metrics.grokked",
        ),
        place=10,
        panel="figure_fit:draw_boundary",
        section="section:draw_boundary",
    ),
    Question(
        ask=ratio,
        summary="how many times larger one boundary is than another",
        examples=("ratio mamba.csv transformer.csv --horizon-steps 100000",),
        fit_across="compare:fit_groups",
    ),
    Question(
        ask=seeds,
        summary="how many seeds an interval of a wanted width needs",
        examples=("seeds pilot.csv --width-decades 0.2",),
    ),
)
