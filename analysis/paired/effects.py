"""What arms did: peaks of signals, times, rates and retention, each pair an arm and its replica."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from observatory.analysis.page.frames import column, where, words
from observatory.analysis.paired.arms import PARENT, Array, Curves, Networks, curves_of, ends
from observatory.analysis.paired.estimators.rows import Contrast, KnownContrasts

TIME, RATE, RETENTION = "time", "rate", "retention"
OF_EVENTS = (TIME, RATE, RETENTION)
"""Outcomes that are no signal."""
_LAST = "@last"
_FAILED = ("diverged", "collapsed")


@dataclass(frozen=True)
class Values:
    """One outcome of both ends of some pairs; pairs that do not have it are left out."""

    first: Array  # of the reference, `[pair]`
    second: Array  # of the arm, `[pair]`
    parent: Sequence[tuple[str, int]]  # run and replica that both come from, `[pair]`
    weight_decay: Array  # `[pair]`
    said: str = ""  # what is to be said of those left out or censored


def effects(
    nets: Sequence[Networks],
    outcome: str,
    event: str,
    references: Sequence[str] | None = None,
) -> tuple[KnownContrasts, list[str]]:
    """Contrasts of every arm with its replica and with its control, and what is to be said.

    Each weight decay is a condition, and all of them together where there are several.

    Args:
        nets: Of a study, a part for each setting.
        outcome: One of `OF_EVENTS`, or the name of a recorded signal, whose peak after the moment
            is compared, over the steps that both ends were watched; "NAME@last": its last reading.
        event: Name of the event that times, rates and retention are of.
        references: What arms are compared with in place of these.

    Raises:
        StoreError: If a run does not record the signal.
    """
    contrasts, notes = list[Contrast](), list[str]()
    for part in nets:
        curves = {} if outcome in OF_EVENTS else curves_of(part.runs, signal_of(outcome))
        for arm in part.arms:
            against = references or [PARENT, *filter(None, [part.control(arm)])]
            for reference in against:
                pairs = part.pairs(arm, reference)
                if arm == reference or pairs.empty:
                    continue
                found = _values(pairs, outcome, event, part.horizon, curves)
                if found.said:
                    notes.append(f"{arm} - {reference}: {found.said}")
                contrasts += _by_decay(found, arm, reference, part.setting, outcome)
        if outcome not in (RATE, RETENTION) and not references:
            contrasts += _slopes(part, outcome, event, curves)
    horizon = min(part.horizon for part in nets)
    return KnownContrasts(contrasts, outcome_words(nets, outcome, event, horizon)), notes


def outcome_words(nets: Sequence[Networks], outcome: str, event: str, horizon: int) -> str:
    """What an outcome is, with its unit."""
    if outcome in OF_EVENTS:
        return {
            TIME: f"time to {event}, of {horizon} steps at most (steps)",
            RATE: f"share with {event} by {horizon} steps (dimensionless)",
            RETENTION: f"share that kept {event} to the end of its record (dimensionless)",
        }[outcome]
    run = nets[0].runs[0]
    signal = signal_of(outcome)
    known = run.columns(run.table_of(signal))
    unit = next(found.unit for found in known if found.name == signal)
    unit = "dimensionless" if unit == "1" else unit
    return f"last {signal} ({unit})" if _last(outcome) else f"peak {signal} after the act ({unit})"


def signal_of(outcome: str) -> str:
    """The recorded signal that an outcome is a reading of."""
    return outcome.removesuffix(_LAST)


def _last(outcome: str) -> bool:
    return outcome.endswith(_LAST)


def _values(pairs: pd.DataFrame, outcome: str, event: str, horizon: int, curves: Curves) -> Values:
    if outcome not in OF_EVENTS:
        read = [_readings(curves, _last(outcome), *each) for each in ends(pairs)]
        first, second = np.array(read, dtype=np.float64).reshape(-1, 2).T
        keep = np.isfinite(first) & np.isfinite(second)
        lacking = int((~keep).sum())
        said = f"{lacking} of {len(pairs)} pairs have no reading after the act." if lacking else ""
        return _kept(pairs, [first, second], keep, said)
    times = [_time(pairs, event, end, horizon) for end in ("_ref", "")]
    seen = [np.isfinite(time) for time in times]
    if outcome == RETENTION:
        kept = [(words(pairs, f"outcome{end}") == "grokked").astype(float) for end in ("_ref", "")]
        keep = seen[0] & seen[1]
        lacking = int((~keep).sum())
        said = f"{lacking} of {len(pairs)} pairs did not both have {event}." if lacking else ""
        return _kept(pairs, kept, keep, said)
    moment = column(pairs, "moment")
    before = [time <= moment for time in times]
    keep = ~(before[0] & before[1])
    said = f"{int((~keep).sum())} of {len(pairs)} pairs had {event} before the act. "
    said = "" if keep.all() else said
    if outcome == RATE:
        return _kept(pairs, [s.astype(float) for s in seen], keep, said.strip())
    without = [int((~s[keep]).sum()) for s in seen]
    if any(without):
        said += (
            f"Without {event} within the horizon: {without[1]} of {int(keep.sum())} of the arm, "
            f"{without[0]} of what it is compared with; they count with all {horizon} steps."
        )
    capped = [np.where(s, t, float(horizon)) for s, t in zip(seen, times, strict=True)]
    return _kept(pairs, capped, keep, said.strip())


def _kept(pairs: pd.DataFrame, both: Sequence[Array], keep: np.ndarray, said: str) -> Values:
    own = where(pairs, keep)
    parents = list(zip(own["run_id"].tolist(), own["parent"].tolist(), strict=True))
    return Values(both[0][keep], both[1][keep], parents, column(own, "weight_decay"), said)


def _readings(
    curves: Curves,
    last: bool,
    one: tuple[str, int],
    other: tuple[str, int],
    moment: float,
    until: float,
) -> tuple[float, float]:
    """The largest or last reading of both ends after the moment, over the steps both have."""
    found: list[float] = []
    for key in (one, other):
        steps, reading = curves.get(key, (np.zeros(0), np.zeros(0)))
        inside = reading[(steps > moment) & (steps <= until)]
        found.append(np.nan if not inside.size else float(inside[-1] if last else inside.max()))
    return found[0], found[1]


def _time(pairs: pd.DataFrame, event: str, end: str, horizon: int) -> Array:
    """When one end had an event, in steps; infinite where not, or where it failed."""
    seen = column(pairs, f"{event}_hi{end}")
    failed = np.isin(words(pairs, f"outcome{end}"), _FAILED)
    return np.where(failed | np.isnan(seen) | (seen > horizon), np.inf, seen)


def _by_decay(
    found: Values, arm: str, reference: str, setting: str, outcome: str
) -> list[Contrast]:
    decays = np.unique(found.weight_decay)
    conditions = [(f"weight decay {decay:g}", found.weight_decay == decay) for decay in decays]
    if len(decays) > 1:
        conditions.append(("all weight decays", np.ones(found.first.size, dtype=np.bool_)))
    rates, made = outcome in (RATE, RETENTION), list[Contrast]()
    for condition, rows in conditions:
        both = found.first[rows], found.second[rows]
        named = ", ".join(filter(None, [setting, condition]))
        made.append(Contrast(arm, reference, named, *both, *both, rates))
    return made


def _slopes(part: Networks, outcome: str, event: str, curves: Curves) -> list[Contrast]:
    """Of arms that differ in strength alone, the effect per unit of strength, pair by pair.

    Least squares through 0, where nothing is done and nothing differs: both ends of a pair are
    summed with strength / sum of squared strengths as weights.
    """
    made: list[Contrast] = []
    for strengths in part.doses():
        per_arm = {
            arm: _values(part.pairs(arm, PARENT), outcome, event, part.horizon, curves)
            for arm in strengths
        }
        shared = set.intersection(*(set(found.parent) for found in per_arm.values()))
        if not shared:
            continue
        whole = sum(s**2 for s in strengths.values())
        sums, decays = np.zeros((2, len(shared))), np.zeros(0)
        for arm, found in per_arm.items():
            own = [place for place, parent in enumerate(found.parent) if parent in shared]
            both = np.array([found.first[own], found.second[own]])
            sums += strengths[arm] / whole * both
            decays = found.weight_decay[own]
        strongest = max(strengths, key=lambda name: strengths[name])
        slope = Values(sums[0], sums[1], [], decays)
        made += _by_decay(slope, f"{strongest}, per strength", PARENT, part.setting, outcome)
    return made
