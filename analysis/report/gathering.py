"""A study's folder as facts: its groups of replicas, each with the fits that belong to it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from observatory.analysis.fit.study import fit_outcomes
from observatory.analysis.page.facts import Facts, gather
from observatory.analysis.page.groups import Group, groups
from observatory.analysis.page.records import Record
from observatory.core.errors import ConfigError, StoreError
from observatory.store.files import read_json
from observatory.store.reader import Study

STEPS_DRAWN = 160
"""Largest number of steps per curve; more are thinned evenly on the log axis."""


def gather_study(study: Study, fit: Mapping[str, Any] | None) -> tuple[list[Facts], list[str]]:
    """One entry per group that may be pooled, and what the reader must know of their fits.

    A single group is told by `fits.json`. Several have fits of their own, which are made here,
    since `fits.json` does not hold them.

    Args:
        study: The study.
        fit: The `fit` node of a configuration, plain values; None for that of the first run.

    Raises:
        StoreError: If the study holds no replica, or its `fits.json` no list.
        ConfigError: If nothing was fitted and there are no settings, or outcomes lack the event.
    """
    settings = fit or study.runs[0].manifest["config"].get("fit")
    found = groups(study)
    fitted = read_fits(study.folder)
    together = len(found) == 1
    event, level = _spoken_of(fitted or [], settings)
    made: list[Facts] = []
    for group in found:
        records = fitted or [] if together else _own_fits(group, settings)
        made.append(gather(group, records, event, level, STEPS_DRAWN))
    notices: list[str] = []
    if fitted is None and together:
        notices.append("There is no fits.json: nothing was fitted. Run `observatory fit` first.")
    if not together:
        notices.append(
            f"Replicas differ in more than weight decay and seed: they are told in {len(found)} "
            "groups" + (", each with fits of its own." if settings else ", without fits.")
        )
    return made, notices


def settings_of(study: Study, fit: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The `study` node of the fits, that of the first run where none is given; None without."""
    settings = fit or study.runs[0].manifest["config"].get("fit")
    return None if settings is None else settings.get("study")


def read_fits(folder: Path) -> list[Record] | None:
    """The records of a study's `fits.json`; None where it was not fitted.

    Raises:
        StoreError: If the file holds no list of fits.
    """
    path = folder / "fits.json"
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("fits"), list):
        raise StoreError(f"`{path}` holds no list of fits. Run `observatory fit` again.")
    return content["fits"]


def _spoken_of(records: Sequence[Record], fit: Mapping[str, Any] | None) -> tuple[str, float]:
    """The event of the figures and the level of the Wilson intervals: those of the fits."""
    if records:
        return str(records[0]["event"]), float(records[0]["level"])
    if fit:
        return str(fit["study"]["events"][0]), float(fit["study"]["level"])
    raise ConfigError(
        "`fit` must name the event and the level, since nothing was fitted and the runs' config "
        "has no such node. Run `observatory fit` first."
    )


def _own_fits(group: Group, fit: Mapping[str, Any] | None) -> list[Record]:
    if fit is None:
        return []
    return list(fit_outcomes(group.replicas, group.horizon, group.steps_per_epoch, fit, []))
