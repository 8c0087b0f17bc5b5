"""Finite-size scaling: a transition as size grows, or a smooth crossover."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, final

from observatory.analysis.fit.contract import Question, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.page.comparison import GroupComparison
    from observatory.analysis.page.drawing import Drawing, NotDrawn
    from observatory.analysis.tables.open import Table


class ScalingOptions(TypedDict, total=False):
    """What finite-size scaling takes; None, or left out: as the table or conf/fit has it.

    Attributes:
        size: Column of sizes (size); of a study, a setting such as task.p.
        control: Column of what is varied at each size (control; of a study, weight_decay).
        value: Column of the order parameter (value; of a study, val_acc at the last look).
        group: Column of what rows of one size share, such as a seed (seed, if it is there).
        level: Coverage of the intervals; tests are at 1 - level.
        n_bootstrap: Number of resamples of seeds.
        seed: Seed of all draws.
        settings: Any further setting of the estimator, by name, such as log_control.
        config_dir: Folder of configurations of your own, laid out as conf/ is.
        tracking_uri: Database or server of MLflow, for mlflow:EXPERIMENT.
    """

    size: str | None
    control: str | None
    value: str | None
    group: str | None
    level: float | None
    n_bootstrap: int | None
    seed: int | None
    settings: Mapping[str, Any] | None
    config_dir: Path | None
    tracking_uri: str | None


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


@final
class _ScalingQuestion(Question):
    """A transition as size grows, or a smooth crossover."""

    name = "scaling"
    summary = "a transition as size grows, or a smooth crossover"
    examples = (
        "scaling runs.csv --size p --control train_fraction --value m --group seed --plot s.pdf",
        "scaling results/my_study --size task.p --set log_control=true --set zeta=0",
    )
    aliases = ("collapse",)
    place = 120
    ask = staticmethod(scaling)

    def text(self, fitted: "Fitted") -> str:
        """Verdicts with their reasons, then parameters, then warnings."""
        from observatory.analysis.scaling.text import chain_text

        return chain_text(fitted.record, fitted.data)

    def draw(self, fitted: "Fitted", ax: "Axes | None") -> "Figure":
        """Every link, a panel each."""
        from observatory.analysis.scaling.figure import finite_size_figure
        from observatory.core.errors import ConfigError

        if ax is not None:
            raise ConfigError("`ax` takes one panel, and a chain has eight. Leave it out.")
        return finite_size_figure(fitted.record, fitted.data)

    def fit_across(
        self, comparison: "GroupComparison", settings: Mapping[str, Any]
    ) -> list[Record]:
        """The chain where groups differ in a size; an amplitude against the width of a head."""
        from observatory.analysis.scaling.study_fits import fit_amplitudes, fit_chain

        return [*fit_chain(comparison, settings), *fit_amplitudes(comparison, settings)]

    def section_across(self, comparison: "GroupComparison") -> "Iterable[Drawing | NotDrawn]":
        """Every link of the chain, and the law of the amplitude."""
        from observatory.analysis.scaling.section import draw_sizes

        return draw_sizes(comparison)


QUESTIONS = (_ScalingQuestion(),)
