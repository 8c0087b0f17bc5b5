"""Copies a study from the run store into MLflow: one writer, and never a part of training.

The store is the truth, MLflow a view of it. `mirror` may be called during a run, after it, again,
and from several processes: it adds what is new and final, and nothing twice. A point's time follows
from its step, so that a call that died half way and is repeated writes the same rows.

Source:
    MLflow 3.17, public `MlflowClient` only; the format of the saved view is undocumented, see
    `mlflow_view`.
"""

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

from observatory.core.extras import require
from observatory.core.secrets import without_secrets
from observatory.mirror.connection import (
    check_reachable,
    sole_writer,
    suppress_output,
)
from observatory.mirror.copy import Copied, copy_study
from observatory.mirror.database import opened_uri, remove_stray_folder
from observatory.mirror.deadline import Deadline
from observatory.mirror.settings import MlflowSettings, default_settings, mlflow_settings
from observatory.store.reader import Study

__all__ = ["MirrorSummary", "MlflowSettings", "default_settings", "mirror", "mlflow_settings"]

_REFUSED = re.compile(r"\b40[13]\b|unauthori[sz]ed|not authenticated", re.IGNORECASE)
"""What a server says to whom it does not know."""


@dataclass(frozen=True)
class MirrorSummary:
    """What one call did.

    Attributes:
        tracking_uri: Where it wrote, without password.
        experiment_id: The study's experiment; null where MLflow was not reached.
        runs_added: MLflow runs that were created.
        points_added: Points of curves that were written.
        complete: Whether no curve or outcome is left to come.
        seconds: Wall time.
        error: Why it stopped and what to do; null where it did not.
    """

    tracking_uri: str
    experiment_id: str | None = None
    runs_added: int = 0
    points_added: int = 0
    complete: bool = False
    seconds: float = 0.0
    error: str | None = None


def mirror(study: Path, settings: MlflowSettings, *, own_run: bool = True) -> MirrorSummary:
    """Bring MLflow up to date with a study.

    Args:
        study: `results/<study>`.
        settings: Where and how it is shown.
        own_run: Whether all is to be there: the study's own run with fits, figures and report, and
            the description of the experiment. Else they are left as they are, for a later call.

    Returns:
        What was done. Whatever goes wrong stands in `error` and is never raised: MLflow being away
        must not reach the training that calls this. Who calls says it, once.
    """
    started = time.monotonic()
    uri = settings.tracking_uri
    try:
        require("mlflow", by="A mirrored study")
        suppress_output(settings.timeout_s)
        deadline = Deadline(settings.timeout_s)
        deadline.run(lambda: check_reachable(uri, settings.timeout_s, deadline))
        opened = Study(study)
        with sole_writer(uri, study.resolve().parent, settings.lock_timeout_s):
            copied = _copied(opened, settings, deadline, own_run=own_run)
            remove_stray_folder(uri)
        summary = MirrorSummary(
            without_secrets(uri), copied.experiment_id, copied.runs, copied.points, copied.complete
        )
    except Exception as error:  # noqa: BLE001  the record in the summary is the contract
        summary = MirrorSummary(without_secrets(uri), error=_reason(study, uri, error))
    return replace(summary, seconds=time.monotonic() - started)


def _copied(study: Study, settings: MlflowSettings, deadline: Deadline, *, own_run: bool) -> Copied:
    """Copy a study; beside this thread where somebody else must answer, who may never do."""
    uri, seconds = settings.tracking_uri, settings.timeout_s
    if uri.startswith("sqlite"):
        opened = replace(settings, tracking_uri=opened_uri(uri, seconds))
        return copy_study(study, opened, None, own_run=own_run)
    import mlflow  # noqa: F401 - which takes seconds that nobody is waited for

    def copy() -> Copied:
        with deadline.asking():
            open_uri = opened_uri(uri, seconds)
        opened = replace(settings, tracking_uri=open_uri)
        return copy_study(study, opened, deadline, own_run=own_run)

    return deadline.run(copy)


def _reason(study: Path, uri: str, error: Exception) -> str:
    first = without_secrets((str(error).strip().splitlines() or [""])[0])
    login = (
        " It asks who you are: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
        "MLFLOW_TRACKING_TOKEN."
    )
    cure = login if _REFUSED.search(first) else ""
    return (
        f"`{study.name}` was not mirrored to MLflow at {without_secrets(uri)}: "
        f"{first or type(error).__name__}{cure} The run store is as it was; the same command, or "
        "`observatory browse`, mirrors it later."
    )
