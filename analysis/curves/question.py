"""Laws of curves: emergence, saturation, passages, relaxation, sparsity."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.options import CommonOptions

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.tables.open import Table


class CurvesOptions(CommonOptions, total=False):
    """What laws of curves take; None, or left out: as the table or conf/fit has it.

    Attributes:
        step: Column of steps, or of whatever the value is a curve of (step).
        value: Column of values (ratio for emergence, l2 for relaxation, s_bar for tanh, or value).
        group: Columns that set curves apart (none; run, weight decay and layer of
            a study).
        lr: Learning rate, for relaxation (the column lr).
        weight_decay: Weight decay, for relaxation (the column weight_decay).
        steps_per_epoch: Optimizer steps per epoch, for kappa per epoch (as a study says).
        horizon_steps: Steps that were run, for the bound on lambda_c (as a study says).
        n_bootstrap: Number of resamples.
    """

    step: str | None
    value: str | None
    group: Sequence[str] | None
    lr: float | None
    weight_decay: float | None
    steps_per_epoch: float | None
    horizon_steps: int | None
    n_bootstrap: int | None


def curves(
    table: "Table", estimator: str | None = None, **options: Unpack[CurvesOptions]
) -> "Fitted":
    """A law of every curve of a table: emergence, saturation, a passage, relaxation, sparsity.

    Args:
        table: A CSV or Parquet file, the folder of a study, or "mlflow:EXPERIMENT"; in Python also
            a DataFrame or a Study. A row per curve and step. Rows of one step are
            averaged, but for saturation, where each is a point.
        estimator: How: emergence (where none is named), saturation, tanh, relaxation or sparsity.
        options: See `CurvesOptions`.

    Returns:
        A record per curve, refusals among them.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If every curve is refused.

    Example:
        >>> import numpy as np, pandas as pd
        >>> t = np.linspace(0, 143_000, 37)
        >>> ratio = 3000 * np.exp(-0.6 * (1e-4 * t + 1)) * np.log(1e-4 * t + 1) + 120
        >>> found = curves(pd.DataFrame({"step": t, "ratio": ratio}), n_bootstrap=50)
        >>> found.params.round(1)[["t_peak", "height", "K"]].tolist()
        [11618.3, 752.2, 120.0]
    """
    from observatory.analysis.curves.table import prepare_curves
    from observatory.analysis.fit.observed import known_options

    given = known_options(options, CurvesOptions)
    return prepare_curves(table, estimator or "emergence", given).run()


QUESTIONS = (
    Question(
        ask=curves,
        summary="laws of curves: emergence, saturation, a passage, relaxation, sparsity",
        examples=(
            "curves ratios.csv --group layer --plot emergence.pdf",
            "curves results/laptop_map --estimator relaxation",
            "curves heads.csv --estimator saturation --step d_head --value peak_sigma_h",
        ),
        aliases=("emergence",),
        place=60,
        words="text:curves_text",
        panel="figures:draw_curve",
        figure="figures:fitted_figure",
        fit_group="study_fits:fit_curves",
        section="section:draw_curves",
    ),
)
