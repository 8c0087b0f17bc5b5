"""Does a recorded signal forecast an event better than the clock, the losses and the norm?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.forecast.estimators.alarm_rules import EARLY, Design, design_of
from observatory.analysis.forecast.estimators.records import (
    CLOCK,
    ForecastSettings,
    Numbers,
    SignalRecords,
)
from observatory.analysis.forecast.estimators.rows import Compared, row_of
from observatory.analysis.forecast.estimators.scored import score, seed_sets
from observatory.analysis.forecast.estimators.warnings import doubts, require_enough
from observatory.analysis.stats.estimate import Estimate, Plain, about
from observatory.analysis.stats.paired_tests import holm
from observatory.analysis.stats.solvers import alpha_of
from observatory.core.errors import FitRefusedError

_TO_READ = ["alpha", "min_lead", "max_lead_share", "matched", "start", "coverage", "n_bootstrap"]
"""Settings that a reader of the record needs."""
_BASELINE, _SIGNAL = "baseline", "signal"
"""Roles of the rows."""
_FAMILIES = ("clock", "every", "within")
"""Tests that are adjusted, each over all signals."""
_NOWCAST_SHARE = 0.5
"""Share of alarms with the event under way that makes a forecast a nowcast."""


@final
@dataclass(frozen=True)
class ForecastComparison(ForecastSettings):
    """Alarm rules chosen on training seeds at a false-alarm rate, scored on the others."""

    fit_name = "forecast"
    estimator = "cross_fitted_alarms"

    def estimate(self, records: SignalRecords, seed: int) -> Estimate:
        """Compare every signal with the baselines.

        Returns:
            A parameter per signal: the share of events that it forecast on held-out seeds. The
            table's row of a signal holds its role, rule, false alarms, leads, tests and verdict.

        Raises:
            FitRefusedError: If there are too few events, negatives or seeds.
        """
        design = design_of(records, self.min_lead, self.max_lead_share, matched=self.matched)
        require_enough(records, design, self)
        rng = np.random.default_rng(seed)
        sets = seed_sets(records, design, self.n_folds, self.n_bootstrap, rng)
        names, notes = self._judged(records, design)
        m = self._family([name for name in names if name not in records.baselines])
        scored = {name: score(records, name, design, sets, self) for name in names}
        compared = Compared(records, design, sets, scored, self, rng)
        made = {name: row_of(compared, name) for name in names}
        notes += doubts(records, design, names, sets.seeds.size, m, self)
        return Estimate(
            **about(self, seed),
            event=records.event,
            horizon_steps=records.horizon_steps,
            horizon_epochs=records.horizon_epochs,
            params={name: share for name, (share, _) in made.items()},
            n=records.n,
            warnings=notes,
            extras=self._extras(records, design, sets.seeds.size, m),
            table=self._table(compared, {n: row for n, (_, row) in made.items()}, m),
        )

    def _judged(self, records: SignalRecords, design: Design) -> tuple[list[str], list[str]]:
        """Names of the baselines and signals that are read often enough, and what is left out."""
        notes, kept, rare = list[str](), list[str](), list[str]()
        wanted = list(records.signals)
        if self.signals is not None:
            wanted = [n for n in wanted if n in records.baselines or n in self.signals]
        for name in wanted:
            readings = records.signals[name].readings[design.event]
            (kept if np.median(readings) >= self.min_readings else rare).append(name)
        if rare:
            notes.append(
                f"Left out, since fewer than {self.min_readings} readings lie within a window: "
                f"{', '.join(rare)}. Look more often to judge them."
            )
        if not [name for name in kept if name not in records.baselines]:
            raise FitRefusedError(
                f"No signal but the baselines is read often enough to be judged: {notes[0]}"
                if rare
                else "There is no signal but the baselines. Record a probe, or add a column."
            )
        return sorted(kept, key=lambda n: (n not in records.baselines, n != CLOCK)), notes

    def _family(self, tested: Sequence[str]) -> int:
        """Size of the family of tests; refuses one that was registered with fewer."""
        registered = max(len(tested), len(self.signals or ()))
        m = registered if self.n_tests is None else self.n_tests
        if m < len(tested):
            raise FitRefusedError(
                f"The family is registered with {m} tests, the table holds {len(tested)}. Name "
                "the registered ones by `signals`, or raise `n_tests`."
            )
        return m

    def _table(
        self, compared: Compared, rows: Mapping[str, Numbers], m: int
    ) -> dict[str, dict[str, Plain]]:
        """The rows by signal with role, rule and, where it is no baseline, verdict."""
        tested = [name for name in rows if name not in compared.records.baselines]
        for row in rows.values():
            row |= dict.fromkeys(f"{test}_p_holm" for test in _FAMILIES)
        _adjust([rows[name] for name in tested], m)
        kinds = list(compared.design.negatives)
        return {
            name: {
                "role": _SIGNAL if name in tested else _BASELINE,
                **row,
                "rule": compared.scored[name].rule,
                "verdict": _verdict(row, kinds, self.alpha, self.level) if name in tested else None,
            }
            for name, row in rows.items()
        }

    def _extras(
        self, records: SignalRecords, design: Design, seeds: int, m: int
    ) -> dict[str, Plain]:
        """Settings, and how many of what entered."""
        kinds = {k: int(v.sum()) for k, v in design.negatives.items()}
        return {
            "method": "rules chosen on other seeds; differences by sign flips of seeds, Holm",
            **{name: getattr(self, name) for name in _TO_READ},
            "control": records.control_name,
            "n_events": int(design.event.sum()),
            "n_events_without_room": int(records.happened.sum() - design.event.sum()),
            "n_seeds": seeds,
            "n_folds": min(self.n_folds, seeds),
            "n_tests": m,
            "kinds": ", ".join([*kinds, EARLY]),
            **{f"n_{kind}": n for kind, n in kinds.items()},
            **{f"n_{kind}": int(v.sum()) for kind, v in design.others.items()},
            f"n_{EARLY}": int(design.has_early.sum()),
        }


def _adjust(rows: Sequence[Numbers], m: int) -> None:
    """Write p-values adjusted by Holm into the rows of tested signals; `m` is the family's size.

    Registered tests that are not in the table count as 1.
    """
    for name in (f"{test}_p" for test in _FAMILIES):
        p = np.array([1.0 if row[name] is None else row[name] for row in rows], dtype=np.float64)
        steps = holm(np.concatenate([p, np.ones(m - p.size)]))
        for row, by_holm in zip(rows, steps.tolist(), strict=False):
            row[f"{name}_holm"] = by_holm


def _verdict(row: Numbers, kinds: Sequence[str], alpha: float, level: float) -> str:
    """What the adjusted row of a signal says of it; `kinds` of negatives chose the rules."""
    for kind in [*kinds, EARLY]:
        if (row[f"false_{kind}_low"] or 0.0) > alpha:
            return f"false alarms ({kind})"
    sure = {test: (row[f"{test}_p_holm"] or 0.0) < alpha_of(level) for test in _FAMILIES}
    if not sure["clock"]:
        return "cannot distinguish"
    if (row["clock_difference"] or 0.0) < 0:
        return "worse than the clock"
    found = "better than every baseline" if sure["every"] else "better than the clock"
    if (row["nowcast"] or 0.0) >= _NOWCAST_SHARE:
        found += ", a nowcast"
    if not (sure["within"] and (row["within"] or 0.0) > 0.5):
        found += ", not shown within a cell"
    return found
