"""Records of groups that are each set beside the first, whichever fit does it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from observatory.analysis.stats.estimate import Estimate, refusal_record
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.paired_tests import holm
from observatory.core.errors import FitRefusedError


def beside_first(
    compare: Callable[[Observations, Observations, tuple[str, str], float], Estimate],
    groups: tuple[Observations, Observations],
    names: tuple[str, str],
    level: float,
    **about: Any,
) -> dict[str, Any]:
    """The record of a fit of a group and the first one, or of its refusal.

    Args:
        compare: Of both groups, their names and the level.
        groups: The group, then the first one.
        names: Theirs.
        level: Coverage of the intervals.
        about: What a refusal says of the fit: its `fit`, `estimator` and `seed`.
    """
    group, base = groups
    try:
        return compare(group, base, names, level).to_json()
    except FitRefusedError as refusal:
        known = {**group.about, "n": group.n + base.n, "level": level, **about}
        extras = {"numerator": names[0], "denominator": names[1]}
        return {**refusal_record(reason=str(refusal), **known), "extras": extras}


def adjust_family(records: Sequence[dict[str, Any]]) -> None:
    """Add `p_holm` and `family` to the extras of records that are one family of tests.

    Their `p` is adjusted by Holm over all that are not refused.
    """
    family = [record for record in records if record["refused"] is None]
    if not family:
        return
    adjusted = holm(np.array([record["extras"]["p"] for record in family]))
    for record, p_value in zip(family, adjusted, strict=True):
        record["extras"] |= {"p_holm": float(p_value), "family": len(family)}
