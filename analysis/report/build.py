"""One self-contained page from a study's folder."""

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
from observatory.core.errors import ConfigError, StoreError
from observatory.store.files import read_json, write_atomically
from observatory.store.reader import Study

STEPS_DRAWN = 160
"""Largest number of steps per curve; more are thinned evenly on the log axis."""
PNG_DPI = 200


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


def build_report(study_folder: Path, fit: Mapping[str, Any] | None = None) -> Path:
    """Write `report.html` and `report/figures/` of a study, from its store and its `fits.json`.

    Figures and the answer speak of the first event that was fitted; tables have all of them.
    Whatever is missing (probes, fits, unfinished replicas) is said on the page. Replicas that may
    not be pooled are told in groups, each with fits of its own, which are made here, since
    `fits.json` does not hold them.

    Args:
        study_folder: `results/<study>`.
        fit: The `fit` node of a configuration, plain values; None for that of the first run.

    Returns:
        The page.

    Raises:
        StoreError: If the folder holds no study or no replica, or cannot be written.
        ConfigError: If nothing was fitted and there are no settings, or outcomes lack the event.
    """
    study = Study(study_folder)
    settings = fit or study.runs[0].manifest["config"].get("fit")
    found = groups(study)
    fitted = _read_fits(study.folder)
    together = len(found) == 1
    event, level = _spoken_of(fitted or [], settings)
    parts: list[Part] = []
    number = 1
    for index, group in enumerate(found, start=1):
        records = fitted or [] if together else _own_fits(group, settings)
        facts = gather(group, records, event, level, STEPS_DRAWN)
        parts.append(_part(facts, study.folder, "" if together else f"group{index}-", number))
        number += len(parts[-1].plates)
    notices = provenance.notices(study.runs, pd.concat([group.replicas for group in found]))
    if fitted is None and together:
        notices.append("There is no fits.json: nothing was fitted. Run `observatory fit` first.")
    if not together:
        notices.append(
            f"Replicas differ in more than weight decay and seed: they are told in {len(found)} "
            "groups" + (", each with fits of its own." if settings else ", without fits.")
        )
    html = _render(study, parts, notices)
    path = study.folder / "report.html"

    def write(temporary: Path) -> None:
        temporary.write_text(html, encoding="utf-8")

    write_atomically(path, write)
    return path


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


def _read_fits(folder: Path) -> list[Record] | None:
    path = folder / "fits.json"
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("fits"), list):
        raise StoreError(f"`{path}` holds no list of fits. Run `observatory fit` again.")
    return content["fits"]


def _own_fits(group: Group, fit: Mapping[str, Any] | None) -> list[Record]:
    if fit is None:
        return []
    return list(fit_outcomes(group.replicas, group.horizon, group.steps_per_epoch, fit, []))


def _part(facts: Facts, folder: Path, prefix: str, first_number: int) -> Part:
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
                dpi=PNG_DPI,
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
        "subtitle": f"{n_replicas} {plural(n_replicas, 'replica')} in {n_runs} "
        f"{plural(n_runs, 'run')} · {manifest['model']['name']} on {manifest['task']['name']} · "
        f"started {min(str(run.manifest['created']) for run in runs)}",
        "version": manifest.get("package_version", ""),
        "parts": parts,
        "notices": notices,
        "cost": provenance.cost_table(runs),
        "shares": provenance.share_table(runs),
        "runs": [provenance.run_page(run) for run in runs],
        "dictionary": provenance.dictionary(runs),
        "footer": f"Made by observatory {manifest.get('package_version', '')} from the files of "
        "this folder; every number above is in fits.json, replicas.csv or the Parquet tables "
        "below runs/.",
    }
    css = environment.loader.get_source(environment, "style.css")[0]  # type: ignore[union-attr]
    return environment.get_template("report.html.j2").render(page=page, css=css)
