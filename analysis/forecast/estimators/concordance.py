"""Who is higher just before an event: the replica that has it, or one that is still at risk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from observatory.analysis.forecast.estimators.alarm_rules import Design
from observatory.analysis.forecast.estimators.records import TWIN, Array, Ints, SignalRecords


@dataclass(frozen=True)
class AtRisk:
    """Replicas with an event at one moment, and those of their control that are still at risk."""

    look: int  # the last that leaves the lead
    events: Ints  # `[event]`
    others: Ints  # watched there, memorised, and with the event later or never, `[other]`


def at_risk(records: SignalRecords, design: Design) -> list[AtRisk]:
    """Whom each replica with an event is set beside: replicas of its control, twins left out."""
    events = np.flatnonzero(design.event)
    t_lo = np.where(records.happened, records.t_lo, np.inf)
    keys = np.stack([records.control[events], design.last[events], t_lo[events]], axis=1)
    moments, which = np.unique(keys, axis=0, return_inverse=True)
    members = {
        value: np.flatnonzero((records.control == value) & (records.kind != TWIN))
        for value in np.unique(moments[:, 0]).tolist()
    }
    found: list[AtRisk] = []
    for index, (control, look, begun) in enumerate(moments.tolist()):
        own, step = members[control], records.steps[int(look)]
        left = (records.opened[own] <= step) & (records.watched[own] >= step)
        others = own[left & (t_lo[own] > begun)]
        found.append(AtRisk(int(look), events[which.reshape(-1) == index], others))
    return found


@dataclass(frozen=True)
class Concordance:
    """Pairs of each replica's event and the replicas at risk of each fold, `[replica, fold]`."""

    good: Array  # in which the one with the event is higher; ties count one half
    pairs: Array  # in which both have a value


def concordance_by_fold(x: Array, risk: Sequence[AtRisk], fold: Ints) -> Concordance:
    """Concordant and all pairs of a signal under one transform, `[replica, look]`.

    All of them together would be a square of the replicas: they are counted moment by moment.
    """
    parts, place = np.unique(fold, return_inverse=True)
    of_fold = np.eye(parts.size)[place.reshape(-1)]
    good, pairs = np.zeros((fold.size, parts.size)), np.zeros((fold.size, parts.size))
    for at in risk:
        own, here = x[at.events, at.look], x[at.others, at.look]
        known, among = np.isfinite(own), np.isfinite(here)
        own, here, folds = own[known, None], here[among], of_fold[at.others[among]]
        good[at.events[known]] = ((own > here) + 0.5 * (own == here)) @ folds
        pairs[at.events[known]] = folds.sum(axis=0)
    return Concordance(good, pairs)


def held_out_concordance(of: Mapping[str, Concordance], fold: Ints) -> tuple[Array, Array]:
    """Concordant pairs of each event and all pairs, transform and sign chosen without its fold."""
    good, total = np.zeros(fold.size), np.zeros(fold.size)
    for index, part in enumerate(np.unique(fold)):
        train = fold != part
        best, lead, rising = next(iter(of)), -1.0, True
        for name, found in of.items():
            n, mean = (
                float(np.delete(counts[train], index, axis=1).sum())
                for counts in (found.pairs, found.good)
            )
            if n == 0:
                continue
            mean /= n
            if abs(mean - 0.5) > lead + 1e-12:
                best, lead, rising = name, abs(mean - 0.5), mean >= 0.5
        rows, chosen = ~train, of[best]
        count, own = chosen.pairs[rows].sum(axis=1), chosen.good[rows].sum(axis=1)
        good[rows], total[rows] = own if rising else count - own, count
    return good, total
