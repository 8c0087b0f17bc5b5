"""What `map` and `sweep` do: train, fit, report, mirror; each imports only what it needs."""

import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observatory.launch.many import Config, Message, Watch, train_runs
from observatory.store.files import require_writable

if TYPE_CHECKING:
    from observatory.launch.compare import Comparison
    from observatory.mirror.settings import MlflowSettings


def run_map(runs: Mapping[str, Config], watch: Watch | None, message: Message) -> list[Path]:
    """From configurations to reports; a second call finds everything done.

    All runs are trained first; then every study that they belong to is fitted, described and
    mirrored once. A study of which nothing has changed is left as it is.

    Returns:
        The report of every study, one where the runs share a study.
    """
    _, reports = _train_and_publish(runs, watch, message)
    return reports


def _train_and_publish(
    runs: Mapping[str, Config], watch: Watch | None, message: Message
) -> tuple[dict[str, Path], list[Path]]:
    """As `run_map`, with the folder of each run before the reports."""
    from observatory.launch.finished import finished_run

    studies = {Path(config["results"]) / config["study"]: config for config in runs.values()}
    found = {name: finished_run(config) for name, config in runs.items()}
    finished = {name: folder for name, folder in found.items() if folder is not None}
    if len(finished) == len(runs) and all(
        _is_published(study, config) for study, config in studies.items()
    ):
        for study in studies:
            message(
                f"{study} was finished before: nothing was trained, and its fits, report and "
                "MLflow pages are up to date."
            )
        return finished, [study / "report.html" for study in studies]
    ends = {study: checked_end(config, study) for study, config in studies.items()}
    folders = dict(zip(runs, train_runs(runs, watch, message), strict=True))
    return folders, [
        publish(study, config, ends[study], message) for study, config in studies.items()
    ]


def run_comparison(
    overrides: Sequence[str], watch: Watch | None, message: Message
) -> tuple[Path, dict[str, Path]]:
    """Train the arms of a comparison, fit them beside each other.

    Learning rates are checked in a study beside it, `<study>_lr`, with a report of its own. The
    same call again continues what is unfinished.

    Returns:
        The report; the folder of the run of every arm, the base first.

    Raises:
        ConfigError: As `comparison`, before anything is trained.
    """
    from observatory.analysis.boundary.learning_rates import rate_remarks
    from observatory.launch.compare import BASE
    from observatory.store.reader import Run

    found = composed_comparison(overrides)
    for note in found.notes:
        message(note)
    checks = {f"{arm}, lr x {factor:g}": run for (arm, factor), run in found.rates.items()}
    folders, (report, *_) = _train_and_publish({**found.runs, **checks}, watch, message)
    trained = {name: Run(folders[check]) for name, check in zip(found.rates, checks, strict=True)}
    fit = found.runs[BASE]["fit"]["study"]
    for remark in rate_remarks(trained, fit["events"][0], fit["level"]):
        message(remark)
    return report, {arm: folders[arm] for arm in found.runs}


def composed_comparison(overrides: Sequence[str]) -> "Comparison":
    """The runs of a comparison, of one size; nothing is trained.

    Raises:
        ConfigError: As `comparison`.
    """
    from observatory.launch.compare import comparison, n_inner
    from observatory.plan.measure import flops_per_step
    from observatory.training.build import build, network_of

    def parameters(config: Config) -> int:
        return n_inner(network_of(config))

    def operations(config: Config) -> int:
        return flops_per_step(build(config))

    return comparison(overrides, {"parameters": parameters, "operations": operations})


def _is_published(study: Path, config: Config) -> bool:
    """Whether fits, report and MLflow hold what the runs and these settings give."""
    from observatory.mirror.present import is_present
    from observatory.mirror.settings import mlflow_settings
    from observatory.store.published import unchanged

    experiment = unchanged(study, _published_settings(config))
    if experiment is None:
        return False
    return is_present(mlflow_settings(config["mlflow"], study.parent).tracking_uri, experiment)


def _published_settings(config: Config) -> Config:
    """Of a configuration, what fits, report and MLflow depend on."""
    return {"fit": config["fit"], "mlflow": config["mlflow"]}


def run_sweep(config: Config, watch: Watch | None, message: Message) -> Path:
    """Search for a boundary, then fit, report and mirror; returns the report.

    Raises:
        ConfigError: As `search_boundary`.
    """
    from observatory.mirror.mirror import mirror

    study = Path(config["results"]) / config["study"]
    mlflow = checked_end(config, study)

    def message_and_mirror(text: str) -> None:
        message(text)
        mirror(study, mlflow)  # what fails here is reported at the end

    search_boundary(config, watch, message_and_mirror)
    return publish(study, config, mlflow, message)


