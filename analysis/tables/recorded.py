"""Replicas as they are recorded so far: of those that still train, the events that were seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from observatory.events.claim import Claim
from observatory.events.interval import Interval
from observatory.events.threshold import locate_threshold
from observatory.store.reader import EVALUATION, Run

_SERIES = ("train_acc", "val_acc")


def recorded(runs: Sequence[Run]) -> pd.DataFrame:
    """Every replica of some runs: settings, and how it ended or what was seen of it so far.

    Rates of the replicas that have ended alone are those of replicas that end early. So one that
    still trains has its last look as `step`, and its events up to there; its outcome is null. One
    without a look after step 0 has nulls.
    """
    return pd.concat([_of_run(run) for run in runs], ignore_index=True)


def common_step(outcomes: pd.DataFrame) -> int | None:
    """The step up to which every replica that still trains is recorded; None where none does."""
    steps = outcomes["step"].to_numpy(dtype=float, na_value=np.nan)
    steps = steps[outcomes["outcome"].isna().to_numpy() & ~np.isnan(steps)]
    return int(steps.min()) if steps.size else None


def training_notes(outcomes: pd.DataFrame) -> list[str]:
    """What is to be said of replicas that have not ended, with their number."""
    going = outcomes["outcome"].isna().to_numpy()
    begun = going & outcomes["step"].notna().to_numpy()
    said = {
        f"Replicas still train: all are cut at the {common_step(outcomes)} steps that are recorded "
        "of each": begun,
        "Replicas without a record yet are left out": going & ~begun,
    }
    return [f"{words} ({int(rows.sum())})." for words, rows in said.items() if rows.any()]


def horizon_of(runs: Sequence[Run], outcomes: pd.DataFrame) -> int:
    """The shortest horizon of some runs, in steps, or the step up to which all are recorded."""
    until = common_step(outcomes)
    run = min(int(run.manifest["horizon_steps"]) for run in runs)
    return run if until is None else min(run, until)


def _of_run(run: Run) -> pd.DataFrame:
    outcomes = run.outcomes()
    going = outcomes["replica"].to_numpy()[outcomes["outcome"].isna().to_numpy()]
    if not going.size or EVALUATION not in run.tables():
        return outcomes
    presets: Mapping[str, Any] = run.manifest["config"].get("event") or {}
    series = {str(preset["series"]) for preset in presets.values() if "series" in preset}
    recorded_series = [c.name for c in run.columns(EVALUATION) if c.name in {*series, *_SERIES}]
    looks = run.table(EVALUATION, recorded_series)
    looks = pd.DataFrame(looks.loc[looks["replica"].isin(going.tolist())])
    for replica, own in looks.groupby("replica"):
        if (last := int(own["step"].iloc[-1])) > 0:
            at = outcomes["replica"] == replica
            outcomes.loc[at, "step"] = last
            for name, preset in presets.items():
                seen = _located(preset, own)
                if seen is not None and f"{name}_observed" in outcomes.columns:
                    outcomes.loc[at, f"{name}_observed"] = seen.observed
                    ends = (f"{name}_lo", seen.t_lo), (f"{name}_hi", seen.t_hi)
                    for column, end in ends if seen.observed else ():
                        outcomes.loc[at, column] = end
    return outcomes


def _located(preset: Mapping[str, Any], looks: pd.DataFrame) -> Interval | None:
    """The event of a preset as far as looks show it; None of an event of another kind.

    What only the last look of a record decides is not decided yet.
    """
    if not {"series", "level"} <= set(preset) or preset["series"] not in looks.columns:
        return None
    if "at_most" in preset:  # of an observed run
        found = pd.Series(looks[preset["series"]]).to_numpy(dtype=float, na_value=np.nan)
        seen = not np.isnan(found).all()
        return Claim.from_json(preset).interval(looks["step"], found) if seen else None
    level, looks_in_a_row = float(preset["level"]), int(preset.get("persistence", 1))
    tolerance = float(preset.get("tolerance", 0.0))
    values = looks[preset["series"]].to_numpy(dtype=float)
    return locate_threshold(looks["step"].to_numpy(), values, level, looks_in_a_row, tolerance)
