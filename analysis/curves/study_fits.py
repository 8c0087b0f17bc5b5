"""Laws of curves of a study: of which of its weight decays and layers, and their records."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.curves.estimators.law_fit import CurveLaw
from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.curves.table import Curve, curve_part, gathered
from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.settings import STUDY, build
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, evenly, layered, select, where
from observatory.analysis.page.groups import Group

RATIOS, RATIO = "probes/massive_activations", "ratio"
NORMS, NORM = "probes/weight_norm", "l2"
_MAX_ROWS = 12
"""Weight decays in the map of a network of one layer."""
_MAX_MAPS = 6
"""Weight decays with a map of their own, where there are several layers."""


def fit_curves(facts: Facts, settings: Mapping[str, Any]) -> list[Record]:
    """Massive activations of few layers, weight norms of the highest weight decays."""
    return [*fit_emergence(facts, settings), *fit_relaxation(facts, settings)]


def fit_emergence(facts: Facts, settings: Mapping[str, Any]) -> list[Record]:
    """The law of massive activations: few layers, evenly, of as many weight decays as are left.

    A record per curve, refusals among them; none where the study does not ask for this fit or has
    no such readings.
    """
    frame, law = _readings(facts, RATIOS, RATIO), _law("curves_emergence", settings)
    if frame is None or law is None:
        return []
    ratios = layered(frame[RATIO].tolist())
    n_layers, most = ratios.shape[1], int(settings[STUDY]["max_emergence_layers"])
    layers = [int(layer) for layer in evenly(list(range(n_layers)), min(most, n_layers))]
    wide = select(frame, ["run_id", "replica", "step"]).reset_index(drop=True)
    n_decays = max(1, int(settings[STUDY]["max_emergence_curves"]) // len(layers))
    return [
        _record(
            law,
            _curve(
                facts.group, wide.assign(**{RATIO: ratios[:, layer]}), RATIO, decay, layer=layer
            ),
            settings,
        )
        for decay in evenly(mapped_decays(facts.group, n_layers), n_decays)
        for layer in layers
    ]


def fit_relaxation(facts: Facts, settings: Mapping[str, Any]) -> list[Record]:
    """The law of the weight norm at the highest weight decays, likewise."""
    frame, law = _readings(facts, NORMS, NORM), _law("curves_relaxation", settings)
    if frame is None or law is None:
        return []
    every = np.unique(column(facts.group.replicas, "weight_decay"))
    decays = every[every > 0][-int(settings[STUDY]["max_relaxation_decays"]) :].tolist()
    return [_record(law, _curve(facts.group, frame, NORM, decay), settings) for decay in decays]


def mapped_decays(group: Group, n_layers: int) -> list[float]:
    """The weight decays that a map of layers over steps shows."""
    decays = evenly(np.unique(column(group.replicas, "weight_decay")).tolist(), _MAX_ROWS)
    return evenly(decays, _MAX_MAPS) if n_layers > 1 else decays


def _readings(facts: Facts, table: str, value: str) -> pd.DataFrame | None:
    frame = facts.group.table(table, [value])
    return None if frame is None or frame.empty else frame


def _law(name: str, settings: Mapping[str, Any]) -> CurveLaw | None:
    return build(name, settings[name]) if name in settings else None


def _curve(group: Group, frame: pd.DataFrame, value: str, decay: float, **more: int) -> Curve:
    """The mean over the replicas of a weight decay, at the steps that all have."""
    rows = where(group.replicas, column(group.replicas, "weight_decay") == decay)
    own = frame.merge(select(rows, ["run_id", "replica"]), on=["run_id", "replica"])
    step, mean, notes = gathered(column(own, "step"), column(own, value), pooled=False)
    rates = np.unique(column(rows, "lr"))
    lr = float(rates[0]) if rates.size == 1 else None
    series = Series(step, mean, "step", value, lr, decay, group.steps_per_epoch, group.horizon)
    return Curve({"weight_decay": decay, **more}, series, notes)


def _record(law: CurveLaw, curve: Curve, settings: Mapping[str, Any]) -> Record:
    return curve_part(law, curve, int(settings[STUDY]["seed"])).record()


def records_of(records: Sequence[Record], fit: str) -> list[Record]:
    """The records of one law of curves."""
    return [record for record in records if record["fit"] == fit]


def intervals_words(records: Sequence[Record]) -> str:
    """How intervals were made where nothing refused, as "95% intervals from 100 resamples"."""
    level = f"{records[0]['level']:.0%} intervals"
    drawn = [r["extras"]["n_bootstrap"] for r in records if r["refused"] is None]
    return f"{level} from {drawn[0]} resamples" if drawn else level
