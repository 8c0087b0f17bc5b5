"""The rows of a table that fits of runs take, and what is known of them beside their cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from observatory.analysis.tables.columns import Role, resolve
from observatory.analysis.tables.open import Table, caveats_of, open_table
from observatory.analysis.tables.outcomes import pooling_caveats, replicas_table, with_settings
from observatory.analysis.tables.reading import mixed
from observatory.analysis.tables.recorded import horizon_of, recorded
from observatory.analysis.tables.values import codes_of
from observatory.analysis.tables.watched import (
    DRAWN,
    are_watched,
    why_no_control,
    why_no_event,
)
from observatory.analysis.tables.where import rows_where
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

_LOGGED = "params.horizon_steps"
_MAX_GROUPS = 50


@dataclass(frozen=True)
class Source:
    """A table, and what is known of it beside its cells."""

    frame: pd.DataFrame  # the table
    horizon_steps: int | None = None  # the horizon that was run; None where nobody knows
    steps_per_epoch: int | None = None  # optimizer steps per epoch, likewise
    caveats: Sequence[str] = ()  # what a reader of any fit should know
    # of a study, those of its runs
    manifests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    def pooled(self, read: Iterable[str | None]) -> list[str]:
        """A warning where rows differ in what no fit tells apart.

        Args:
            read: Columns that were read.
        """
        if not self.manifests:
            return mixed(self.frame, read)
        there = set(self.frame["run_id"])
        return pooling_caveats(
            self.frame, [self.manifests[r] for r in self.manifests if r in there]
        )


def replica_source(table: Table | Source, given: Mapping[str, Any]) -> Source:
    """The rows that count of a table with a row per run or per value of the control.

    Raises:
        ConfigError: If it is of watched trainings without an event, or without the control.
    """
    if isinstance(table, Source):
        return table
    opened = open_table(table, given.get("tracking_uri"), given.values())
    if isinstance(opened, Study):
        source = _study_source(opened)
    else:
        source = Source(opened, _logged_horizon(opened), caveats=caveats_of(opened))
    condition = given.get("where")
    if condition is not None:
        frame = rows_where(source.frame, condition)
        said = f"Rows where {condition}: {len(frame)} of {len(source.frame)}."
        source = replace(source, frame=frame, caveats=[*source.caveats, said])
    if isinstance(opened, Study) and are_watched(opened.runs):
        _require_observed(opened, source, given)
    return source


def _require_observed(study: Study, source: Source, given: Mapping[str, Any]) -> None:
    """Refuse watched trainings without an event or the control, naming what their owner left out.

    Raises:
        ConfigError: If they have none.
    """
    named = any(given.get(role) is not None for role in ("success", "time"))
    why = "" if named else why_no_event(study.runs)
    if not why and given.get("control") in (None, "weight_decay"):
        why = why_no_control(source.frame)
    if why:
        raise ConfigError(f"{why} {DRAWN}")


def groups_of(source: Source, by: str) -> dict[str, Source]:
    """A table for each value of a column, in rising order.

    Raises:
        ConfigError: If there is no such column, or a cell of it is empty.
    """
    present = [str(name) for name in source.frame.columns]
    name = resolve({"by": by}, {"by": Role()}, present)["by"]
    which, names = codes_of(source.frame, name)
    if len(names) > _MAX_GROUPS:
        raise ConfigError(
            f"`by` must name a column of at most {_MAX_GROUPS} values, got {len(names)} in {name}."
        )
    return {
        label: replace(source, frame=pd.DataFrame(source.frame.loc[which == place]))
        for place, label in enumerate(names)
    }


def study_rows(study: Study) -> pd.DataFrame:
    """The replicas of a study as of `recorded`, with the settings in which its runs differ."""
    return with_settings(
        recorded(study.runs), {run.run_id: run.manifest["config"] for run in study.runs}
    )


def _study_source(study: Study) -> Source:
    """The replicas of a study; runs of different horizons are cut at the shortest.

    Where replicas still train, all are cut at the step that is recorded of each.
    """
    rows = study_rows(study)
    manifests = {run.run_id: run.manifest for run in study.runs}
    epochs = {manifest["steps_per_epoch"] for manifest in manifests.values()}
    return Source(
        replicas_table(rows),
        horizon_of(study.runs, rows),
        epochs.pop() if len(epochs) == 1 else None,
        manifests=manifests,
    )


def _logged_horizon(frame: pd.DataFrame) -> int | None:
    """The horizon of a mirrored study: a param that all its runs share."""
    values = set(frame[_LOGGED]) if _LOGGED in frame.columns else set()
    return int(values.pop()) if len(values) == 1 else None
