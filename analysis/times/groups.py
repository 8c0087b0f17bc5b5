"""Groups of a study, their times beside those of the first."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.settings import STUDY
from observatory.analysis.page.comparison import GroupComparison, StudyGroup
from observatory.analysis.page.frames import column, words
from observatory.analysis.stats.estimate import Estimate, Plain
from observatory.analysis.stats.first_group import adjust_family, beside_first
from observatory.analysis.times.estimators.time_ratio import TIME_RATIO, time_ratio

PACE = "pace"
_FAILED = ("collapsed", "diverged")


def fit_groups(comparison: GroupComparison, settings: Mapping[str, Any]) -> list[Record]:
    """The ratio of each group's times to those of the first, at the horizons that they share.

    First how soon each memorises and what a step costs. At each horizon the ratios are one family:
    `p_holm` adjusts their p-values for all of them. None where replicas parted from others: until
    then their times are those of the others.
    """
    if any("arm" in group.facts.group.replicas for group in comparison.groups):
        return []
    level = float(settings[STUDY]["level"])
    made: list[Record] = [_pace(comparison, level)]
    for horizon in comparison.horizons:
        tables = comparison.tables(horizon)
        if len(tables) < 2:
            continue
        (first, base), *others = tables.items()
        about = {"fit": TIME_RATIO, "estimator": "lognormal", "seed": 0}
        records = [
            beside_first(time_ratio, (group, base), (label, first), level, **about)
            for label, group in others
        ]
        adjust_family(records)
        made += records
    return made


def _pace(comparison: GroupComparison, level: float) -> Record:
    """Of each group: who memorised and when, who failed, and the CPU time of a replica's step."""
    groups = comparison.groups
    return Estimate(
        fit=PACE,
        estimator="counts",
        event=groups[0].facts.event,
        level=level,
        n=sum(len(group.facts.group.replicas) for group in groups),
        seed=0,
        table={group.label: _pace_of(group) for group in groups},
    ).to_json()


def _pace_of(group: StudyGroup) -> dict[str, Plain]:
    facts, runs = group.facts, group.facts.group.runs
    memorised = column(facts.times, "t_mem")
    all_of_them = np.where(np.isnan(memorised), np.inf, memorised)
    middle = float(np.quantile(all_of_them, 0.5, method="higher"))
    costs = [run.manifest.get("cost") or {} for run in runs]
    known = all({"cpu_s", "replica_steps"} <= set(cost) for cost in costs)
    steps = sum(cost["replica_steps"] for cost in costs) if known else 0
    return {
        "n": len(memorised),
        "memorised": int(np.isfinite(all_of_them).sum()),
        "median_memorised": middle if np.isfinite(middle) else None,
        "failed": int(np.isin(words(facts.times, "end"), _FAILED).sum()),
        "cpu_ms_per_step": 1e3 * sum(cost["cpu_s"] for cost in costs) / steps if steps else None,
    }
