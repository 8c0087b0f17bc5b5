"""All fits of a study: the same outcomes at several horizons, for several events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from observatory.analysis.fit.contract import Fit, Record
from observatory.analysis.fit.lead import LEAD, chosen
from observatory.analysis.fit.observed import fitted
from observatory.analysis.fit.plan import horizons, read_settings
from observatory.analysis.fit.questions import questions
from observatory.analysis.fit.settings import STUDY
from observatory.analysis.fit.source import study_rows
from observatory.analysis.page.comparison import StudyGroup, compare
from observatory.analysis.page.facts import gather
from observatory.analysis.page.groups import Group, groups
from observatory.analysis.stats.estimate import about, refusal_record
from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.cells import CELLS, cells_record, observations
from observatory.analysis.tables.outcomes import replicas_table
from observatory.analysis.tables.recorded import training_notes
from observatory.core.errors import FitRefusedError, StoreError
from observatory.core.processes import in_parallel
from observatory.store.files import read_json, write_atomically, write_json
from observatory.store.reader import Study

_SCHEMA = 2
"""Version of the layout of fits.json."""


@dataclass(frozen=True)
class _Replicas:
    """Replicas that may be pooled, joined with their outcomes."""

    outcomes: pd.DataFrame
    horizon_steps: int  # after which they were retired
    steps_per_epoch: int | None  # to give horizons in epochs too
    group: str = ""  # what sets them apart
    notes: tuple[str, ...] = ()  # what is to be said with every fit of them


_Case = tuple[int, str, int]
"""Which part, which event, and the horizon in steps."""


def fit_outcomes(
    outcomes: pd.DataFrame,
    horizon_steps: int,
    steps_per_epoch: int | None,
    settings: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Every fit of the settings, for every event and horizon.

    Args:
        outcomes: Replicas that may be pooled, joined with their outcomes.
        horizon_steps: Steps after which replicas were retired.
        steps_per_epoch: To give horizons in epochs too.
        settings: The `fit` node of a configuration, plain values.

    Returns:
        Records as `fits.json` holds them, in the order of the settings; a fit that refuses gives a
        record with the reason, and those of the lead say in `extras["lead"]` why it leads.

    Raises:
        ConfigError: If the settings are wrong, or name an unknown event or a horizon that is longer
            than the one run.
        FitRefusedError: If an event without a time is to be cut at a horizon.
    """
    notes = tuple(training_notes(outcomes))
    part = _Replicas(outcomes, horizon_steps, steps_per_epoch, notes=notes)
    return _fit_each([part], settings)[0]


def _fit_each(
    parts: Sequence[_Replicas], settings: Mapping[str, Any]
) -> list[list[dict[str, Any]]]:
    """The records of each part, the lead of an event being the same for all of them."""
    plan, fits = read_settings(settings)
    tables: dict[_Case, Observations] = {}
    asked: list[tuple[_Case, str]] = []
    for of, part in enumerate(parts):
        steps = horizons(plan, part.horizon_steps, part.outcomes)
        for case in ((of, event, horizon) for event in plan.events for horizon in steps):
            tables[case] = observations(part.outcomes, *case[1:], part.steps_per_epoch)
            main = case == (of, plan.events[0], steps[0])
            asked += [(case, name) for name in fits if main or name not in plan.longest_only]

    def made_of(keys: Sequence[tuple[_Case, str]]) -> dict[tuple[_Case, str], dict[str, Any]]:
        tasks = [partial(_attempt, fits[name], tables[case], plan.seed) for case, name in keys]
        return dict(zip(keys, in_parallel(tasks), strict=True))

    made = made_of([key for key in asked if key[1] in plan.lead])
    for event in plan.events:
        cases = [case for case in tables if case[1] == event]
        at = [
            (
                f"{case[2]} steps {parts[case[0]].group}".strip(),
                {n: made[case, n] for n in plan.lead},
            )
            for case in cases
        ]
        lead, why = chosen(plan.lead, at)
        if lead is None:
            break
        for case in cases:
            made[case, lead]["extras"][LEAD] = why
            critical = critical_of(made[case, lead])
            tables[case] = replace(tables[case], critical=critical, critical_by=lead)
    made |= made_of([key for key in asked if key not in made])
    found: list[list[dict[str, Any]]] = [[] for _ in parts]
    for key in asked:
        of = key[0][0]
        found[of].append({**made[key], "warnings": [*parts[of].notes, *made[key]["warnings"]]})
    return found


def _attempt(fit: Fit, observations: Observations, seed: int) -> dict[str, Any]:
    """The record of one fit, refused or not."""
    try:
        return fitted(fit, observations, seed).to_json()
    except FitRefusedError as refusal:
        known = {**observations.about, "n": observations.within(fit.window_max).n}
        return refusal_record(**about(fit, seed), **known, reason=str(refusal))


