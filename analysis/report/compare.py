"""One self-contained page that sets studies beside each other."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from observatory.analysis.fit.study import fit_across, read_fits, write_records
from observatory.analysis.page.comparison import StudyGroup
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.figure_writer import figure_writer
from observatory.analysis.page.groups import differences
from observatory.analysis.page.wording import plural
from observatory.analysis.report.gathering import gather_study
from observatory.analysis.report.methods import methods
from observatory.analysis.report.pages import write_page
from observatory.analysis.report.sections import across
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

LONGEST = 80
"""Letters of what sets a group apart that its name may hold; the table of groups has all."""
SETTINGS = 16
"""Settings that the table of groups shows; of more, it says how many."""


def _compared_groups(study_folders: Sequence[Path]) -> list[StudyGroup]:
    """The groups of several studies, those of the first study first."""
    folders = [folder.resolve() for folder in study_folders]
    if len(folders) < 2 or len(set(folders)) < len(folders):
        names = [folder.name for folder in folders]
        raise ConfigError(f"`study` must name at least two different studies, got {names}.")
    studies = [Study(folder) for folder in folders]
    return _study_groups([(s.name, facts) for s in studies for facts in gather_study(s)[0]])


def fit_comparison(study_folders: Sequence[Path], out: Path, settings: Mapping[str, Any]) -> Path:
    """Fit what the page of a comparison will say of the groups together; returns its file.

    Raises:
        ConfigError: As `compared_groups`.
        StoreError: Likewise.
    """
    records = fit_across(_compared_groups(study_folders), settings)
    path = fits_beside(out)
    write_records(path, [{**record, "study_group": None} for record in records])
    return path


def fits_beside(out: Path) -> Path:
    """The file of the fits of a comparison, beside its page."""
    return out.parent / f"{out.stem}_fits.json"


def build_comparison(
    study_folders: Sequence[Path], out: Path, formats: Collection[str] | None = None
) -> Path:
    """Write a page that compares the boundaries and rates of several studies.

    Every group is set beside the first of the first study, by the records of `fit_comparison`.
    Files of its figures go to a folder beside it, named after it.

    Args:
        study_folders: The folders.
        out: The page.
        formats: As of `build_report`.

    Returns:
        The page.

    Raises:
        ConfigError: As `compared_groups`.
        StoreError: Likewise, or if the comparison was not fitted.
    """
    groups = _compared_groups(study_folders)
    writer = figure_writer(out.parent / f"{out.stem}_figures", out, formats)
    made = across(groups, read_fits(fits_beside(out)), writer)
    n = sum(len(group.facts.group.replicas) for group in groups)
    first = groups[0].facts.group.runs[0].manifest
    version = str(first.get("package_version", ""))
    names = [Path(folder).resolve().name for folder in study_folders]
    fits = f"{fits_beside(out).name} beside this page, or in the fits.json of {', '.join(names)}"
    page = {
        "title": f"Grokking compared: {', '.join(names)}",
        "subtitle": f"{n} replicas of {len(groups)} {plural(len(groups), 'group')} in "
        f"{len(names)} studies",
        "version": version,
        "across": made,
        "files": writer.others,
        "notices": made.notices,
        "methods": [(group.label, " ".join(methods(group.facts))) for group in groups],
        "footer": f"Made by observatory {version}; every number above is in {fits}.",
    }
    return write_page(out, "comparison.html.j2", page)


def _study_groups(found: Sequence[tuple[str, Facts]]) -> list[StudyGroup]:
    """Groups by the name of their study and, where it is short, by what sets them apart."""
    configs = differences([facts.config for _, facts in found])
    labels: list[str] = []
    apart: list[str] = []
    for (name, facts), words in zip(found, configs, strict=True):
        own = [w for w in facts.group.label.split(", ") if w and w not in words]
        all_of_it = ", ".join([*words, *own])
        rest = len(words) - SETTINGS
        apart.append(", ".join([*words[:SETTINGS], *own]) + (f", {rest} more" if rest > 0 else ""))
        labels.append(f"{name}: {all_of_it}" if 0 < len(all_of_it) <= LONGEST else name)
    doubled = {label for label in labels if labels.count(label) > 1}
    labels = [f"{x} ({i})" if x in doubled else x for i, x in enumerate(labels, start=1)]
    groups = (facts for _, facts in found)
    return [StudyGroup(*parts) for parts in zip(labels, groups, apart, strict=True)]
