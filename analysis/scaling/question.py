"""Finite-size scaling: a transition as size grows, or a smooth crossover."""

from typing import TYPE_CHECKING, Unpack

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.options import CommonOptions

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


class ScalingOptions(CommonOptions, total=False):
    """What finite-size scaling takes; None, or left out: as the table or conf/fit has it.

    Attributes:
        size: Column of sizes (size); of a study, a setting such as task.p.
        control: Column of what is varied at each size (control; of a study, weight_decay).
        value: Column of the order parameter (value; of a study, val_acc at the last look).
        group: Column of what rows of one size share, such as a seed (seed, if it is there).
        n_bootstrap: Number of resamples of seeds.
        settings: Any further setting of conf/fit/scaling.yaml, by name, such as log_control.
    """

    size: str | None
    control: str | None
    value: str | None
    group: str | None
    n_bootstrap: int | None


def scaling(
    table: "Table", estimator: str | None = None, **options: Unpack[ScalingOptions]
) -> "Fitted":
    """Whether an order parameter shows a transition, as size grows, or a smooth crossover.

    Args:
        table: A CSV or Parquet file, the folder of a study, or "mlflow:EXPERIMENT"; in Python also
            a DataFrame or a Study. A row per network.
        estimator: How: scaling.
        options: See `ScalingOptions`.

    Returns:
        Critical point and exponents, and a verdict for every link and for the chain.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If there are too few sizes, values or seeds, or nothing changes.

    Example:
        >>> import numpy as np, pandas as pd
        >>> rows = [(L, x, seed) for L in (16, 64) for x in (0.1, 0.2) for seed in range(5)]
        >>> frame = pd.DataFrame(rows, columns=["size", "control", "seed"]).assign(value=0.5)
        >>> scaling(frame)
        Traceback (most recent call last):
        observatory.core.errors.FitRefusedError: Scaling with size needs 3 sizes...
    """
    from observatory.analysis.fit.observed import known_options
    from observatory.analysis.scaling.table import prepare_scaling

    return prepare_scaling(table, estimator, known_options(options, ScalingOptions)).run()


QUESTIONS = (
    Question(
        ask=scaling,
        summary="a transition as size grows, or a smooth crossover",
        examples=(
            "scaling runs.csv --size p --control train_fraction --value m --plot scaling.pdf",
            "scaling results/my_study --size task.p --set log_control=true --set zeta=0",
        ),
        aliases=("collapse",),
        place=120,
        words="text:chain_text",
        figure="figure:chain_figure",
        fit_across="study_fits:fit_sizes",
        section_across="section:draw_sizes",
    ),
)
