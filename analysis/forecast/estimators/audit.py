"""Does a recorded signal forecast an event better than the clock, the losses and the norm?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.alarm_rules import (
    EARLY,
    Design,
    Reach,
    alarms,
    best_rules,
    design_of,
    reaches,
)
from observatory.analysis.forecast.estimators.event_times import EventTimes, event_times, splits
from observatory.analysis.forecast.estimators.records import CLOCK, TRANSFORMS, AuditRecords
from observatory.analysis.forecast.estimators.scored import (
    Numbers,
    Scored,
    false_alarms,
    hits,
    leads,
    onsets,
    told_times,
)
from observatory.analysis.forecast.estimators.scores import (
    by_seed,
    concordance_pairs,
    difference_interval,
    difference_p,
    held_out_concordance,
    ratio_interval,
    share_interval,
    wider,
)
from observatory.analysis.forecast.estimators.warnings import doubts, require_enough
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain
from observatory.analysis.stats.multiplicity import holm
from observatory.analysis.stats.paired_tests import sign_flip_p
from observatory.analysis.stats.resample import replica_weights
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]

STARTS = ("memorised", "first_look")
UNSURE = "cannot distinguish"
FAMILIES = ("clock", "every", "within")
"""Tests that are adjusted, each over all signals."""


@final
@dataclass(frozen=True)
class ForecastAudit:
    """Alarm rules chosen on training seeds at a false-alarm rate, scored on the others.

    Attributes:
        transforms: Of signals, in the order that settles ties.
        start: When alarms begin to count: "memorised" or "first_look".
        alpha: Largest false-alarm rate in training, of each kind of negatives.
        min_lead: Steps from an alarm to the last look before the event.
        max_lead_share: Largest lead, as a share of the event's time.
        matched: Whether only negatives of cells with an event are held.
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

    fit_name = "audit"
    estimator = "cross_fitted_alarms"

    def __post_init__(self) -> None:
        if not self.transforms or set(self.transforms) - set(TRANSFORMS):
            raise ValueError(
                f"`transforms` must be of {list(TRANSFORMS)}, got {list(self.transforms)}."
            )
        if self.start not in STARTS:
            raise ValueError(f"`start` must be one of {list(STARTS)}, got {self.start!r}.")

    def estimate(self, records: AuditRecords, seed: int) -> Estimate:
        """Audit every signal.

        Args:
            records: Replicas with their signals.
            seed: Of folds, resamples, flips and permutations.

        Returns:
            A parameter per signal: the share of events that it forecast on held-out seeds. Curves
            `table.<name>`: a number per signal; extras `verdict[<signal>]`, `rule[<signal>]`.

        Raises:
            FitRefusedError: If there are too few events, negatives or seeds.
        """
        design = design_of(records, self.min_lead, self.max_lead_share, matched=self.matched)
        require_enough(
            records,
            design,
            alpha=self.alpha,
            min_lead=self.min_lead,
            min_events=self.min_events,
            min_seeds=self.min_seeds,
            n_folds=self.n_folds,
        )
        rng = np.random.default_rng(seed)
        seeds = np.unique(records.seed[design.event])
        fold = self._folds(records, seeds, rng)
        names, notes = self._judged(records, design)
        everyone = np.unique(records.seed)
        drawn = replica_weights(np.isin(everyone, seeds).astype(np.int64), self.n_bootstrap, rng)
        copies = drawn[:, np.searchsorted(everyone, records.seed)].astype(np.float64)
        weights = drawn[:, np.isin(everyone, seeds)]
        scored = {name: self._score(records, name, design, fold, copies) for name in names}
        table = [self._row(records, design, scored, name, seeds, weights, rng) for name in names]
        tested = [name for name in names if name not in records.baselines]
        registered = max(len(tested), len(self.signals or ()))
        m = registered if self.n_tests is None else self.n_tests
        if m < len(tested):
            raise FitRefusedError(
                f"The family is registered with {m} tests, the table holds {len(tested)}. Name "
                "the registered ones by `--signal`, or raise `n_tests`."
            )
        for row in table:
            row |= dict.fromkeys(f"{test}_p_holm" for test in FAMILIES)
        _adjust([row for n, row in zip(names, table, strict=True) if n in tested], m)
        verdicts = {
            name: self._verdict(row, list(design.negatives))
            for name, row in zip(names, table, strict=True)
            if name in tested
        }
        params = {
            name: Parameter(
                float(row["detects"] or 0.0), None, row["detects_low"], row["detects_high"]
            )
            for name, row in zip(names, table, strict=True)
        }
        notes += doubts(
            records,
            design,
            names,
            seeds.size,
            m,
            level=self.level,
            min_lead=self.min_lead,
            n_bootstrap=self.n_bootstrap,
        )
        extras: dict[str, Plain] = {
            **self._said(records, design, seeds.size, m),
            **{f"role[{n}]": "baseline" if n in records.baselines else "signal" for n in names},
            **{f"verdict[{n}]": verdict for n, verdict in verdicts.items()},
            **{f"rule[{n}]": str(scored[n].rule) for n in names},
        }
        curves = {f"table.{key}": [row[key] for row in table] for key in table[0]}
        epochs = records.steps_per_epoch
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            event=records.event,
            horizon_steps=records.horizon_steps,
            horizon_epochs=records.horizon_steps / epochs
            if epochs and records.horizon_steps
            else None,
            params=params,
            level=self.level,
            n=records.n,
            seed=seed,
            warnings=notes,
            extras=extras,
            curves=curves,
        )

    def _folds(
        self, records: AuditRecords, seeds: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """The fold of each replica; seeds without an event are dealt to the folds as well."""
        others = np.setdiff1d(np.unique(records.seed), seeds)
        dealt = np.concatenate([rng.permutation(seeds), rng.permutation(others)])
        number = {int(s): i % min(self.n_folds, seeds.size) for i, s in enumerate(dealt)}
        return np.array([number[int(s)] for s in records.seed], dtype=np.int64)

    def _judged(self, records: AuditRecords, design: Design) -> tuple[list[str], list[str]]:
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

    def _score(
        self,
        records: AuditRecords,
        name: str,
        design: Design,
        fold: NDArray[np.int64],
        copies: Array,
    ) -> Scored:
        """One signal, its rules chosen without the seeds that they are scored on."""
        signal = records.signals[name]
        found = reaches(signal, design, tuple(self.transforms))
        alarm, parts = np.full(records.n, np.nan), np.unique(fold)
        training = np.vstack([fold != part for part in parts] + [np.ones(records.n, np.bool_)])
        chosen = best_rules(found, design, training.astype(np.float64), self.alpha)
        for index, part in enumerate(parts):
            raised = alarms(found, chosen.rule(index), records.steps)
            alarm[fold == part] = raised[fold == part]
        kinds = list(dict.fromkeys(reach.transform for reach in found))
        pairs = {kind: concordance_pairs(signal, design, records, kind) for kind in kinds}
        good, total = held_out_concordance(pairs, records, fold)
        return Scored(
            rule=chosen.rule(parts.size),
            alarm=alarm,
            hit=hits(alarm, records, design),
            good=good,
            pairs=total,
            times=self._times(records, design, found, fold),
            redrawn=self._redrawn(found, design, copies),
        )

    def _times(
        self, records: AuditRecords, design: Design, found: list[Reach], fold: NDArray[np.int64]
    ) -> EventTimes | None:
        """Forecasts of the event's time by rules that half of the other folds choose."""
        parts = splits(fold)
        training = np.stack([train for _, train, _ in parts]).astype(np.float64)
        chosen = best_rules(found, design, training, self.alpha)
        raised = [alarms(found, chosen.rule(i), records.steps) for i in range(len(parts))]
        return event_times(np.stack(raised), parts, records, design.event, self.coverage)

    def _redrawn(self, found: list[Reach], design: Design, copies: Array) -> Array:
        """What rules forecast that resampled seeds chose, on the seeds that these lack."""
        chosen = best_rules(found, design, copies, self.alpha)
        absent = design.event & (copies == 0)
        n = absent.sum(axis=1)
        hit = (chosen.forecast(design) & absent).sum(axis=1)
        return np.divide(hit, n, out=np.full(n.size, np.nan), where=n > 0)

    def _row(
        self,
        records: AuditRecords,
        design: Design,
        scored: dict[str, Scored],
        name: str,
        seeds: NDArray[np.int64],
        weights: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Numbers:
        """All that is told of one signal, before it is adjusted."""
        mine = scored[name]
        sizes = by_seed(design.event, records.seed, seeds)
        own = {other: by_seed(score.hit, records.seed, seeds) for other, score in scored.items()}
        low, high = wider(share_interval(own[name], sizes, self.level), mine.redrawn, self.level)
        row: Numbers = {
            "events": float(sizes.sum()),
            "hits": float(own[name].sum()),
            "detects": float(own[name].sum() / sizes.sum()),
            "detects_low": low,
            "detects_high": high,
        }
        row |= false_alarms(records, design, mine.alarm, self.max_lead_share, self.level)
        row |= leads(records, mine.alarm, mine.hit, self.nowcast_margin)
        good, pairs = (by_seed(x, records.seed, seeds) for x in (mine.good, mine.pairs))
        row |= dict.fromkeys(("within", "within_low", "within_high", "within_p"))
        row["pairs"] = float(pairs.sum())
        if row["pairs"]:
            limits = ratio_interval(good, pairs, weights, self.level)
            row["within"] = float(good.sum() / pairs.sum())
            row["within_low"], row["within_high"] = limits
            lean = good - 0.5 * pairs
            row["within_p"] = sign_flip_p(lean, self.n_flips, rng) if lean.any() else 1.0
        plain = [b for b in records.baselines if b in scored and b != name]
        rivals = {CLOCK: CLOCK} if name != CLOCK else {}
        if rest := [b for b in plain if b != CLOCK]:
            rivals["best"] = max(rest, key=lambda b: own[b].sum())
        for label in (CLOCK, "best"):
            row |= {f"{label}_{k}": None for k in ("difference", "low", "high", "p", "flips_p")}
            if label not in rivals:
                continue
            gap = own[name] - own[rivals[label]]
            draws = mine.redrawn - scored[rivals[label]].redrawn
            limits = difference_interval(own[name], own[rivals[label]], sizes, draws, self.level)
            row[f"{label}_difference"] = float(gap.sum() / sizes.sum())
            row[f"{label}_low"], row[f"{label}_high"] = limits
            found = difference_p(gap, draws, self.n_flips, rng)
            row[f"{label}_p"], row[f"{label}_flips_p"] = found
        tests = [
            difference_p(gap, mine.redrawn - scored[b].redrawn, self.n_flips, rng)[0]
            if (gap := own[name] - own[b]).sum() > 0
            else 1.0
            for b in plain
        ]
        row["every_p"] = max(tests, default=None)
        row |= told_times(mine.times)
        alarm, event = mine.alarm[mine.hit], records.t_hi[mine.hit]
        return row | onsets(alarm, event, self.lead_floor, self.n_permutations, rng)

    def _verdict(self, row: Numbers, kinds: list[str]) -> str:
        alpha = 1.0 - self.level
        for kind in [*kinds, EARLY]:
            if (row[f"false_{kind}_low"] or 0.0) > self.alpha:
                return f"false alarms ({kind})"
        sure = {test: (row[f"{test}_p_holm"] or 0.0) < alpha for test in FAMILIES}
        if not sure["clock"]:
            return UNSURE
        if (row["clock_difference"] or 0.0) < 0:
            return "worse than the clock"
        verdict = "better than every baseline" if sure["every"] else "better than the clock"
        if (row["nowcast"] or 0.0) >= 0.5:
            verdict += ", a nowcast"
        if not (sure["within"] and (row["within"] or 0.0) > 0.5):
            verdict += ", not shown within a cell"
        return verdict

    def _said(self, records: AuditRecords, design: Design, seeds: int, m: int) -> dict[str, Plain]:
        kinds = {k: int(v.sum()) for k, v in design.negatives.items()}
        return {
            "method": "rules chosen on other seeds; differences by sign flips of seeds, Holm",
            "alpha": self.alpha,
            "min_lead": self.min_lead,
            "max_lead_share": self.max_lead_share,
            "matched": self.matched,
            "start": self.start,
            "knob": records.knob,
            "n_events": int(design.event.sum()),
            "n_events_without_room": int((records.kind == "event").sum() - design.event.sum()),
            "n_seeds": seeds,
            "n_folds": min(self.n_folds, seeds),
            "n_tests": m,
            "coverage": self.coverage,
            "kinds": ", ".join([*kinds, EARLY]),
            **{f"n_{kind}": n for kind, n in kinds.items()},
            **{f"n_{kind}": int(v.sum()) for kind, v in design.others.items()},
            f"n_{EARLY}": int(design.has_early.sum()),
        }


def _adjust(rows: list[Numbers], m: int) -> None:
    """Write p-values adjusted by Holm; registered tests that are not here count as 1."""
    for name in (f"{test}_p" for test in FAMILIES):
        p = np.array([1.0 if row[name] is None else row[name] for row in rows], dtype=np.float64)
        steps = holm(np.concatenate([p, np.ones(m - p.size)]))
        for row, by_holm in zip(rows, steps.tolist(), strict=False):
            row[f"{name}_holm"] = by_holm
