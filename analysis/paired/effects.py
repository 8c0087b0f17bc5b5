"""What arms did: peaks of signals, times, rates and retention, each pair an arm and its replica."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from observatory.analysis.page.frames import column, where, words
from observatory.analysis.paired.arms import (
    PARENT,
    Array,
    Curves,
    Networks,
    by_seed,
    curves_of,
    ends,
)
from observatory.analysis.paired.estimators.rows import Contrast, KnownContrasts

TIME, RATE, RETENTION = "time", "rate", "retention"
OF_EVENTS = (TIME, RATE, RETENTION)
"""Outcomes that are no signal."""
_LAST = "@last"
_FAILED = ("diverged", "collapsed")
_TOUCHED = "first99"
"""The event after which an outcome says whether it was kept, whatever event is asked for."""


@dataclass(frozen=True)
class Values:
    """One outcome of both ends of some pairs; pairs that do not have it are left out."""

    first: Array  # of the reference, `[pair]`
    second: Array  # of the arm, `[pair]`
    parent: Sequence[tuple[str, int]]  # run and replica that both come from, `[pair]`
    weight_decay: Array  # `[pair]`
    seed: Array  # that both share with the other pairs of this seed, `[pair]`
    said: str = ""  # what is to be said of those left out or censored


def effects(
    nets: Sequence[Networks],
    outcome: str,
    event: str,
    references: Sequence[str] | None = None,
) -> tuple[KnownContrasts, list[str]]:
    """Contrasts of every arm with its replica and with its control, and what is to be said.

    Each weight decay of the replicas is a condition, with pairs or without: what is tested does not
    depend on what became of them. So are all of them together where there are several; there a
    seed counts once, with the means of its pairs, which share their first parameters, split and
    batches. Rates of a seed with several pairs are then compared as means.

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
                if arm == reference:
                    continue
                pairs = part.pairs(arm, reference)
                found = _values(pairs, outcome, event, part.horizon, curves)
                if found.said:
                    notes.append(f"{arm} - {reference}: {found.said}")
                contrasts += _by_decay(found, arm, reference, part, outcome)
        if outcome not in (RATE, RETENTION) and not references:
            contrasts += _slopes(part, outcome, event, curves)
    horizon = min(part.horizon for part in nets)
    words_of = outcome_words(nets, outcome, event, horizon)
    return KnownContrasts(contrasts, words_of, len(contrasts)), notes


def outcome_words(nets: Sequence[Networks], outcome: str, event: str, horizon: int) -> str:
    """What an outcome is, with its unit."""
    if outcome in OF_EVENTS:
        return {
            TIME: f"time to {event}, of {horizon} steps at most (steps)",
            RATE: f"share with {event} by {horizon} steps (dimensionless)",
            RETENTION: f"share that kept {_TOUCHED} to the end of its record (dimensionless)",
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
    if outcome == RETENTION:
        had = [_seen(pairs, _TOUCHED, end, horizon) for end in ("_ref", "")]
        kept = [(words(pairs, f"outcome{end}") == "grokked").astype(float) for end in ("_ref", "")]
        keep = np.isfinite(had[0]) & np.isfinite(had[1])
        lacking = int((~keep).sum())
        said = f"{lacking} of {len(pairs)} pairs did not both have {_TOUCHED}." if lacking else ""
        return _kept(pairs, kept, keep, said)
    had = [_seen(pairs, event, end, horizon) for end in ("_ref", "")]
    before = [when <= column(pairs, "moment") for when in had]
    keep = ~(before[0] & before[1])
    failed = [np.isin(words(pairs, f"outcome{end}"), _FAILED) for end in ("_ref", "")]
    times = [np.where(lost, np.inf, when) for lost, when in zip(failed, had, strict=True)]
    seen = [np.isfinite(time) for time in times]
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
    decays, seeds = column(own, "weight_decay"), column(own, "seed")
    return Values(both[0][keep], both[1][keep], parents, decays, seeds, said)


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


def _seen(pairs: pd.DataFrame, event: str, end: str, horizon: int) -> Array:
    """When one end had an event, in steps, whatever became of it later; infinite where not."""
    when = column(pairs, f"{event}_hi{end}")
    return np.where(np.isnan(when) | (when > horizon), np.inf, when)


def _by_decay(
    found: Values, arm: str, reference: str, part: Networks, outcome: str
) -> list[Contrast]:
    rates, made = outcome in (RATE, RETENTION), list[Contrast]()

    def add(condition: str, first: Array, second: Array, rates: bool) -> None:
        named = ", ".join(filter(None, [part.setting, condition]))
        made.append(Contrast(arm, reference, named, first, second, first, second, rates))

    for decay in part.decays:
        rows = found.weight_decay == decay
        add(f"weight decay {decay:g}", found.first[rows], found.second[rows], rates)
    if len(part.decays) > 1:
        (first, second), counts = by_seed(np.array([found.first, found.second]), found.seed)
        add("all weight decays", first, second, rates and bool((counts == 1).all()))
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
        whole = sum(s**2 for s in strengths.values())
        sums, decays, seeds = np.zeros((2, len(shared))), np.zeros(0), np.zeros(0)
        for arm, found in per_arm.items():
            own = np.array([parent in shared for parent in found.parent], dtype=np.bool_)
            sums += strengths[arm] / whole * np.array([found.first[own], found.second[own]])
            decays, seeds = found.weight_decay[own], found.seed[own]
        strongest = max(strengths, key=lambda name: strengths[name])
        slope = Values(sums[0], sums[1], [], decays, seeds)
        made += _by_decay(slope, f"{strongest}, per strength", PARENT, part, outcome)
    return made
