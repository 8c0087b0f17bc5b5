"""What watched trainings must say of themselves before anything is fitted to them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.tables.outcomes import numbers
from observatory.store.identity import CHECKPOINTS, OBSERVED
from observatory.store.reader import Run

DRAWN = "`observatory report STUDY` draws what was looked at."
"""What there is where nothing can be fitted."""


def are_watched(runs: Sequence[Run]) -> bool:
    """Whether some runs are all of models and loops of the user's own."""
    return all(run.manifest.get("kind") == OBSERVED for run in runs)


def of_checkpoints(manifest: Mapping[str, Any]) -> bool:
    """Whether a run is of weights that were read from files, one look each."""
    return manifest.get("settings", {}).get("source") == CHECKPOINTS


def why_no_event(runs: Sequence[Run]) -> str:
    """Why watched trainings have no event, and what to do; empty where one has, or they are ours.

    Args:
        runs: Of a study.
    """
    if not are_watched(runs) or any(run.manifest["config"].get("event") for run in runs):
        return ""
    if all(of_checkpoints(run.manifest) for run in runs):
        return (
            "No event was named for this study: it is of saved checkpoints, which hold weights and "
            "no metric to name one on, so that there is nothing to fit. For fits, watch "
            'the training, `ob.Observe(..., event="val_acc >= 0.99")`, or give a table with a row '
            "per training (docs/fits.md)."
        )
    return (
        "No event was named for this study, so that there is nothing to fit: watch the trainings "
        'with one on a metric, `ob.Observe(..., event="val_acc >= 0.99")`.'
    )


def why_no_control(replicas: pd.DataFrame) -> str:
    """Why watched trainings have no weight decay to fit against; empty where all have one.

    Args:
        replicas: As of `Study.replicas`, with a column weight_decay.
    """
    instead = (
        "name the setting that was varied, as in `observatory fit boundary STUDY --control lr`"
    )
    return why_no_setting(replicas, "weight_decay", 0.1, "fits are against it", instead)


def why_no_setting(
    replicas: pd.DataFrame, name: str, example: float, used: str, instead: str
) -> str:
    """Why a setting of watched trainings is not known; empty where all have it.

    Args:
        replicas: As of `Study.replicas`.
        name: The setting.
        example: A value of it.
        used: What it is needed for, a clause.
        instead: What else can be done, a clause.
    """
    known = numbers(replicas, name) if name in replicas else np.full(len(replicas), np.nan)
    lacking = int(np.isnan(known).sum())
    if not lacking:
        return ""
    return (
        f"No `{name}` is among the settings of {lacking} of {len(replicas)} watched "
        f"trainings, and {used}: give it, "
        f'`watch.begin(model, settings={{"{name}": {example:g}}})`, or {instead}.'
    )


def why_no_table(run: Run, table: str) -> str:
    """Why a watched training holds no table of a probe; empty where it does, or is ours.

    Args:
        run: Of a study.
        table: Such as "probes/attention".
    """
    if not are_watched([run]) or table in run.tables():
        return ""
    probe = table.rpartition("/")[2]
    return (
        f"No `{probe}` was measured of the watched training {run.run_id}: its network has none, or "
        f"it is not among the `probes` of its looks. Name another column, as in `--value l2`, or "
        f'ask for it, `ob.Observe(..., probes=["{probe}"])`.'
    )


def why_not_fitted(runs: Sequence[Run]) -> str:
    """Why a study of watched trainings cannot be fitted as a whole; empty where it can."""
    if why := why_no_event(runs):
        return why
    if not are_watched(runs):
        return ""
    return why_no_control(pd.concat([run.replicas() for run in runs], ignore_index=True))
