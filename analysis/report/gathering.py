"""A study's folder as facts: its groups of replicas, each with the fits that belong to it."""

from collections.abc import Sequence

from observatory.analysis.fit.study import read_fits
from observatory.analysis.page.facts import Facts, gather, gather_unfitted
from observatory.analysis.page.groups import groups
from observatory.analysis.page.records import Record
from observatory.analysis.tables.watched import why_not_fitted
from observatory.store.reader import Study


def gather_study(study: Study) -> tuple[list[Facts], list[Record]]:
    """One entry per group that may be pooled, and what was fitted to the groups together.

    Of watched trainings that cannot be fitted there is what was looked at.

    Raises:
        StoreError: If the study holds no replica, or was not fitted as it is now.
    """
    found = groups(study)
    if why := why_not_fitted(study.runs):
        return [gather_unfitted(group, why) for group in found], []
    records = read_fits(study.folder / "fits.json")
    together = [record for record in records if record["study_group"] is None]
    if len(found) == 1:
        return [gather(found[0], together)], []
    return [gather(group, _of_group(records, group.label)) for group in found], together


def _of_group(records: Sequence[Record], label: str) -> list[Record]:
    """The records of one group."""
    return [record for record in records if record["study_group"] == label]


def notices(found: Sequence[Facts]) -> list[str]:
    """What the reader must know of the groups."""
    if len(found) == 1:
        return []
    compared = [facts.config["compare"] for facts in found if facts.config.get("compare")]
    if compared:
        return [f"{arm['arm']}: {arm['about']}" for arm in compared]
    each = "" if found[0].unfitted else ", each with fits of its own"
    return [
        f"Replicas differ in more than weight decay and seed: they are shown in {len(found)} "
        f"groups{each}."
    ]
