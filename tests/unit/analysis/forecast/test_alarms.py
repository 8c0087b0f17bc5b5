"""Alarms and scores against slow plain code, and what alarms may not know."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import theilslopes
from statsmodels.stats.proportion import proportion_confint

from observatory.analysis.forecast.estimators import lead_time, thresholds
from observatory.analysis.forecast.estimators.alarm_rules import (
    Design,
    Reach,
    best_rules,
    design_of,
    reaches,
)
from observatory.analysis.forecast.estimators.concordance import (
    at_risk,
    concordance_by_fold,
    held_out_concordance,
)
from observatory.analysis.forecast.estimators.event_times import (
    conformal_radius,
    from_alarms,
    from_clock,
)
from observatory.analysis.forecast.estimators.lead_time import regress_leads, theil_sen
from observatory.analysis.forecast.estimators.records import Signal, SignalRecords
from observatory.analysis.forecast.estimators.scores import share_interval
from observatory.analysis.stats import paired_tests
from observatory.analysis.stats.paired_tests import sign_flip_p
from tests.made_forecasts import Made

TRANSFORMS = ("level", "change", "ratio")
SMALL = Made(n_seeds=6, cells=(0.1, 1.0), horizon=1500, times=(500.0, 1400.0), lead=300.0)


def slow_counts(
    reach: Reach, design: Design, threshold: float, rows: np.ndarray, steps: np.ndarray,
    lead: float, share: float, t_lo: np.ndarray,
) -> tuple[int, dict[str, int]]:  # fmt: skip
    """Hits and false alarms by looking at every look of every replica."""
    hits, false = 0, dict.fromkeys([*design.negatives, "early"], 0)
    for i in np.flatnonzero(rows):
        fired = [s for s, x in zip(steps, reach.path[i], strict=True) if x >= threshold]
        if design.event[i] and fired:
            first = t_lo[i] * (1 - share)
            hits += bool(first <= fired[0] <= t_lo[i] - lead)
            false["early"] += bool(fired[0] < first)
        for kind, mask in design.negatives.items():
            false[kind] += bool(mask[i] and fired)
    return hits, false


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_best_rule_is_the_best_of_all_thresholds(seed: int) -> None:
    records = SMALL.records(seed)
    design = design_of(records, 100.0, 0.5, matched=True)
    rows, alpha = records.seed < 5, 0.2
    for name in ("precursor", "val_loss", "nothing"):
        found = reaches(records.signals[name], design, TRANSFORMS)
        chosen = best_rules(found, design, rows[None].astype(float), alpha)
        level = float(chosen.threshold[0])
        sizes = {k: int((rows & m).sum()) for k, m in design.negatives.items()}
        sizes["early"] = int((rows & design.has_early).sum())
        best = 0
        for reach in found:
            for tried in np.unique(reach.path[np.isfinite(reach.path)]):
                hits, false = slow_counts(
                    reach, design, tried, rows, records.steps, 100.0, 0.5, records.t_lo
                )
                rare = all(false[k] <= alpha * sizes[k] for k in sizes)
                if rare and sum(false.values()) + 1 <= alpha * (sum(sizes.values()) + 1):
                    best = max(best, hits)
        hits = 0
        if np.isfinite(level):
            hits, _ = slow_counts(
                found[int(chosen.which[0])], design, level, rows, records.steps, 100.0, 0.5,
                records.t_lo,
            )  # fmt: skip
        assert hits == best
        fired = chosen.forecast(design)[0] & rows
        assert fired.sum() == hits


def test_an_alarm_knows_nothing_of_what_comes_after_it() -> None:
    records = SMALL.records(3)
    design = design_of(records, 100.0, 0.5, matched=True)
    everyone = np.ones((1, records.n))
    for name in ("precursor", "val_loss"):
        signal = records.signals[name]
        found = reaches(signal, design, TRANSFORMS)
        rules = best_rules(found, design, everyone, 0.2)
        [raised] = rules.alarms(records.steps)
        rng = np.random.default_rng(0)
        after = records.steps[None, :] > np.nan_to_num(raised, nan=1e9)[:, None]
        value = np.where(after, rng.normal(0, 9, signal.value.shape), signal.value)
        change = np.where(after, rng.normal(0, 9, signal.value.shape), signal.change)
        changed = reaches(Signal(value, change, signal.readings), design, TRANSFORMS)
        assert np.isfinite(raised).any()
        [again] = replace(rules, found=changed).alarms(records.steps)
        assert np.array_equal(again, raised, equal_nan=True)


def slow_pairs(signal: Signal, design: Design, records: SignalRecords) -> np.ndarray:
    """1 where the event is higher, 0.5 for ties, NaN where they are no pair, one pair at a time."""
    found = np.full((records.n, records.n), np.nan)
    t_lo = np.where(np.isfinite(records.t_lo), records.t_lo, np.inf)
    for i in np.flatnonzero(design.event):
        look = design.last[i]
        for j in range(records.n):
            if (
                records.kind[j] != "twin"
                and records.control[i] == records.control[j]
                and t_lo[j] > t_lo[i]
                and records.watched[j] >= records.steps[look]
            ):
                a, b = signal.value[i, look], signal.value[j, look]
                found[i, j] = (a > b) + 0.5 * (a == b)
    return found


def test_concordance_is_what_a_loop_over_pairs_finds() -> None:
    records = SMALL.records(4)
    design = design_of(records, 100.0, 0.5, matched=True)
    signal, fold = records.signals["precursor"], records.seed
    slow = slow_pairs(signal, design, records)
    found = concordance_by_fold(signal.value, at_risk(records, design), fold)
    for place, part in enumerate(np.unique(fold)):
        there = slow[:, fold == part]
        assert np.array_equal(found.pairs[:, place], np.isfinite(there).sum(axis=1))
        assert np.array_equal(found.good[:, place], np.nansum(there, axis=1))


def test_concordance_is_scored_without_the_fold_that_chose_its_sign() -> None:
    records = SMALL.records(4)
    design = design_of(records, 100.0, 0.5, matched=True)
    signal, fold = records.signals["precursor"], records.seed
    slow = slow_pairs(signal, design, records)
    found = concordance_by_fold(signal.value, at_risk(records, design), fold)
    good, total = held_out_concordance({"level": found}, fold)
    for part in np.unique(fold):
        train, rows = np.ix_(fold != part, fold != part), fold == part
        higher = np.nansum(slow[rows], axis=1)
        if np.nanmean(slow[train]) < 0.5:
            higher = np.isfinite(slow[rows]).sum(axis=1) - higher
        assert np.array_equal(good[rows], higher)
    assert total.sum() == np.isfinite(slow).sum()
    assert good.sum() / total.sum() > 0.8


def test_pieces_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    records = SMALL.records(5)
    design = design_of(records, 100.0, 0.5, matched=True)
    found = reaches(records.signals["precursor"], design, TRANSFORMS)
    weights = np.random.default_rng(0).poisson(1.0, (40, records.n)).astype(float)
    pairs = np.arange(1.0, 8.0), np.arange(1.0, 8.0) ** 1.5 + 1.0

    def numbers() -> tuple[list[float], list[float]]:
        rules = best_rules(found, design, weights, 0.2)
        flips = sign_flip_p(np.arange(-9.0, 13.0), 4001, np.random.default_rng(1))
        leads = regress_leads(*pairs, 0.05, 101, np.random.default_rng(2))
        return [*rules.which, *rules.threshold], [flips, *leads.values()]

    rules, tests = numbers()
    assert np.isfinite(rules).any()
    monkeypatch.setattr(thresholds, "_PAIRS", 1)
    monkeypatch.setattr(paired_tests, "_FLIPPED", 1000)
    monkeypatch.setattr(lead_time, "_PERMUTED", 50)
    again, tested = numbers()
    assert again == rules
    assert tested == pytest.approx(tests, rel=1e-12)


def test_a_line_through_looks_that_repeat_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    for n in (7, 40, 41):
        x, y = rng.integers(0, 9, n).astype(float), rng.integers(0, 5, n) / 3.0
        assert theil_sen(x, y) == theilslopes(y, x)[0]


@pytest.mark.parametrize(("k", "n"), [(0, 12), (3, 12), (12, 12)])
def test_limits_of_single_replicas_are_those_of_clopper_and_pearson(k: int, n: int) -> None:
    hits = np.array([1.0] * k + [0.0] * (n - k))
    low, high = proportion_confint(k, n, method="beta")
    found = share_interval(hits, np.ones(n), 0.95)
    assert found == pytest.approx((low, high), abs=1e-9)


def test_seeds_that_agree_count_as_fewer_replicas() -> None:
    alike = share_interval(np.array([5.0, 0, 5, 0, 5, 0]), np.full(6, 5.0), 0.95)
    apart = share_interval(np.array([2.0, 3, 2, 3, 2, 3]), np.full(6, 5.0), 0.95)
    assert alike[0] < apart[0]
    assert alike[1] > apart[1]


def test_conformal_intervals_start_where_they_are_made() -> None:
    train = np.array([100.0, 200, 300, 400]), np.array([200.0, 400, 600, 800])
    many = np.tile(train[0], 5), np.tile(train[1], 5) * 1.1
    made = from_alarms(train, many, np.array([250.0]), 0.9)
    assert 250.0 <= made.low[0] <= 500.0 <= made.high[0] * 1.0001
    assert conformal_radius(np.arange(3.0), 0.9) == np.inf
    clock = from_clock(
        (np.zeros(4), train[1]),
        (np.zeros(20), many[1]),
        (np.zeros(2), np.array([500.0, 900.0])),
        0.5,
    )
    assert clock.low[0] >= 500.0
    assert np.isinf(clock.high[1])  # no training event is as late
