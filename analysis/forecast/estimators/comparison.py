"""Does a recorded signal forecast an event better than the clock, the losses and the norm?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.forecast.estimators.alarm_rules import EARLY, Design, design_of
from observatory.analysis.forecast.estimators.records import CLOCK, TRANSFORMS, SignalRecords
from observatory.analysis.forecast.estimators.rows import Compared, Numbers, row_of
from observatory.analysis.forecast.estimators.scored import Scored, score, seed_sets
from observatory.analysis.forecast.estimators.verdicts import FAMILIES, adjust, verdict
from observatory.analysis.forecast.estimators.warnings import doubts, require_enough
from observatory.analysis.stats.estimate import Estimate, Plain
from observatory.core.errors import FitRefusedError
from observatory.core.settings import Share, checked

MEMORISED = "memorised"
STARTS = (MEMORISED, "first_look")
FEWEST_DRAWS = 99
"""Resamples without which no p-value is small."""
TO_READ = ["alpha", "min_lead", "max_lead_share", "matched", "start", "coverage", "n_bootstrap"]
"""Settings that a reader of the record needs."""
BASELINE, SIGNAL = "baseline", "signal"
"""Roles of the rows."""


@final
@dataclass(frozen=True)
class ForecastComparison:
    """Alarm rules chosen on training seeds at a false-alarm rate, scored on the others.

    Attributes:
        transforms: Of signals, in the order that settles ties.
        start: When alarms begin to count: "memorised" or "first_look".
        alpha: Largest false-alarm rate in training, of each kind of negatives.
        min_lead: Steps from an alarm to the last look before the event.
        max_lead_share: Largest lead, as a share of the event's time.
        matched: Whether only negatives at values of the control with an event choose rules.
        n_folds: Of whole seeds, at most.
        signals: The registered family; None: all signals but the baselines.
        n_tests: Its size as registered; None: the signals of the table.
        min_events: Events that leave room for an alarm.
        min_seeds: Seeds.
        min_readings: Median readings of a signal within a window.
        nowcast_margin: Val accuracy above chance, and above its opening value.
        coverage: Of the forecast of the event's time.
        lead_floor: Least lead of a permuted onset, as a share of the event's time.
        n_permutations: Of onsets.
        n_bootstrap: Resamples of seeds.
        n_flips: Of signs; all where there are no more.
        level: Coverage of the intervals; tests are at 1 - level.
    """

    transforms: Sequence[str]
    start: str
    alpha: float
    min_lead: float
    max_lead_share: float
    matched: bool
    n_folds: int
    signals: Sequence[str] | None
    n_tests: int | None
    min_events: int
    min_seeds: int
    min_readings: int
    nowcast_margin: float
    coverage: float
    lead_floor: float
    n_permutations: int
    n_bootstrap: int
    n_flips: int
    level: float

    fit_name = "forecast"
    estimator = "cross_fitted_alarms"

    def __post_init__(self) -> None:
        if not self.transforms or set(self.transforms) - set(TRANSFORMS):
            raise ValueError(
                f"`transforms` must be of {list(TRANSFORMS)}, got {list(self.transforms)}."
            )
        if self.start not in STARTS:
            raise ValueError(f"`start` must be one of {list(STARTS)}, got {self.start!r}.")
        if isinstance(self.signals, str):
            raise ValueError(
                f"`signals` must be a list of names, or null, got {self.signals!r}. Write [a, b]."
            )
        checked({"alpha": self.alpha}, {"alpha": Share})
        if self.n_bootstrap < FEWEST_DRAWS:
            raise ValueError(
                f"`n_bootstrap` must be at least {FEWEST_DRAWS}, got {self.n_bootstrap}. A p-value "
                "needs them."
            )

    def estimate(self, records: SignalRecords, seed: int) -> Estimate:
        """Compare every signal with the baselines.

        Args:
            records: Replicas with their signals.
            seed: Of folds, resamples, flips and permutations.

        Returns:
            A parameter per signal: the share of events that it forecast on held-out seeds. The
            table's row of a signal holds its role, rule, false alarms, leads, tests and verdict.

        Raises:
            FitRefusedError: If there are too few events, negatives or seeds.
        """
        design = design_of(records, self.min_lead, self.max_lead_share, matched=self.matched)
        least = self.min_events, self.min_seeds
        require_enough(records, design, self.alpha, self.min_lead, *least, self.n_folds)
        rng = np.random.default_rng(seed)
        sets = seed_sets(records, design, self.n_folds, self.n_bootstrap, rng)
        names, notes = self._judged(records, design)
        m = self._family([name for name in names if name not in records.baselines])
        of_rules = tuple(self.transforms), self.alpha, self.coverage
        scored = {name: score(records, name, design, sets, *of_rules) for name in names}
        compared = Compared(records, design, sets, scored, self.level, self.n_flips, rng)
        of_rows = self.max_lead_share, self.nowcast_margin, self.lead_floor, self.n_permutations
        made = {name: row_of(compared, name, *of_rows) for name in names}
        sizes = sets.seeds.size, m, self.n_bootstrap
        notes += doubts(records, design, names, *sizes, self.level, self.min_lead)
        horizon, epoch = records.horizon_steps, records.steps_per_epoch
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            event=records.event,
            horizon_steps=horizon,
            horizon_epochs=horizon / epoch if epoch and horizon else None,
            params={name: share for name, (share, _) in made.items()},
            level=self.level,
            n=records.n,
            seed=seed,
            warnings=notes,
            extras=self._extras(records, design, sets.seeds.size, m),
            table=self._table(records, design, scored, {n: row for n, (_, row) in made.items()}, m),
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
        self,
        records: SignalRecords,
        design: Design,
        scored: Mapping[str, Scored],
        rows: Mapping[str, Numbers],
        m: int,
    ) -> dict[str, dict[str, Plain]]:
        """The rows by signal with role, rule and, where it is no baseline, verdict."""
        tested = [name for name in rows if name not in records.baselines]
        for row in rows.values():
            row |= dict.fromkeys(f"{test}_p_holm" for test in FAMILIES)
        adjust([rows[name] for name in tested], m)
        kinds = list(design.negatives)
        return {
            name: {
                "role": SIGNAL if name in tested else BASELINE,
                **row,
                "rule": str(scored[name].rule),
                "verdict": verdict(row, kinds, self.alpha, self.level) if name in tested else None,
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
            **{name: getattr(self, name) for name in TO_READ},
            "control": records.control_name,
            "n_events": int(design.event.sum()),
            "n_events_without_room": int((records.kind == "event").sum() - design.event.sum()),
            "n_seeds": seeds,
            "n_folds": min(self.n_folds, seeds),
            "n_tests": m,
            "kinds": ", ".join([*kinds, EARLY]),
            **{f"n_{kind}": n for kind, n in kinds.items()},
            **{f"n_{kind}": int(v.sum()) for kind, v in design.others.items()},
            f"n_{EARLY}": int(design.has_early.sum()),
        }
