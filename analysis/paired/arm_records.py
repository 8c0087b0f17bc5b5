"""The comparison of arms with their replicas: as the fits of a study, and as asked for alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.settings import STUDY, build, built, draw_seed, shared_setting
from observatory.analysis.fit.task import Part, ReadRows, Task, rows_part
from observatory.analysis.page.comparison import GroupComparison, StudyGroup
from observatory.analysis.page.groups import Group, groups
from observatory.analysis.paired.arms import BY_PARENT, PARENT, Networks, is_noise, networks
from observatory.analysis.paired.effects import OF_EVENTS, effects, signal_of
from observatory.analysis.paired.estimators.comparison import PairedComparison
from observatory.analysis.paired.timeline import timeline
from observatory.core.errors import ConfigError
from observatory.core.settings import known_name
from observatory.store.reader import Study

_TIMELINE = ("val_acc", "val_loss")
"""Signals of the evaluation whose course after the act is stored, before those of `arm_outcomes`.
"""
_MOST = 3
"""Of them, so many."""


def arm_of(group: StudyGroup) -> str:
    """The arm of a group; empty of replicas that begin at step 0."""
    return _arm(group.facts.group)


def _arm(group: Group) -> str:
    names = set(group.replicas["arm"].tolist()) if "arm" in group.replicas else set()
    return "" if len(names) != 1 or names == {"none"} else str(names.pop())


def arm_records(comparison: GroupComparison, settings: Mapping[str, Any]) -> list[Record]:
    """A record per outcome of `arm_outcomes` that the runs have, all their tests one family."""
    found = [group.facts.group for group in comparison.groups]
    event, asked = comparison.groups[0].facts.event, settings[STUDY]["arm_outcomes"]
    fit, seed = build("paired", settings["paired"]), int(settings[STUDY]["seed"])
    nets = networks_of(found)
    made = [part.record() for part in _parts(fit, seed, nets, asked, event, None)]
    if made:
        signals = (name for name in (*_TIMELINE, *map(signal_of, asked)) if _recorded(nets, name))
        drawn = list(dict.fromkeys(signals))[:_MOST]
        made[0] = {**made[0], "curves": timeline(nets, drawn, fit.level)}
    return made


def arm_task(study: Study, given: Mapping[str, Any]) -> Task:
    """The comparison by the options of a user, whose `pair` is the parent.

    Raises:
        ConfigError: If the study has no arm, replicas still train, or an option breaks a rule.
    """
    fit, seed = built("paired", None, given)[0], draw_seed(given.get("seed"))
    nets = networks_of(groups(study))
    if not nets:
        raise ConfigError(
            f"`pair` can be {PARENT!r} of a finished study with arms, got {study.name}, which has "
            "none or still trains. Name a column that rows share, such as seed, or wait."
        )
    if given.get("family") is not None or given.get("arm") is not None:
        raise ConfigError(
            f"`arm` and `family` must be left out with `pair` {PARENT!r}: every arm is compared at "
            "every weight decay."
        )
    reference = given.get("reference")
    if reference is not None:
        known_name("reference", reference, {PARENT: None, **nets[0].arms})
    value = given.get("value")
    if value is not None and value not in OF_EVENTS:
        for run in nets[0].runs:
            run.table_of(signal_of(value))
    asked = shared_setting("arm_outcomes") if value is None else [value]
    event = shared_setting("events")[0]
    return Task("paired", _parts(fit, seed, nets, asked, event, reference))


def networks_of(found: Sequence[Group]) -> list[Networks]:
    """The networks of a study, in a part for each setting in which groups differ beside arms."""
    by_setting: dict[str, list[Group]] = {}
    for group in found:
        arm = _arm(group) or "none"
        words = [word for word in group.label.split(", ") if word != f"arm = {arm}"]
        by_setting.setdefault(", ".join(words), []).append(group)
    made = (networks(alike, setting) for setting, alike in by_setting.items())
    return [part for part in made if part is not None]


def _parts(
    fit: PairedComparison,
    seed: int,
    nets: Sequence[Networks],
    outcomes: Sequence[str],
    event: str,
    reference: str | None,
) -> list[Part]:
    """A part per outcome; the family is of all of them, or larger where so many are registered."""
    references = None if reference is None else [reference]
    there = [o for o in outcomes if nets and (o in OF_EVENTS or _recorded(nets, signal_of(o)))]
    found = {outcome: effects(nets, outcome, event, references) for outcome in there}
    n_tests = sum(len(rows.contrasts()) for rows, _ in found.values())
    parts: list[Part] = []
    for outcome, (rows, notes) in found.items():
        if not rows.contrasts():
            continue
        warnings = [*_of_arms(nets), *notes]
        of_all = replace(rows, n_tests=n_tests)
        part = rows_part(fit, ReadRows(of_all, {"pair": PARENT}, warnings), seed)
        noise = [name for part in nets for name, arm in part.arms.items() if is_noise(arm)]
        extras = {BY_PARENT: PARENT, "outcome": outcome, "noise": ", ".join(dict.fromkeys(noise))}
        parts.append(
            replace(
                part,
                horizon_steps=min(part.horizon for part in nets),
                extras={**part.extras, **extras},
                group={"outcome": outcome} if len(there) > 1 else {},
            )
        )
    return parts


def _recorded(nets: Sequence[Networks], signal: str) -> bool:
    return all(
        any(signal == found.name for table in run.tables() for found in run.columns(table))
        for part in nets
        for run in part.runs
    )


def _of_arms(nets: Sequence[Networks]) -> list[str]:
    """What is to be said of arms whatever their outcome."""
    said: list[str] = []
    for part in nets:
        said += [
            f"{name}: {count} of {asked} copies never parted, whose moment did not come: they are "
            "no networks and no effect."
            for name, (count, asked) in part.never().items()
        ]
        said += [
            f"{name} has no control arm: a change of its size without its content may do the same. "
            "Add an arm of noise like it, and name it as its `control`."
            for name in part.without_control()
        ]
    return said
