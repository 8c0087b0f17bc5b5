"""How an observed training ended: its events, as its metrics show them, and its outcome."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement
from observatory.events.claim import Claim
from observatory.events.columns import interval_columns, interval_entries
from observatory.events.interval import Interval

_TYPES = {"bool": torch.bool, "int64": torch.int64, "float64": torch.float64}


def outcome_columns(claims: Mapping[str, Claim]) -> tuple[Column, ...]:
    """Columns of the outcomes of observed runs; a row per training that ended."""

    def said(name: str, kind: Any, unit: str, meaning: str) -> Column:
        return Column(name=name, dtype=kind, unit=unit, meaning=meaning)

    return (
        said("retire_reason", "string", "-", "why it is watched no longer: ended"),
        said("outcome", "string", "-", "diverged, reached (its first event) or none"),
        said("instant", "bool", "-", "always false: of an observed run nothing is memorised first"),
        said("diverged_step", "int64", "steps", "first step with a loss that was not finite"),
        *interval_columns({name: claim.series for name, claim in claims.items()}),
    )


def outcome(looks: pd.DataFrame, claims: Mapping[str, Claim], step: int) -> Measurement:
    """The row of outcomes of one training.

    Args:
        looks: Its metrics, a row per step at which one was given.
        claims: Events by name, the first of which names the outcome.
        step: Updates made.
    """
    located = {name: _located(looks, claim, step) for name, claim in claims.items()}
    diverged = _diverged_step(looks)
    reached = any(interval.observed for interval in list(located.values())[:1])
    row: dict[str, object] = {
        "retire_reason": "ended",
        "outcome": "diverged" if diverged is not None else "reached" if reached else "none",
        "instant": False,
        "diverged_step": diverged,
        **interval_entries(located),
    }
    return {
        column.name: _cell(row[column.name], column.dtype) for column in outcome_columns(claims)
    }


def _located(looks: pd.DataFrame, claim: Claim, step: int) -> Interval:
    values = _numbers(looks, claim.series)
    if not np.isnan(values).all():
        return claim.interval(looks["step"].to_numpy(), values)
    return Interval(None, None, observed=False, watched=step)


def _diverged_step(looks: pd.DataFrame) -> int | None:
    """The first step at which a metric whose name says that it is a loss was not finite."""
    steps = looks["step"].to_numpy()
    found = [
        int(step)
        for name in map(str, looks)
        if "loss" in name.lower()
        for step in steps[looks[name].notna().to_numpy() & ~np.isfinite(_numbers(looks, name))]
    ]
    return min(found, default=None)


def _numbers(looks: pd.DataFrame, name: str) -> np.ndarray:
    return pd.Series(looks[name]).to_numpy(dtype=np.float64, na_value=np.nan)


def _cell(value: Any, dtype: str) -> Masked | list[str | None]:
    if dtype == "string":
        return [value]
    given = torch.tensor([value is not None])
    return Masked(torch.tensor([value or 0], dtype=_TYPES[dtype]), given)
