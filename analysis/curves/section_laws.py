"""Laws of curves fitted for a page: few curves and few resamples, so that a page stays cheap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.curves.table import gathered
from observatory.analysis.fit.settings import build, settings_of
from observatory.analysis.page.frames import column, select, where
from observatory.analysis.page.groups import Group
from observatory.analysis.page.records import Record
from observatory.analysis.stats.estimate import refusal_record
from observatory.core.errors import FitRefusedError

MAX_FITS = 6
"""Curves that are fitted for one figure."""
N_BOOTSTRAP = 100
"""Resamples of each; `observatory fit emergence` takes more."""


@dataclass(frozen=True)
class Fitted:
    """One curve of a figure and what was found.

    Attributes:
        weight_decay: Of its replicas.
        layer: Counted from 0; None where the value has none.
        record: Of the fit, refused or not.
    """

    weight_decay: float
    layer: int | None
    record: Record


def fit_curve(
    group: Group, frame: pd.DataFrame, value: str, decay: float, layer: int | None, model: str
) -> Fitted:
    """A law of the mean over the replicas of a weight decay, at the steps that all have.

    Args:
        group: The replicas.
        frame: Columns run_id, replica, step and the value.
        value: A numeric column.
        decay: Which weight decay.
        layer: What the column is of, for the record only.
        model: Of `observatory fit emergence`.
    """
    rows = where(group.replicas, column(group.replicas, "weight_decay") == decay)
    own = frame.merge(select(rows, ["run_id", "replica"]), on=["run_id", "replica"])
    step, mean, notes = gathered(column(own, "step"), column(own, value), pooled=False)
    rates = np.unique(column(rows, "lr"))
    series = Series(
        step,
        mean,
        "step",
        value,
        float(rates[0]) if rates.size == 1 else None,
        decay,
        group.steps_per_epoch,
        group.horizon,
    )
    return Fitted(decay, layer, record_of(model, series, notes, {}))


def record_of(
    model: str, series: Series, notes: Sequence[str], settings: Mapping[str, Any]
) -> Record:
    """The record of a fit, or of its refusal, with the points that were fitted."""
    fit = build(*settings_of("curves", model, {"n_bootstrap": N_BOOTSTRAP, **settings}))
    try:
        if not series.n:
            raise FitRefusedError("There is no finite reading.")
        made = fit.estimate(series, 0).to_json()
        return {**made, "warnings": [*notes, *made["warnings"]]}
    except FitRefusedError as refusal:
        made = refusal_record(
            fit=fit.fit_name,
            estimator=fit.estimator,
            event=series.value_name,
            horizon_steps=series.horizon_steps,
            horizon_epochs=None,
            level=fit.level,
            n=series.n,
            seed=0,
            reason=str(refusal),
        )
        points = {"data.step": series.step.tolist(), "data.value": series.value.tolist()}
        return {**made, "warnings": list(notes), "curves": points}
