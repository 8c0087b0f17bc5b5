"""Made-up tables through the finite-size chain: what it calls crossovers and transitions."""

import numpy as np

from observatory.analysis.scaling.estimators.sample import SizedRows, in_cells
from observatory.analysis.scaling.estimators.sharpening import sharpening_link
from tests.made_sizes import QUICK, chain, limited, scaled, thresholds
from tests.statistical.stored import Calibration, Outcome

KINDS = ("fixed", "drifting", "thresholds")
LIMITED = ((0.3, 0.02, 64.0, 20), (0.15, 0.01, 160.0, 10), (0.15, 0.01, 256.0, 20))
"""Noise, width, rest, seeds: half to 80 % of the largest size's width stay for ever."""
TRUTH = {"critical": 0.4, "inverse_nu": 0.75, "zeta_over_nu": 0.25}
SOURCES = ("scaling/estimators", "stats")
FINE = chain(**{**QUICK, "n_null": 99})
"""With so many smooth crossovers that a p-value below 0.05 comes in 4 %."""


def crossover(kind: str, rng: np.random.Generator) -> SizedRows:
    """A smooth crossover of 5 sizes, 15 values of the control and 20 seeds."""
    if kind == "thresholds":
        return thresholds(rng)
    drift = 0.02 if kind == "drifting" else 0.0
    return scaled(rng, inverse_nu=0.0, drift=drift, n_control=15, n_seeds=20)


def verdict(rows: SizedRows, seed: int) -> str:
    """The verdict of the chain."""
    return str(FINE.estimate(rows, seed).extras["verdict"])


def sharpens(rows: SizedRows, seed: int) -> bool:
    """The verdict of the first link alone, as the chain with this seed comes to it."""
    link = sharpening_link(
        in_cells(rows, FINE.min_seeds)[0],
        FINE.se_floor,
        (FINE.n_centres, FINE.n_widths),
        (FINE.n_bootstrap, FINE.n_null),
        FINE.least_exponent,
        FINE.level,
        np.random.default_rng(seed),
    )[0]
    return link.verdict == "sharpens"


def covers_exponent(number: int, n_seeds: int) -> bool:
    """Whether the interval of the width's exponent holds it, in a table of so many seeds."""
    rows = scaled(
        np.random.default_rng([161, n_seeds, number]),
        inverse_nu=TRUTH["inverse_nu"],
        zeta_over_nu=TRUTH["zeta_over_nu"],
        n_control=15,
        n_seeds=n_seeds,
    )
    found = sharpening_link(
        in_cells(rows, FINE.min_seeds)[0],
        FINE.se_floor,
        (FINE.n_centres, FINE.n_widths),
        (100, 2),
        FINE.least_exponent,
        FINE.level,
        np.random.default_rng(number),
    )[1].params["sharpening"]
    assert found.ci_low is not None
    assert found.ci_high is not None
    return found.ci_low <= TRUTH["inverse_nu"] <= found.ci_high


def outcome(rows: SizedRows, seed: int) -> Outcome:
    """Whether the chain calls it a transition, and its intervals."""
    found = chain(**QUICK).whole(rows, seed)
    result: Outcome = {"transition": found.extras["verdict"] == "transition"}
    for name in TRUTH:
        limits = found.params[name]
        result |= {f"{name}_low": limits.ci_low, f"{name}_high": limits.ci_high}
    return result


def with_a_limit(number: int) -> Outcome:
    """A width w0 (1 + c / L) through the chain."""
    rng = np.random.default_rng([54, number])
    return outcome(limited(rng, *LIMITED[number % len(LIMITED)]), number)


def transition(number: int) -> Outcome:
    """A planted transition through the chain."""
    planted = {"inverse_nu": TRUTH["inverse_nu"], "zeta_over_nu": TRUTH["zeta_over_nu"]}
    rng = np.random.default_rng([53, number])
    return outcome(scaled(rng, **planted, n_control=41, n_seeds=20), number)


STORED = (
    Calibration("chain_limit", 100, with_a_limit, SOURCES),
    Calibration("chain_transition", 100, transition, SOURCES),
)
