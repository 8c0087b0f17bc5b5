"""Groups that share seeds, compared pair by pair: the forest of an intervention."""

from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.fit.settings import build, settings_of
from observatory.analysis.page.comparison import GroupComparison, StudyGroup
from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.frames import column, evenly, select, where
from observatory.analysis.page.single import drawn
from observatory.analysis.paired.estimators.rows import PairedRows
from observatory.analysis.paired.figure import draw_differences, size_of
from observatory.analysis.training.section_heads import head_readings
from observatory.core.errors import FitRefusedError

MAX_ROWS = 16
"""Contrasts of one figure."""
LONGEST = 36
"""Letters of an arm's name."""


def draw_arms(comparison: GroupComparison) -> Drawing | NotDrawn | None:
    """Differences to the first group, by seed; None where no seed is in two groups."""
    tables = [_peaks(group) for group in comparison.groups]
    outcome = "peak sigma_h (nats)"
    if any(table is None for table in tables):
        tables = [_events(group) for group in comparison.groups]
        outcome = f"share with {comparison.groups[0].facts.event} (dimensionless)"
    rows = pd.concat(
        [t.assign(arm=i) for i, t in enumerate(tables) if t is not None], ignore_index=True
    )
    keys = ["arm", "seed", "weight_decay"]
    if rows.empty or rows.duplicated(keys).any():
        return None
    first = set(map(tuple, _pairs(rows, 0)))
    if not any(first & set(map(tuple, _pairs(rows, arm))) for arm in range(1, len(tables))):
        return None
    decays = np.unique(column(where(rows, column(rows, "arm") == 0), "weight_decay")).tolist()
    kept = evenly(decays, max(1, MAX_ROWS // max(len(tables) - 1, 1)))
    rows = where(rows, np.isin(column(rows, "weight_decay"), kept))
    names = [_short(group.label) for group in comparison.groups]
    names = [f"{name} ({i})" if names.count(name) > 1 else name for i, name in enumerate(names, 1)]
    paired = PairedRows(
        value=column(rows, "value"),
        arm=rows["arm"].to_numpy(dtype=np.int64),
        pair=rows["seed"].to_numpy(dtype=np.int64),
        condition=np.searchsorted(kept, column(rows, "weight_decay")).astype(np.int64),
        arms=names,
        conditions=[f"wd {decay_label(decay)}" for decay in kept],
        outcome=outcome,
        against_first=True,
    )
    title = "Differences between the groups, paired by seed"
    tests = build(*settings_of("paired", None))
    try:
        record = _named(tests.estimate(paired, 0).to_json(), names[0])
    except FitRefusedError as refusal:
        reason = str(refusal).split("; ")[0].rstrip(".")
        return NotDrawn(title, f"the comparison refused: {reason}")
    test = "McNemar’s exact test" if record["extras"]["rates"] else "paired t tests"
    return Drawing(
        name="groups-differences",
        title=title,
        caption=(
            f"{outcome[0].upper()}{outcome[1:]} of each group less that of "
            f"{comparison.groups[0].label}, over the seeds that both have, at {len(kept)} of "
            f"{len(decays)} weight decays (wd) of the latter, "
            f"with {record['level']:.0%} intervals that are not adjusted; p by Holm over the "
            f"family of {record['extras']['n_tests']} {test}. Undecided is not equal. A seed "
            "sets what two groups have in common, such as the split: pairs of other "
            f"architectures share no more. {comparison.context}"
        ),
        figure=drawn(draw_differences, record, None, None, size_of(record)),
    )


def _peaks(group: StudyGroup) -> pd.DataFrame | None:
    readings = head_readings(group.facts)
    if readings is None:
        return None
    made = select(readings, ["seed", "weight_decay"]).assign(value=readings["sigma_h"])
    made = where(made, np.isfinite(column(made, "value")))
    return None if made.empty else made


def _events(group: StudyGroup) -> pd.DataFrame:
    own = group.facts.group.replicas
    own = where(own, own["outcome"].notna().to_numpy())
    seen = own[f"{group.facts.event}_observed"].astype(float)
    return select(own, ["seed", "weight_decay"]).assign(value=seen)


def _pairs(rows: pd.DataFrame, arm: int) -> list[list[float]]:
    own = where(rows, column(rows, "arm") == arm)
    return np.stack([column(own, "seed"), column(own, "weight_decay")], axis=1).tolist()


def _named(record: dict[str, Any], first: str) -> dict[str, Any]:
    """The record with contrasts named by their second arm: the first one is in the caption."""
    end = f" - {first}"
    return {
        **record,
        **{
            part: {name.removesuffix(end): found for name, found in record[part].items()}
            for part in ("params", "table")
        },
    }


def _short(label: str) -> str:
    """The end of a name, which distinguishes groups."""
    words = label[-LONGEST:].split(" ", 1)[-1]
    return label if len(label) <= LONGEST else f"… {words}"