def critical_of(record: Mapping[str, Any]) -> float | None:
    """The critical weight decay of a record, or None where it refused."""
    parameter = record["params"].get("critical")
    return None if parameter is None else parameter["value"]


def fit_study(study: Study, settings: Mapping[str, Any]) -> list[Record]:
    """Every fit of a study: of each group of its replicas, and of the groups beside each other.

    Replicas of a group differ in weight decay and seed alone: others are never pooled. Where some
    still train, all are cut at the step that is recorded of each.

    Returns:
        Records as `fits.json` holds them. `study_group` is what sets the group of a record apart,
        null where the study has one group, and for records of several groups.

    Raises:
        ConfigError: If the settings are wrong.
        StoreError: If the study holds no replica.
    """
    read_settings(settings)
    found = groups(study)
    parts = [
        _Replicas(
            group.replicas, group.horizon, group.steps_per_epoch, group.label, tuple(group.notes())
        )
        for group in found
    ]
    beside: list[StudyGroup] = []
    records: list[Record] = []
    for group, own in zip(found, _fit_each(parts, settings), strict=True):
        made = fit_group(group, own, settings)
        beside.append(StudyGroup(group.label, gather(group, made), group.label))
        records += [{**record, "study_group": group.label or None} for record in made]
    across = fit_across(beside, settings) if len(found) > 1 else []
    return [*records, *({**record, "study_group": None} for record in across)]


def fit_group(group: Group, records: Sequence[Record], settings: Mapping[str, Any]) -> list[Record]:
    """Records of a group: those it has, its cells, and what the questions fit of it."""
    plan, level = read_settings(settings)[0], float(settings[STUDY]["level"])
    steps = {group.horizon, *(s for s in horizons(plan, group.horizon, group.replicas))}
    counted = [
        cells_record(group.replicas, event, horizon, group.steps_per_epoch, level)
        for event in plan.events
        for horizon in sorted(steps, reverse=True)
    ]
    facts = gather(group, [*counted, *records])
    return [*records, *counted, *_of_questions("fit_group", facts, settings)]


def fit_across(groups: Sequence[StudyGroup], settings: Mapping[str, Any]) -> list[Record]:
    """What the questions fit of several groups beside each other."""
    return _of_questions("fit_across", compare(groups), settings)


def _of_questions(part: str, *given: Any) -> list[Record]:
    tasks = [partial(asked.collect, part, *given) for asked in questions().values()]
    return [record for made in in_parallel(tasks) for record in made]


def read_fits(path: Path) -> list[Record]:
    """The records of a file of fits.

    Raises:
        StoreError: If there is none, it is of an older layout, or it holds no list of fits.
    """
    again = "Run `observatory fit STUDY`."
    if not path.is_file():
        raise StoreError(f"`{path}` does not exist: nothing was fitted. {again}")
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("fits"), list):
        raise StoreError(f"`{path}` holds no list of fits. {again}")
    if content.get("schema_version") != _SCHEMA:
        raise StoreError(f"`{path}` is of another version of the package. {again}")
    return content["fits"]


def are_current(study_folder: Path) -> bool:
    """Whether the file of fits of a study can be read, and counts its replicas as they are now.

    Raises:
        StoreError: If the folder holds no study or no replica.
    """
    found = groups(Study(study_folder))
    try:
        records = read_fits(study_folder / "fits.json")
    except StoreError:
        return False
    counted = [record for record in records if record["fit"] == CELLS]
    for group in found:
        label = group.label or None
        own = [record for record in counted if record["study_group"] == label]
        if not own:
            return False
        event, level = str(own[0]["event"]), float(own[0]["level"])
        now = cells_record(group.replicas, event, group.horizon, group.steps_per_epoch, level)
        if not any(record["table"] == now["table"] for record in own):
            return False
    return True


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write a file of fits atomically; raises as `write_json` does."""
    write_json(path, {"schema_version": _SCHEMA, "fits": list(records)})


def write_fits(study_folder: Path, records: Sequence[Record]) -> Path:
    """Write a study's `fits.json`; raises as `write_json` does."""
    path = Path(study_folder) / "fits.json"
    write_records(path, records)
    return path


def write_replicas_csv(study: Study) -> Path:
    """Write `replicas.csv` atomically; raises as `write_atomically` does."""
    path = study.folder / "replicas.csv"
    table = replicas_table(study_rows(study))
    write_atomically(path, lambda temporary: table.to_csv(temporary, index=False))
    return path
