"""One self-contained page that sets studies beside each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from observatory.analysis.page.facts import Facts
from observatory.analysis.page.groups import differences
from observatory.analysis.page.members import Member
from observatory.analysis.page.plates import Gallery
from observatory.analysis.page.wording import plural
from observatory.analysis.report.build import PNG_DPI
from observatory.analysis.report.gathering import gather_study, settings_of
from observatory.analysis.report.methods import methods
from observatory.analysis.report.pages import write_page
from observatory.analysis.report.sections import across
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

LONGEST = 80
"""Letters of what sets a group apart that its name may hold; the table of groups has all."""
SETTINGS = 16
"""Settings that the table of groups tells; of more, it says how many."""


def build_comparison(
    study_folders: Sequence[Path],
    out: Path,
    fit: Mapping[str, Any] | None = None,
) -> Path:
    """Write a page that compares the boundaries and rates of several studies.

    Every group is tested against the first of the first study; resampling is set by that study.
    Vector files of its figures go to a folder beside it, named after it.

    Args:
        study_folders: Folders `results/<study>`, the one that others are compared with first.
        out: The page.
        fit: The `fit` node of a configuration, plain values; None for that of each study.

    Returns:
        The page.

    Raises:
        ConfigError: If there are fewer than two studies, or one is given twice.
        StoreError: As of `build_report`, for any of the studies.
    """
    folders = [folder.resolve() for folder in study_folders]
    if len(folders) < 2 or len(set(folders)) < len(folders):
        names = [folder.name for folder in folders]
        raise ConfigError(f"`study` must name at least two different studies, got {names}.")
    studies = [Study(folder) for folder in folders]
    gathered = [(study.name, *gather_study(study, fit)) for study in studies]
    members = members_of([(name, facts) for name, found, _ in gathered for facts in found])
    gallery = Gallery(out.parent / f"{out.stem}_figures", out.parent, PNG_DPI)
    made = across(members, settings_of(studies[0], fit), gallery)
    n = sum(len(member.facts.group.replicas) for member in members)
    version = str(studies[0].runs[0].manifest.get("package_version", ""))
    page = {
        "title": f"Grokking compared: {', '.join(study.name for study in studies)}",
        "subtitle": f"{n} replicas of {len(members)} {plural(len(members), 'group')} in "
        f"{len(studies)} studies",
        "version": version,
        "across": made,
        "notices": [
            *(f"{name}: {caveat}" for name, _, caveats in gathered for caveat in caveats),
            *made.notices,
        ],
        "methods": [(member.label, " ".join(methods(member.facts))) for member in members],
        "footer": f"Made by observatory {version}; every number above is in the fits.json or the "
        f"Parquet tables of {', '.join(f'{study.folder}' for study in studies)}.",
    }
    return write_page(out, "comparison.html.j2", page)


def members_of(found: Sequence[tuple[str, Facts]]) -> list[Member]:
    """Groups by the name of their study and, where it is short, by what sets them apart.

    Args:
        found: The study's name and the facts of each group.
    """
    configs = differences([facts.config for _, facts in found])
    labels: list[str] = []
    apart: list[str] = []
    for (name, facts), words in zip(found, configs, strict=True):
        own = [w for w in facts.group.label.split(", ") if w and w not in words]
        told = ", ".join([*words, *own])
        rest = len(words) - SETTINGS
        apart.append(", ".join([*words[:SETTINGS], *own]) + (f", {rest} more" if rest > 0 else ""))
        labels.append(f"{name}: {told}" if 0 < len(told) <= LONGEST else name)
    doubled = {label for label in labels if labels.count(label) > 1}
    labels = [f"{x} ({i})" if x in doubled else x for i, x in enumerate(labels, start=1)]
    groups = (facts for _, facts in found)
    return [Member(*parts) for parts in zip(labels, groups, apart, strict=True)]
