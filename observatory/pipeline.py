"""What `map` does: train, then fit, then report, then mirror."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observatory.core.errors import ObservatoryError, StoreError

if TYPE_CHECKING:
    from observatory.mirror.settings import MlflowSettings

Watch = Callable[[Path], Any]
Tell = Callable[[str], None]


def run_map(runs: Mapping[str, dict[str, Any]], watch: Watch | None, tell: Tell) -> list[Path]:
    """From configurations to reports; a second call finds everything done.

    All runs are trained first; then every study that they belong to is fitted and told once.

    Args:
        runs: Plain values of "map" configurations, as of `compose_runs`.
        watch: See `observatory.launch.run.launch`.
        tell: Receives lines for the user.

    Returns:
        The report of every study, one where the runs share a study.
    """
    studies = {Path(config["results"]) / config["study"]: config for config in runs.values()}
    desks = {study: _checked_end(config, study) for study, config in studies.items()}
    train_runs(runs, watch, tell)
    return [publish(study, config["fit"], desks[study], tell) for study, config in studies.items()]


def run_sweep(config: dict[str, Any], watch: Watch | None, tell: Tell) -> Path:
    """Search for a boundary, then fit, report and mirror; returns the report.

    Args:
        config: Plain values of a "sweep" configuration.
        watch: See `observatory.launch.run.launch`.
        tell: Receives lines for the user.

    Raises:
        ConfigError: As `search_boundary`.
    """
    from observatory.mirror.mirror import mirror

    study = Path(config["results"]) / config["study"]
    desk = _checked_end(config, study)

    def tell_and_mirror(text: str) -> None:
        tell(text)
        mirror(study, desk)  # what fails here is told at the end

    search_boundary(config, watch, tell_and_mirror)
    return publish(study, config["fit"], desk, tell)


def _checked_end(config: dict[str, Any], study: Path) -> "MlflowSettings":
    """Check what a study ends with, fits and MLflow, before any compute; returns the latter."""
    from observatory.analysis.fit.study import read_settings
    from observatory.mirror.mirror import mlflow_settings

    read_settings(config["fit"])
    return mlflow_settings(config["mlflow"], study.parent)


def search_boundary(config: dict[str, Any], watch: Watch | None, tell: Tell) -> None:
    """Train the replicas that a search asks for, batch after batch, until it has found.

    The same call again continues an unfinished search.

    Args:
        config: Plain values of a "sweep" configuration.
        watch: See `observatory.launch.run.launch`.
        tell: Receives lines for the user.

    Raises:
        ConfigError: If a setting breaks its rule; nothing was trained.
        BusyError: If another live process drives this search.
    """
    from observatory.launch.launcher import crew_of
    from observatory.store.lock import own
    from observatory.store.reader import Run
    from observatory.sweeps.boundary import (
        BoundarySearch,
        read_rule,
        run_search,
        shared_settings,
    )

    rule = read_rule(config["search"])
    study = Path(config["results"]) / config["study"]
    one = {key: value for key, value in config.items() if key != "search"}
    about = shared_settings(one, rule)
    crew = crew_of(one, watch, tell)
    with own(study / "search.lock"):
        search = BoundarySearch(study, rule, about)
        run_search(search, one, crew, lambda folder: Run(folder).outcomes(), tell)


def publish(study: Path, settings: dict[str, Any], desk: "MlflowSettings", tell: Tell) -> Path:
    """Fit a study, write its report and mirror it; returns the report."""
    from observatory.mirror.mirror import mirror

    refit(study, settings)
    report = rebuild_report(study)
    summary = mirror(study, desk)
    if summary.error:
        tell(f"MLflow was not updated: {summary.error}")
    return report


def train_runs(runs: Mapping[str, dict[str, Any]], watch: Watch | None, tell: Tell) -> list[Path]:
    """Train runs, all of them checked before the first; returns their folders.

    As jobs, some are in flight at once, and one that fails does not end the others.

    Raises:
        ConfigError: If a setting of any run breaks its rule; nothing was written.
    """
    from observatory.launch.display import cost_text
    from observatory.launch.launcher import crew_of
    from observatory.launch.layout import resolved
    from observatory.training.build import build

    absent = [build(resolved(config)).absent for config in runs.values()]
    blind = {f"{name} ({why})": None for each in absent for name, why in each.items()}
    if blind:
        tell(f"probes that cannot look: {', '.join(blind)}")
    crew = crew_of(next(iter(runs.values())), watch, tell)
    queue = list(runs.items())
    folders: list[Path] = []
    waiting: set[Path] = set()
    failure: ObservatoryError | None = None
    while queue or waiting:
        while queue and len(waiting) < crew.parallel:
            run, config = queue.pop(0)
            if len(runs) > 1:
                tell(f"run {len(folders) + 1} of {len(runs)}: {run}")
            folders.append(crew.start(config))
            waiting.add(folders[-1])
        for folder, error in crew.ended().items():
            waiting.remove(folder)
            failure = failure or error
            if error is None:
                tell(cost_text(folder))
    if failure is not None:
        raise failure
    return folders


def retry(study: Path, here: bool, watch: Watch | None, tell: Tell) -> list[Path]:
    """Train the runs of a study that failed or were interrupted; returns their folders.

    Args:
        study: Its folder.
        here: Train on this machine, whatever trained them before.
        watch: See `observatory.launch.run.launch`.
        tell: Receives lines for the user.

    Raises:
        StoreError: If it is no study, or a run fails again.
    """
    from observatory.store.reader import Study

    place = {"results": str(study.resolve().parent), "study": study.resolve().name}
    runs = {
        run.run_id: {**run.manifest["config"], **place, **({"launcher": None} if here else {})}
        for run in Study(study).runs
        if run.status in ("failed", "interrupted")
    }
    if not runs:
        tell("nothing to retry: every run is done, or another process trains it")
        return []
    return train_runs(runs, watch, tell)


def refit(study: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Fit a study anew: writes `fits.json` and `replicas.csv`, returns the records."""
    from observatory.analysis.fit.study import fit_study, write_fits, write_replicas_csv
    from observatory.store.reader import Study

    opened = Study(study)
    records = fit_study(opened, settings)
    write_fits(study, records)
    write_replicas_csv(opened)
    return records


def rebuild_report(study: Path) -> Path:
    """Build a study's `report.html` from its store and its fits; fits first what was not fitted.

    A page only shows what is stored. A study that has no fits, or fits of another version, is
    fitted with the settings of its first run.
    """
    from observatory.analysis.report.build import build_report

    _require_fits(study)
    return build_report(study)


def compare_studies(studies: Sequence[Path], out: Path) -> Path:
    """Fit several studies beside each other and write the page that compares them.

    Args:
        studies: Their folders, the one that others are compared with first; its first run's
            settings are used.
        out: The page.

    Raises:
        ConfigError: If there are fewer than two studies, or one is given twice.
        StoreError: If a folder holds no study or no replica.
    """
    from observatory.analysis.report.compare import build_comparison, fit_comparison

    for folder in studies:
        _require_fits(folder)
    fit_comparison(studies, out, _fit_settings(studies[0]))
    return build_comparison(studies, out)


def _require_fits(study: Path) -> None:
    """Fit a study that has no fits, or fits of another version."""
    from observatory.analysis.fit.study import read_fits

    try:
        read_fits(study / "fits.json")
    except StoreError:
        refit(study, _fit_settings(study))


def _fit_settings(study: Path) -> dict[str, Any]:
    """The settings of fits that a study's first run recorded."""
    from observatory.store.reader import Study

    return Study(study).runs[0].manifest["config"]["fit"]
