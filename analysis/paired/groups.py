"""Groups of replicas that share seeds, each compared with the first one, seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.settings import STUDY, build
from observatory.analysis.fit.task import ReadRows, rows_part
from observatory.analysis.page.comparison import GroupComparison, StudyGroup
from observatory.analysis.page.frames import column, evenly, select, where
from observatory.analysis.paired.arm_records import arm_of, arm_records
from observatory.analysis.paired.estimators.rows import PairedRows
from observatory.analysis.training.heads import head_readings

KEYS = ["arm", "seed", "weight_decay"]


def fit_groups(comparison: GroupComparison, settings: Mapping[str, Any]) -> list[Record]:
    """How arms differ from their replicas, and every other group from the first by shared seeds.

    Of groups, the outcome is the largest spread of the heads' entropies; whether the event was
    seen, where a group has no record of heads. One record, a contrast per group and weight decay;
    none where no seed is in two groups, or one is twice in a group, or replicas still train.
    Of arms see `arm_records`.
    """
    if "paired" not in settings or any(g.facts.group.recorded for g in comparison.groups):
        return []
    fresh = [g for g in comparison.groups if not arm_of(g)]
    if len(fresh) < len(comparison.groups):
        beside = replace(comparison, groups=fresh)
        others = _by_seed(beside, settings) if len(fresh) > 1 else []
        return [*arm_records(comparison, settings), *others]
    return _by_seed(comparison, settings)


def _by_seed(comparison: GroupComparison, settings: Mapping[str, Any]) -> list[Record]:
    rows, outcome = _outcomes(comparison.groups)
    if rows.empty or rows.duplicated(KEYS).any() or not _shared(rows):
        return []
    decays = np.unique(column(where(rows, column(rows, "arm") == 0), "weight_decay")).tolist()
    n_others = max(len(comparison.groups) - 1, 1)
    kept = evenly(decays, max(1, settings[STUDY]["max_contrasts"] // n_others))
    rows = where(rows, np.isin(column(rows, "weight_decay"), kept))
    paired = PairedRows(
        value=column(rows, "value"),
        arm=rows["arm"].to_numpy(dtype=np.int64),
        pair=rows["seed"].to_numpy(dtype=np.int64),
        condition=np.searchsorted(kept, column(rows, "weight_decay")).astype(np.int64),
        arms=[group.label for group in comparison.groups],
        conditions=[f"weight decay {decay:g}" for decay in kept],
        outcome=outcome,
        against_first=True,
    )
    fit, seed = build("paired", settings["paired"]), int(settings[STUDY]["seed"])
    counts = {"n_controls": len(kept), "n_controls_run": len(decays)}
    part = rows_part(fit, ReadRows(paired, {}, ()), seed)
    extras = {"reference": comparison.groups[0].label, **counts}
    return [replace(part, extras=extras).record()]


def _outcomes(groups: Sequence[StudyGroup]) -> tuple[pd.DataFrame, str]:
    """Columns arm, seed, weight_decay, value; and what the value is."""
    tables = [_peaks(group) for group in groups]
    outcome = "peak sigma_h (nats)"
    if any(table is None for table in tables):
        tables = [_events(group) for group in groups]
        outcome = f"share with {groups[0].facts.event} (dimensionless)"
    found = [table.assign(arm=arm) for arm, table in enumerate(tables) if table is not None]
    return pd.concat(found, ignore_index=True), outcome


def _peaks(group: StudyGroup) -> pd.DataFrame | None:
    readings = head_readings(group.facts)
    if readings is None:
        return None
    made = select(readings, ["seed", "weight_decay"]).assign(value=readings["sigma_h"])
    made = where(made, np.isfinite(column(made, "value")))
    return None if made.empty else made


def _events(group: StudyGroup) -> pd.DataFrame:
    own = group.facts.group.replicas
    own = where(own, own["outcome"].notna().to_numpy())  # without those that have no record yet
    seen = own[f"{group.facts.event}_observed"].astype(float)
    return select(own, ["seed", "weight_decay"]).assign(value=seen)


def _shared(rows: pd.DataFrame) -> bool:
    """Whether another group has a seed of the first one at the same weight decay."""
    first = column(rows, "arm") == 0
    keys = KEYS[1:]
    return not select(where(rows, first), keys).merge(select(where(rows, ~first), keys)).empty
