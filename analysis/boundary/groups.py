"""Boundaries and rates of several groups beside each other: architectures, tasks, studies."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from observatory.analysis.boundary.estimators.ratio import boundary_ratio
from observatory.analysis.stats.estimate import refusal_record
from observatory.analysis.stats.multiplicity import holm
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.paired_rates import compare_rates
from observatory.core.errors import FitRefusedError


def compare_groups(
    groups: Mapping[str, Observations], level: float, n_bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Every group against the first: the ratio of boundaries, and the rates per weight decay.

    The ratios are one registered family: their p-values are adjusted by Holm over all of them,
    before any is looked at.

    Args:
        groups: Observations by label, each within the window to be fitted; the first is the
            reference.
        level: Coverage of the intervals.
        n_bootstrap: Resamples.
        seed: Of the resampling.

    Returns:
        Records as `fits.json` holds them: `boundary_ratio` with `p_holm` and `family` among the
        extras, and `rate_comparison`; refusals with their reason.
    """
    (reference, base), *others = groups.items()
    made: list[dict[str, Any]] = []
    for label, group in others:
        pair = (label, reference)
        for kind in ("boundary_ratio", "rate_comparison"):
            try:
                if kind == "boundary_ratio":
                    found = boundary_ratio(group, base, pair, level, n_bootstrap, seed)
                else:
                    found = compare_rates(group, base, pair, level)
                made.append(found.to_json())
            except FitRefusedError as refusal:
                record = refusal_record(
                    fit=kind,
                    estimator="firth" if kind == "boundary_ratio" else "mcnemar",
                    event=group.event,
                    horizon_steps=group.horizon_steps,
                    horizon_epochs=group.horizon_epochs,
                    level=level,
                    n=group.n + base.n,
                    seed=seed,
                    reason=str(refusal),
                )
                made.append({**record, "extras": {"numerator": label, "denominator": reference}})
    family = [r for r in made if r["fit"] == "boundary_ratio" and r["refused"] is None]
    if family:
        adjusted = holm(np.array([record["extras"]["p"] for record in family]))
        for record, p_value in zip(family, adjusted, strict=True):
            record["extras"] |= {"p_holm": float(p_value), "family": len(family)}
    return made


def at_common_horizon(groups: Mapping[str, Observations]) -> dict[str, Observations]:
    """The groups as the shortest of their horizons would have left them, where all have times.

    Groups without a horizon, or with an event that has no times, are left as they are.
    """
    known = [g.horizon_steps for g in groups.values() if g.horizon_steps is not None]
    if len(known) < len(groups) or len(set(known)) == 1:
        return dict(groups)
    try:
        return {label: group.at_horizon(min(known)) for label, group in groups.items()}
    except FitRefusedError:
        return dict(groups)
