"""One self-contained page from a study's folder."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from observatory.analysis.page.comparison import StudyGroup
from observatory.analysis.page.figure_writer import figure_writer
from observatory.analysis.page.wording import plural
from observatory.analysis.report import provenance
from observatory.analysis.report.explorer.page import explorer
from observatory.analysis.report.forks import forks
from observatory.analysis.report.gathering import gather_study, notices
from observatory.analysis.report.pages import write_page
from observatory.analysis.report.sections import Across, Part, across, part
from observatory.analysis.report.summary import title_of
from observatory.store.files import require_writable
from observatory.store.reader import Run, Study

_OPEN = 5
"""Figures of a group that are open on the page; the rest is folded, and open in print."""


def build_report(study_folder: Path, formats: Collection[str] | None = None) -> Path:
    """Write `report.html` and `report/figures/` of a study, from its store and its `fits.json`.

    Nothing is fitted here. Figures and the answer speak of the first event that was fitted; tables
    have all of them; of watched trainings that cannot be fitted there are the curves. Whatever is
    missing (probes, unfinished replicas) is said on the page. Replicas that may not be pooled are
    shown in groups, and set beside each other.

    Args:
        study_folder: The folder.
        formats: Formats of the figures' files; None: those of the page that was there. As SVG,
            which the page shows, a figure is always written.

    Returns:
        The page.

    Raises:
        StoreError: If the folder holds no study or no replica, was not fitted as it is now, or
            cannot be written.
    """
    study = Study(study_folder)
    require_writable(study.folder)
    found, records = gather_study(study)
    path = study.folder / "report.html"
    writer = figure_writer(path.parent / "report" / "figures", path, formats)
    together = None
    number = 1
    if len(found) > 1 and not found[0].unfitted:
        groups = [StudyGroup(facts.group.label, facts, facts.group.label) for facts in found]
        together = across(groups, records, writer)
        number += len(together.figures)
    parts: list[Part] = []
    for index, facts in enumerate(found, start=1):
        prefix = "" if len(found) == 1 else f"group{index}-"
        parts.append(part(facts, writer, prefix, number))
        number += len(parts[-1].figures)
    replicas = pd.concat([facts.group.replicas for facts in found])
    said = [*provenance.notices(study.runs, replicas), *notices(found)]
    page = {
        **_page(study, parts, together, said),
        "files": writer.others,
        "explorer": explorer(found),
        "n_open": _OPEN,
    }
    return write_page(path, "report.html.j2", page)


def _page(
    study: Study, parts: list[Part], together: Across | None, said: list[str]
) -> dict[str, Any]:
    runs = study.runs
    n_runs, n_replicas = len(runs), sum(len(run.replicas()) for run in runs)
    manifest = runs[0].manifest
    return {
        "title": _title(runs),
        "subtitle": f"{_kind(manifest)} · study {study.name} · {n_replicas} "
        f"{plural(n_replicas, 'replica')} in {n_runs} {plural(n_runs, 'run')} · "
        f"started {min(str(run.manifest['created']) for run in runs)}",
        "version": manifest.get("package_version", ""),
        "parts": parts,
        "across": together,
        "forks": forks({run.run_id: run.manifest for run in runs}),
        "notices": [*said, *(together.notices if together else [])],
        "cost": provenance.cost_table(runs),
        "shares": provenance.share_table(runs),
        "runs": [provenance.run_page(run) for run in runs],
        "dictionary": provenance.dictionary(runs),
        "footer": f"Made by observatory {manifest.get('package_version', '')} from the files of "
        "this folder; every number above is in fits.json, replicas.csv or the Parquet tables "
        "below runs/.",
    }


def _title(runs: Sequence[Run]) -> str:
    """What was trained; of runs of several models or tasks, each once."""
    titles = list(dict.fromkeys(title_of(run.manifest) for run in runs))
    return titles[0] if len(titles) == 1 else f"{'; '.join(titles[:3])}{' …' * (len(titles) > 3)}"


def _kind(manifest: Mapping[str, Any]) -> str:
    if "task" in manifest:
        return "A phase map of grokking"
    return f"Model {manifest['model']['name']}"
