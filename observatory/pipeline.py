"""What `map` does: train, then fit, then report, then mirror."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def run_map(
    config: dict[str, Any], watch: Callable[[Path], Any] | None, tell: Callable[[str], None]
) -> Path:
    """From a configuration to a report; a second call finds everything done.

    Args:
        config: Plain values of the "map" configuration.
        watch: See `observatory.training.run.launch`.
        tell: Receives lines for the user.

    Returns:
        The report.
    """
    from observatory.training.display import cost_text
    from observatory.training.mlflow import mirror, mlflow_settings
    from observatory.training.run import launch

    study = Path(config["results"]) / config["study"]
    mlflow = mlflow_settings(config["mlflow"], study.parent)  # checked before any compute
    run = launch(config, watch)
    tell(cost_text(run))
    refit(study, config["fit"])
    report = rebuild_report(study, config["fit"])
    summary = mirror(study, mlflow)
    if summary.error:
        tell(f"MLflow was not updated: {summary.error}")
    return report


def refit(study: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Fit a study anew: writes `fits.json` and `replicas.csv`, returns the records."""
    from observatory.analysis.study_fits import fit_study, write_fits, write_replicas_csv
    from observatory.store.reader import Study

    opened = Study(study)
    records = fit_study(opened, settings)
    write_fits(study, records)
    write_replicas_csv(opened)
    return records


def rebuild_report(study: Path, settings: dict[str, Any] | None = None) -> Path:
    """Build a study's `report.html` from its store and its fits; null settings: its first run's."""
    from observatory.analysis.report.build import build_report

    return build_report(study, settings)
