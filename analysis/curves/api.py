"""Laws of curves on a table from anywhere: read, checked, fitted, one estimate per curve."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.resources import files
from typing import Any, Protocol, cast, runtime_checkable

import yaml
from observatory.analysis.tables.sources import Table

from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.curves.result import CurveFit, CurveFits
from observatory.analysis.curves.rules import checked_settings
from observatory.analysis.curves.table import CurveColumns, read_curves
from observatory.analysis.fit.settings import changed, draw_seed
from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.stats.rules import require_numbers
from observatory.core.errors import ConfigError, FitRefusedError

FITS = "observatory.analysis."
MODELS = {
    "emergence": ("emergence", "ratio", "probes/massive_activations"),
    "saturation": ("saturation", "value", None),
    "tanh": ("synchronisation", "s_bar", "probes/attention"),
    "relaxation": ("relaxation", "l2", "probes/weight_norm"),
    "sparsity": ("sparsity", "value", None),
}
"""File of conf/deep_fit, usual column, and the table of a study that holds it."""


@runtime_checkable
class CurveModel(Protocol):
    """A law of curves."""

    fit_name: str
    estimator: str
    level: float

    def estimate(self, series: Series, seed: int) -> Estimate:
        """The law fitted, or `FitRefusedError`."""
        ...


def model_settings(model: str) -> dict[str, Any]:
    """The settings of a model as its file of `conf/deep_fit` has them.

    Raises:
        ConfigError: If there is no such model.
    """
    if model not in MODELS:
        raise ConfigError(f"`model` must be one of {sorted(MODELS)}, got {model!r}.")
    name = MODELS[model][0]
    file = files("observatory.conf").joinpath("deep_fit", f"{name}.yaml")
    return cast(dict[str, Any], yaml.safe_load(file.read_text(encoding="utf-8"))[name])


def build_model(model: str, settings: Mapping[str, Any]) -> CurveModel:
    """The model, with some settings of its file changed.

    Raises:
        ConfigError: If it has no such setting, or one breaks its rule.
    """
    node = changed(model, model_settings(model), settings)
    module, _, name = str(node.pop("_target_")).rpartition(".")
    if not module.startswith(FITS):
        raise ConfigError(f"`{model}` must name a class in {FITS[:-1]}, got {module}.")
    node = checked_settings(node)
    try:
        return getattr(import_module(module), name)(**node)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`{model}` cannot be built: {error}") from error


def fit_curves(
    table: Table,
    model: str = "emergence",
    *,
    step: str | None = None,
    value: str | None = None,
    group: Sequence[str] | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    steps_per_epoch: float | None = None,
    horizon_steps: int | None = None,
    level: float | None = None,
    n_bootstrap: int | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> CurveFits:
    """Fit a law to every curve of a table.

    Args:
        table: A DataFrame, a CSV or Parquet file, or a study or its folder: a row per curve and
            step. Rows of one step are averaged, but for "saturation", where each is a point.
        model: "emergence", "saturation", "tanh", "relaxation" or "sparsity".
        step: Column of steps, or of whatever the value is a curve of; None: "step".
        value: Column of values; None: "ratio" for emergence, "l2" for relaxation, "s_bar" for tanh,
            else "value".
        group: Columns that tell curves apart; None: none, or weight decay and layer of a study.
        lr: Learning rate, for relaxation; None: the column lr.
        weight_decay: Weight decay, for relaxation; None: the column weight_decay.
        steps_per_epoch: For kappa per epoch; None: as a study says.
        horizon_steps: Steps that were run, for the bound on lambda_c; None: as a study says.
        level: Coverage of the intervals.
        n_bootstrap: Resamples.
        seed: Of the resampling.
        settings: Further settings of `conf/deep_fit` by name.

    Returns:
        The curves with their estimates or refusals. It prints itself.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        StoreError: If a folder is no study.

    Example:
        >>> import numpy as np, pandas as pd
        >>> t = np.linspace(0, 143_000, 37)
        >>> ratio = 3000 * np.exp(-0.6 * (1e-4 * t + 1)) * np.log(1e-4 * t + 1) + 120
        >>> found = fit_curves(pd.DataFrame({"step": t, "ratio": ratio}), n_bootstrap=50)
        >>> found.params.round(1)[["t_peak", "height", "K"]].iloc[0].tolist()
        [11618.3, 752.2, 120.0]
    """
    epochs = {"horizon_steps": horizon_steps, "steps_per_epoch": steps_per_epoch}
    require_numbers({"lr": lr, "weight_decay": weight_decay, **epochs})
    given = {"level": level, "n_bootstrap": n_bootstrap}
    changes = {name: number for name, number in given.items() if number is not None}
    fit = build_model(model, {**changes, **(settings or {})})
    _, usual, stored = MODELS[model]
    columns = CurveColumns(
        step=step or "step",
        value=value or usual,
        group=group,
        table=stored if value is None else None,
        lr=lr,
        weight_decay=weight_decay,
        steps_per_epoch=steps_per_epoch,
        horizon_steps=horizon_steps,
        pooled=model == "saturation",
    )
    root = draw_seed(seed)
    found: list[CurveFit] = []
    for curve in read_curves(table, columns):
        try:
            told: Estimate | str = fit.estimate(curve.series, root)
        except FitRefusedError as refusal:
            told = str(refusal)
        names = (fit.fit_name, fit.estimator)
        found.append(CurveFit(curve, told, names, fit.level, root))
    return CurveFits(model, found)
