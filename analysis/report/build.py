"""One self-contained page from a study's folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from observatory.analysis.figures.boundary import Record
from observatory.analysis.report import provenance, tables
from observatory.analysis.report.answer import answer
from observatory.analysis.report.facts import Facts, gather
from observatory.analysis.report.groups import Group, groups
from observatory.analysis.report.illustrate import Missing, illustrate
from observatory.analysis.report.plates import Plate, make_plate
from observatory.analysis.report.tables import Table
from observatory.analysis.report.wording import plural
from observatory.analysis.study_fits import fit_outcomes
from observatory.core.errors import StoreError
from observatory.store.files import read_json, write_atomically
from observatory.store.reader import Study


@dataclass(frozen=True)
class ReportSettings:
    """How a study is told.

    Attributes:
        event: Event preset that figures and the answer speak of; tables have all that were fitted.
        level: Coverage of the Wilson intervals, such as 0.95.
        steps_drawn: Largest number of steps per curve; more are thinned evenly on the log axis.
        png_dpi: Resolution of the PNG files.
        fit: The `fit` node of a configuration; used where replicas may not be pooled, so that each
            group has fits of its own, which `fits.json` does not hold. None leaves those out.
    """

    event: str
    level: float
    steps_drawn: int
    png_dpi: int
    fit: Mapping[str, Any] | None


@dataclass(frozen=True)
class Part:
    """What the page says of one group of replicas."""

    label: str
    answer: list[str]
    glance: Table
    plates: list[Plate]
    missing: list[Missing]
    tables: list[Table]
    first_number: int


def build_report(study_folder: Path, settings: ReportSettings) -> Path:
    """Write `report.html` and `report/figures/` of a study, from its store and its `fits.json`.

    Whatever is missing (probes, fits, unfinished replicas) is said on the page.

    Args:
        study_folder: `results/<study>`.
        settings: How it is told.

    Returns:
        The page.

    Raises:
        StoreError: If the folder holds no study or no replica, or cannot be written.
        ConfigError: If the outcomes hold no such event.
    """
    study = Study(study_folder)
    found = groups(study)
    fitted = _read_fits(study.folder)
    notices = provenance.notices(study.runs, pd.concat([group.replicas for group in found]))
    if fitted is None:
        notices.append("There is no fits.json: nothing was fitted. Run `observatory fit` first.")
    if len(found) > 1:
        notices.append(
            f"Replicas differ in more than weight decay and seed: they are told in {len(found)} groups, "
            "each with fits of its own" + ("." if settings.fit else ", which were not asked for.")
        )
    parts: list[Part] = []
    number = 1
    for index, group in enumerate(found, start=1):
        records = fitted or [] if len(found) == 1 else _own_fits(group, settings)
        facts = gather(group, records, settings.event, settings.level, settings.steps_drawn)
        prefix = f"group{index}-" if len(found) > 1 else ""
        parts.append(_part(facts, study.folder, settings, prefix, number))
        number += len(parts[-1].plates)
    html = _render(study, parts, notices)
    path = study.folder / "report.html"
    write_atomically(path, lambda temporary: temporary.write_text(html, encoding="utf-8"))
    return path


def _read_fits(folder: Path) -> list[Record] | None:
    path = folder / "fits.json"
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("fits"), list):
        raise StoreError(f"`{path}` holds no list of fits. Run `observatory fit` again.")
    return content["fits"]


def _own_fits(group: Group, settings: ReportSettings) -> list[Record]:
    if settings.fit is None:
        return []
    return [
        json.loads(json.dumps(record))
        for record in fit_outcomes(
            group.replicas, group.horizon, group.steps_per_epoch, settings.fit, []
        )
    ]


def _part(
    facts: Facts, folder: Path, settings: ReportSettings, prefix: str, first_number: int
) -> Part:
    plates: list[Plate] = []
    missing: list[Missing] = []
    for item in illustrate(facts):
        if isinstance(item, Missing):
            missing.append(item)
            continue
        plates.append(
            make_plate(
                item.figure,
                name=f"{prefix}{item.name}",
                title=item.title,
                caption=item.caption,
                study_folder=folder,
                dpi=settings.png_dpi,
            )
        )
    made = [tables.cells(facts)]
    if facts.records:
        made += [tables.boundaries(facts), tables.power_laws(facts), tables.comparison(facts)]
    return Part(
        label=facts.group.label,
        answer=answer(facts),
        glance=tables.glance(facts),
        plates=plates,
        missing=missing,
        tables=[table for table in made if table.rows],
        first_number=first_number,
    )


def _render(study: Study, parts: Sequence[Part], notices: Sequence[str]) -> str:
    environment = Environment(
        loader=PackageLoader("observatory.analysis.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    runs = study.runs
    n_runs, n_replicas = len(runs), sum(len(run.replicas()) for run in runs)
    manifest = runs[0].manifest
    page = {
        "title": f"A phase map of grokking: {study.name}",
        "subtitle": f"{n_replicas} {plural(n_replicas, 'replica')} in {n_runs} {plural(n_runs, 'run')} · "
        f"{manifest['model']['name']} on {manifest['task']['name']} · "
        f"started {min(str(run.manifest['created']) for run in runs)}",
        "version": manifest.get("package_version", ""),
        "parts": parts,
        "notices": notices,
        "cost": provenance.cost_table(runs),
        "shares": provenance.share_table(runs),
        "runs": [provenance.run_page(run) for run in runs],
        "dictionary": provenance.dictionary(runs),
        "footer": f"Made by observatory {manifest.get('package_version', '')} from the files of this "
        "folder; every number above is in fits.json, replicas.csv or the Parquet tables below runs/.",
    }
    css = environment.loader.get_source(environment, "style.css")[0]  # type: ignore[union-attr]
    return environment.get_template("report.html.j2").render(page=page, css=css)
