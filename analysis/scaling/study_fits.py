"""Groups of several sizes: the finite-size chain, and how an amplitude grows with the heads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.curves.estimators.law_fit import CurveLaw
from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.curves.table import Curve, curve_part
from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.result import flat_record
from observatory.analysis.fit.settings import STUDY, build
from observatory.analysis.fit.task import rows_part
from observatory.analysis.page.comparison import GroupComparison, StudyGroup
from observatory.analysis.page.frames import column, evenly, select, where
from observatory.analysis.scaling.table import read_sized
from observatory.analysis.stats.estimate import about, refusal_record
from observatory.analysis.tables.last_looks import configured
from observatory.analysis.training.heads import head_readings

CONTROL, ACCURACY = "weight_decay", "val_acc"
D_HEAD, AMPLITUDE = "d_head", "sigma_h"


def fit_sizes(comparison: GroupComparison, settings: Mapping[str, Any]) -> list[Record]:
    """The chain where groups differ in a size; an amplitude against the width of a head."""
    return [*_fit_chain(comparison, settings), *_fit_amplitudes(comparison, settings)]


def _fit_chain(comparison: GroupComparison, settings: Mapping[str, Any]) -> list[Record]:
    """The chain of val accuracy at the last look, where groups differ in a size.

    One record, refused or not; none where the study does not ask for it, or no size differs.
    """
    if "scaling" not in settings:
        return []
    for name in settings[STUDY]["sizes"]:
        sizes = _numbers([configured(g.facts.config, name) for g in comparison.groups])
        if sizes is not None:
            return [_chain(comparison.groups, name, sizes, settings)]
    return []


def _fit_amplitudes(comparison: GroupComparison, settings: Mapping[str, Any]) -> list[Record]:
    """The law of the largest sigma_h against d_head, at few weight decays that all groups have.

    A record per weight decay, one refusal where there is nothing to fit; none where the study does
    not ask for it, or the groups do not differ in d_head.
    """
    if "curves_saturation" not in settings:
        return []
    widths = _numbers([_d_head(group) for group in comparison.groups])
    if widths is None:
        return []
    law: CurveLaw = build("curves_saturation", settings["curves_saturation"])
    seed = int(settings[STUDY]["seed"])
    readings = [head_readings(group.facts) for group in comparison.groups]
    pairs = zip(readings, widths, strict=True)
    tables = [table.assign(**{D_HEAD: d}) for table, d in pairs if table is not None]
    if len(tables) < len(widths):
        return [_refusal(law, AMPLITUDE, 0, seed, "A group lacks the attention probe.")]
    rows = pd.concat(tables, ignore_index=True)
    rows = where(rows, np.isfinite(column(rows, AMPLITUDE))).sort_values(D_HEAD)
    decays = [set(column(table, CONTROL).tolist()) for table in tables]
    shared = sorted(set.intersection(*decays))
    if not shared or rows.empty:
        reason = "The groups share no weight decay with a defined sigma_h."
        return [_refusal(law, AMPLITUDE, 0, seed, reason)]
    found: list[Record] = []
    for decay in evenly(shared, int(settings[STUDY]["max_saturation_decays"])):
        own = where(rows, column(rows, CONTROL) == decay)
        series = Series(column(own, D_HEAD), column(own, AMPLITUDE), D_HEAD, AMPLITUDE)
        found.append(curve_part(law, Curve({CONTROL: decay}, series, ()), seed).record())
    return found


def _numbers(found: Sequence[float | None]) -> list[float] | None:
    """The numbers, where every group has one and they are not all the same."""
    known = [number for number in found if number is not None]
    return known if len(known) == len(found) and len(set(known)) > 1 else None


def _d_head(group: StudyGroup) -> float | None:
    """Width of one head; None for a model without heads."""
    names = ("model.d_model", "model.n_heads")
    d_model, n_heads = (configured(group.facts.config, name) for name in names)
    return None if d_model is None or not n_heads else d_model / n_heads


def _chain(
    groups: Sequence[StudyGroup], name: str, sizes: Sequence[float], settings: Mapping[str, Any]
) -> Record:
    chain, seed = build("scaling", settings["scaling"]), int(settings[STUDY]["seed"])
    frames = [_last(group) for group in groups]
    known = [f.assign(**{name: s}) for f, s in zip(frames, sizes, strict=True) if f is not None]
    rows = pd.concat(known, ignore_index=True) if known else pd.DataFrame({CONTROL: []})
    rows = where(rows, column(rows, CONTROL) > 0)
    reason = None
    if any(group.facts.group.recorded for group in groups):
        reason = "Replicas still train: those that have ended are no sample of all. Wait."
    elif len(set(sizes)) < len(sizes):
        reason = "Several groups have one size and differ in something else."
    elif len(known) < len(groups) or rows.empty:
        reason = "A group has no evaluation of a finished replica with weight decay above 0."
    if reason is not None:
        return {**_refusal(chain, ACCURACY, len(rows), seed, reason), "group": {"size": name}}
    asked = {"size": name, "control": CONTROL, "value": ACCURACY, "group": "seed"}
    part = rows_part(chain, read_sized(rows, asked), seed)
    return replace(part, group={"size": name}).record()


def _last(group: StudyGroup) -> pd.DataFrame | None:
    """seed, weight_decay and val_acc at the last look, of the finished replicas of a group."""
    frame = group.facts.group.table("evaluation", [ACCURACY])
    if frame is None:
        return None
    keys = ["run_id", "replica"]
    last = frame.groupby(keys, as_index=False).agg({ACCURACY: "last"})
    own = group.facts.group.replicas
    own = select(where(own, own["outcome"].notna().to_numpy()), [*keys, "seed", CONTROL])
    made = pd.DataFrame(own.merge(last, on=keys))
    made["seed"] = made["run_id"].astype(str) + "/" + made["seed"].astype(str)
    return select(made, ["seed", CONTROL, ACCURACY])


def _refusal(fit: Any, event: str, n: int, seed: int, reason: str) -> Record:
    """The record of a fit that has nothing to be made of."""
    return flat_record(refusal_record(**about(fit, seed), event=event, n=n, reason=reason))
