"""Nominal error of the finite-size chain on made-up tables; seeded and never rerun."""

from collections import Counter

import numpy as np
import pytest

from tests.power import Rate, states
from tests.statistical import chain_studies
from tests.statistical.chain_studies import (
    KINDS,
    TRUTH,
    covers_exponent,
    crossover,
    sharpens,
    verdict,
)
from tests.statistical.stored import Calibration

pytestmark = pytest.mark.slow

LIMIT, TRANSITION = chain_studies.STORED
PER_KIND = Rate(100, 0.05, "above")
ALL_KINDS = Rate(300, 0.05, "above")
CALLED = Rate(100, 0.05, "above")
COVERED = Rate(100, 0.95, "both")
FOUND = Rate(100, 0.7, "below")
FEW = Rate(80, 0.9, "below")


@pytest.fixture(scope="module")
def sharpening() -> dict[str, list[bool]]:
    """Whether each crossover sharpens, by kind and seed."""
    return {
        kind: [sharpens(crossover(kind, np.random.default_rng([51, k, s])), s) for s in range(100)]
        for k, kind in enumerate(KINDS)
    }


@states(PER_KIND)
@pytest.mark.parametrize("kind", KINDS)
def test_smooth_crossovers_sharpen_at_the_nominal_rate(
    sharpening: dict[str, list[bool]], kind: str
) -> None:
    """H0: a width that does not depend on size is called sharpening in at most 5 %.

    99 smooth crossovers and 60 resamples for each table, seeds [51, kind, table].
    n = 100, H0 rate at most 0.05, alpha = 0.001: accepts at most 13, catches 0.167.
    """
    assert PER_KIND.accepts(sum(sharpening[kind]))


@states(ALL_KINDS)
def test_smooth_crossovers_are_not_called_transitions_above_the_nominal_rate(
    sharpening: dict[str, list[bool]],
) -> None:
    """H0: the chain calls a smooth crossover a transition in at most 5 %, all kinds together.

    A transition must sharpen: the rest of the chain is asked where that is so, and on two tables of
    each kind where it is not. Seeds as above.
    n = 300, H0 rate at most 0.05, alpha = 0.001: accepts at most 28, catches 0.110.
    """
    called = Counter[str]()
    for k, kind in enumerate(KINDS):
        whether = np.array(sharpening[kind])
        for s in [*np.flatnonzero(whether), *np.flatnonzero(~whether)[:2]]:
            found = verdict(crossover(kind, np.random.default_rng([51, k, int(s)])), int(s))
            called[found] += 1
            assert whether[s] or found != "transition"
    assert ALL_KINDS.accepts(called["transition"])


@pytest.mark.statistical
@pytest.mark.parametrize("stored", chain_studies.STORED, ids=lambda each: each.name)
def test_stored_tables_are_what_they_are_now(stored: Calibration) -> None:
    """No rate: a part of the stored tables, drawn by a digest of the code, is fitted again."""
    assert stored.stale(3) == []


@states(CALLED)
def test_a_width_that_tends_to_a_limit_is_not_called_a_transition() -> None:
    """H0: the chain calls a width w0 (1 + c / L) a transition in at most 5 %.

    Half to 80 % of the largest size's width stay; few draws each, seeds [54, table], stored.
    n = 100, H0 rate at most 0.05, alpha = 0.001: accepts at most 13, catches 0.167.
    """
    assert CALLED.accepts(sum(row["transition"] is True for row in LIMIT.outcomes()))


@states(COVERED)
@pytest.mark.parametrize("name", TRUTH)
def test_a_planted_transition_is_covered(name: str) -> None:
    """H0: the 95 % intervals of critical point, 1 / nu and zeta / nu cover each in 95 %.

    Tables of 41 values of the control and 20 seeds, 60 resamples each, seeds [53, table], stored.
    n = 100, H0 rate 0.95, alpha = 0.001: accepts 87 to 100, catches 0.833.
    """
    rows = TRANSITION.outcomes()
    low, high = (np.array([float(row[f"{name}_{end}"]) for row in rows]) for end in ("low", "high"))
    assert COVERED.accepts(int(((low <= TRUTH[name]) & (TRUTH[name] <= high)).sum()))


@states(FOUND)
def test_a_planted_transition_is_mostly_called_one() -> None:
    """H0: it is called a transition in at least 70 %; tables and seeds as above.

    n = 100, H0 rate at least 0.7, alpha = 0.001: accepts at least 55, catches 0.503.
    """
    assert FOUND.accepts(sum(row["transition"] is True for row in TRANSITION.outcomes()))


@states(FEW)
def test_five_seeds_cover_the_exponent_of_the_width() -> None:
    """H0: the 95 % interval of the exponent of the width covers it in at least 90 %.

    Tables of five sizes, 15 values of the control and five seeds, 100 resamples each, seeds
    [161, 5, table]. Percentiles of the resamples covered 0.71.
    n = 80, H0 rate at least 0.9, alpha = 0.001: accepts at least 63, catches 0.740.
    """
    assert FEW.accepts(sum(covers_exponent(number, 5) for number in range(80)))
