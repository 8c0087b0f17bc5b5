"""How often the clock's verdict is right: studies of the size of conf/experiment/clock.yaml.

`python -m tests.statistical.clock_studies 200` prints the tables of docs/clock.md, names of
generators after it only these rows; `... slopes 200` what the slopes alone say, in a tenth of the
time. `... pair 200` has the size of conf/experiment/clock_pair.yaml.
"""

import sys
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from observatory.analysis.clock.estimators.boundary import boundary_plane
from observatory.analysis.clock.estimators.clock import Clock, evidence_of
from observatory.analysis.clock.estimators.curves import smallest_boundary
from observatory.analysis.clock.estimators.fitting import sample_of
from observatory.analysis.clock.estimators.verdict import claims_of, holds
from observatory.analysis.fit.settings import build, settings_of
from observatory.core.errors import FitRefusedError
from tests.made_clock import BOTH, CLOCK, SHARP, THRESHOLD, MadeClock

CLOCKS = {
    "clock": CLOCK,
    "clock, exponent 0.85": replace(CLOCK, lr_exponent=0.85, decay_exponent=0.85, amplitude=9.63),
    "clock, 600 steps constant": replace(CLOCK, offset=600.0),
    "clock, 2000 steps constant": replace(CLOCK, offset=2000.0),
    "clock, Weibull": replace(CLOCK, distribution="weibull"),
    "clock, wide scatter that widens, curved": replace(CLOCK, noise=0.45, widening=0.15, bend=0.02),
    "clock, all scatter of the seed": replace(CLOCK, noise=0.1, seed_sd=0.3),
}
"""Times without a critical point, through lr x weight_decay alone."""
NEITHER = {"lr exponent 0.8, decay exponent 1": replace(CLOCK, lr_exponent=0.8)}
"""Times without a critical point in which the two count differently."""
THRESHOLDS = {"threshold, the boundary still moves": THRESHOLD, "threshold, sharp": SHARP}
BOTHS = {
    "both, critical half of the smallest boundary": BOTH,
    "both, a quarter": replace(BOTH, critical=0.0042),
    "both, wide scatter that widens": replace(BOTH, noise=0.45, widening=0.15),
}
ALL = {**CLOCKS, **NEITHER, **THRESHOLDS, **BOTHS}
"""By what is planted."""
PAIR: dict[str, Any] = {
    "lrs": (0.003, 0.01),
    "decay_times": (2.5, 3.7, 5.6, 8.5, 14.0, 30.0),
    "n_seeds": 5,
}
"""The smaller design: learning rates, lr x weight_decay x horizon, seeds."""


@dataclass(frozen=True)
class Outcome:
    """What one study gave; the verdict by the rule, and if a threshold's boundary may move."""

    verdict: str
    moving: str
    lr_slope: bool | None  # whether the interval of b holds the truth, where there is one
    horizon_slope: bool | None  # likewise of c


def in_pair(made: MadeClock) -> MadeClock:
    """A study of the smaller design; a threshold lies among its weight decays."""
    return replace(made, **PAIR, **({"critical": 0.06} if made.lr_exponent == 0.0 else {}))


def truths(made: MadeClock) -> tuple[float | None, float | None]:
    """Slopes b and c that a law has everywhere, None where they change from place to place."""
    plain = made.critical == 0.0 and made.bend == 0.0 and made.offset == 0.0
    b = made.lr_exponent / made.decay_exponent
    known = made.critical == 0.0 or made.lr_exponent == 0.0
    return (b if known else None), (1.0 / made.decay_exponent if plain else None)


def fit() -> Clock:
    """The estimator with the settings of conf/fit."""
    return build(*settings_of("clock", None))


def judged(made: MadeClock, seed: int) -> Outcome:
    """The verdict on one study, without what only the record needs."""
    clock, rows = fit(), made.rows(seed)
    steps = made.horizon * np.array(clock.horizon_fractions)
    try:
        plane = boundary_plane(rows, steps, clock.level)
    except FitRefusedError:
        return Outcome("refused", "refused", None, None)
    smallest = smallest_boundary(rows, plane)
    b, c = plane.params["lr_slope"], plane.params["horizon_slope"]
    evidence = evidence_of(sample_of(rows))
    verdicts = [
        claims_of(b, c, evidence, smallest, threshold_moves=moves).verdict
        for moves in (clock.threshold_moves, True)
    ]
    inside = [
        None if truth is None else holds(slope, truth)
        for slope, truth in zip((b, c), truths(made), strict=True)
    ]
    return Outcome(verdicts[0], verdicts[1], *inside)


def outcomes(made: MadeClock, n: int, seed: int = 0) -> list[Outcome]:
    """The outcomes of many studies."""
    return [judged(made, seed + i) for i in range(n)]


def print_row(label: str, made: MadeClock, n: int) -> None:
    """Shares of each verdict, and the coverage of both slopes."""
    found = outcomes(made, n)
    for name in ("verdict", "moving"):
        counted = Counter(getattr(one, name) for one in found)
        words = ", ".join(f"{key} {value / n:.3f}" for key, value in sorted(counted.items()))
        print(f"{label:46s} {name:8s} {words}", flush=True)
    for name in ("lr_slope", "horizon_slope"):
        known = [inside for one in found if (inside := getattr(one, name)) is not None]
        if known:
            print(
                f"{label:46s} {name:13s} covered {np.mean(known):.3f} of {len(known)}", flush=True
            )


def print_slopes(label: str, made: MadeClock, n: int) -> None:
    """Of how many studies the intervals of b and c hold 1 and 0, and their truths."""
    clock = fit()
    steps = made.horizon * np.array(clock.horizon_fractions)
    held = Counter[str]()
    for seed in range(n):
        plane = boundary_plane(made.rows(seed), steps, clock.level)
        slopes = zip(
            "bc",
            (plane.params["lr_slope"], plane.params["horizon_slope"]),
            truths(made),
            strict=True,
        )
        for name, slope, truth in slopes:
            held[f"{name} holds 1"] += holds(slope, 1.0)
            held[f"{name} holds 0"] += holds(slope, 0.0)
            if truth is not None:
                held[f"{name} holds the truth"] += holds(slope, truth)
    print(f"{label:46s} of {n}", dict(held), flush=True)


if __name__ == "__main__":
    given, made_as = sys.argv[1:], ALL
    row = print_row
    if given[0] == "pair":
        made_as, given = {name: in_pair(made) for name, made in ALL.items()}, given[1:]
    if given[0] == "slopes":
        row, given = print_slopes, given[1:]
    for label in given[1:] or made_as:
        row(label, made_as[label], int(given[0]))
