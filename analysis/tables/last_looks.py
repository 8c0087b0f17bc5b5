"""Replicas of a study at their last look: outcomes, measurements, settings."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from observatory.analysis.tables.columns import Role
from observatory.core.errors import ConfigError
from observatory.store.reader import EVALUATION, Run, Study


def rows_of(
    table: pd.DataFrame | Study, asked: Mapping[str, str | None], roles: Mapping[str, Role]
) -> pd.DataFrame:
    """An opened table as it is, or the replicas of a study with the columns that are wanted."""
    if isinstance(table, pd.DataFrame):
        return table
    names = ([asked[role]] if asked.get(role) else rule.usual for role, rule in roles.items())
    return last_looks(table, [name for some in names for name in some if name])


def last_looks(study: Study, names: Sequence[str]) -> pd.DataFrame:
    """A row per replica: settings, outcomes, the last look, and settings of its run.

    Args:
        study: The study.
        names: Columns that are wanted: of these, what is no column of the outcomes is looked for
            in the evaluation, then in the run's configuration, such as `task.p`.

    Raises:
        ConfigError: If replicas still train: those that have ended are no sample of all.
    """
    if n := int(study.replicas()["outcome"].isna().to_numpy().sum()):
        raise ConfigError(
            f"{n} replicas of {study.name} have not finished: what the others show at their last "
            "look is of those that end early. Wait, or go on with it: `observatory retry`."
        )
    return pd.concat([_of_run(run, names) for run in study.runs], ignore_index=True)


def configured(config: Mapping[str, Any], name: str) -> float | None:
    """A number of a configuration by its dotted name; None where there is none.

    Example:
        >>> configured({"task": {"p": 31}}, "task.p"), configured({"task": {"p": 31}}, "p")
        (31.0, None)
    """
    found: Any = config
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return float(found) if isinstance(found, int | float) else None


def _of_run(run: Run, names: Sequence[str]) -> pd.DataFrame:
    frame = run.outcomes()
    measured = {column.name for column in run.columns(EVALUATION)}
    if looked := [n for n in dict.fromkeys(names) if n in measured and n not in frame.columns]:
        last = run.table(EVALUATION, looked).groupby("replica").tail(1)
        frame = pd.DataFrame(frame.merge(last[["replica", *looked]], on="replica", how="left"))
    for name in names:
        setting = configured(run.manifest["config"], name)
        if name not in frame.columns and setting is not None:
            frame[name] = setting
    observed = [str(c) for c in frame.columns if str(c).endswith("_observed")]
    frame[observed] = frame[observed].astype(float)
    return frame