def checked_end(config: Config, study: Path) -> "MlflowSettings":
    """Check what a study ends with, fits and MLflow, before any compute; returns the latter.

    Raises:
        ConfigError: If a setting of either breaks its rule.
    """
    from observatory.analysis.fit.plan import read_settings
    from observatory.mirror.settings import mlflow_settings

    read_settings(config["fit"])
    return mlflow_settings(config["mlflow"], study.parent)


def search_boundary(config: Config, watch: Watch | None, message: Message) -> None:
    """Train the replicas that a search asks for, batch after batch, until it has found.

    The same call again continues an unfinished search.

    Raises:
        ConfigError: If a setting breaks its rule; nothing was trained.
        BusyError: If another live process drives this search.
    """
    from observatory.launch.launcher import launcher_of
    from observatory.store.lock import own
    from observatory.store.reader import Run
    from observatory.sweeps.boundary import BoundarySearch, run_search
    from observatory.sweeps.fleets import shared_settings
    from observatory.sweeps.rule import read_rule

    rule = read_rule(config["search"])
    study = Path(config["results"]) / config["study"]
    one = {key: value for key, value in config.items() if key != "search"}
    about = shared_settings(one, rule)
    launcher = launcher_of(one, watch, message)
    with own(study / "search.lock"):
        search = BoundarySearch(study, rule, about)
        run_search(search, one, launcher, lambda folder: Run(folder).outcomes(), message)


def publish(study: Path, config: Config, mlflow: "MlflowSettings", message: Message) -> Path:
    """Fit a study, write its report and mirror it beside; returns the report.

    `config` holds the settings of fits, `mlflow` its own, checked.
    """
    from observatory.core.processes import beside
    from observatory.mirror.mirror import mirror
    from observatory.store.published import note

    copy = partial(mirror, study, mlflow)
    opened = "mlflow" in sys.modules  # no other process may use its connection to the database
    with nullcontext(copy) if opened else beside(partial(copy, own_run=False), copy) as mirrored:
        refit(study, config["fit"])
        report = rebuild_report(study)
        summary = mirrored()
    if summary.error:
        message(f"MLflow was not updated: {summary.error}")
    whole = summary.complete and not summary.error
    note(study, _published_settings(config), summary.experiment_id if whole else None)
    return report


def refit(study: Path, settings: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Fit a study anew: writes `fits.json` and `replicas.csv`, returns the records."""
    from observatory.analysis.fit.plan import with_observed_events
    from observatory.analysis.fit.study import fit_study, write_fits, write_replicas_csv
    from observatory.store.reader import Study

    opened = Study(study)
    settings = with_observed_events(opened.runs, settings)
    require_writable(study)
    write_fits(study, records := fit_study(opened, settings))
    write_replicas_csv(opened)
    return records


def rebuild_report(study: Path, formats: Collection[str] | None = None) -> Path:
    """Build a study's `report.html` from its store and its fits; fits first what was not fitted.

    Fits that lack, or are of another version or of fewer records, are made with the settings of its
    first run; watched trainings that cannot be fitted are drawn without. `formats` are of figures'
    files beside SVG; None: those of the page that is there.
    """
    from observatory.analysis.report.build import build_report
    from observatory.analysis.tables.watched import why_not_fitted
    from observatory.store.reader import Study

    if not why_not_fitted(Study(study).runs):
        _require_fits(study)
    return build_report(study, formats)


def compare_studies(
    studies: Sequence[Path], out: Path, formats: Collection[str] | None = None
) -> Path:
    """Fit several studies beside each other and write the page that compares them.

    Args:
        studies: Their folders, the one that others are compared with first; its first run's
            settings are used.
        out: The page.
        formats: As of `rebuild_report`.

    Raises:
        ConfigError: If there are fewer than two studies, or one is given twice.
        StoreError: If a folder holds no study or no replica.
    """
    from observatory.analysis.report.compare import build_comparison, fit_comparison

    require_writable(out.parent)
    for folder in studies:
        _require_fits(folder)
    fit_comparison(studies, out, _fit_settings(studies[0]))
    return build_comparison(studies, out, formats)


def _require_fits(study: Path) -> None:
    """Fit a study that has no fits, fits of another version, or was trained on since."""
    from observatory.analysis.fit.study import are_current

    if not are_current(study):
        refit(study, _fit_settings(study))


def _fit_settings(study: Path) -> Config:
    """The settings of fits that a study's first run recorded, completed where it is old."""
    from observatory.analysis.fit.plan import completed
    from observatory.launch.compose import compose
    from observatory.store.reader import Study

    recorded, now = Study(study).runs[0].manifest["config"].get("fit"), compose("map", [])["fit"]
    return now if recorded is None else completed(recorded, now)
