"""Many made-up studies compared, for what the verdicts of a forecast promise.

`python -m tests.statistical.forecast_studies 200` prints the numbers of docs/forecast.md; names
of sets after the number choose among them.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from observatory.analysis.fit.settings import fit_nodes
from observatory.analysis.forecast.estimators.comparison import ForecastComparison
from observatory.analysis.stats.estimate import Estimate
from observatory.core.errors import FitRefusedError
from tests.made_forecasts import Made
from tests.statistical.stored import Calibration, Outcome

UNSKILLED = ("nothing", "nothing_else", "clock_copy", "decay_on")
SKILLED = ("precursor", "nowcast")
SETS = {
    "negatives": Made(),
    "events only": Made(
        n_seeds=16, rate=1.0, twins=False, cells=(0.1, 0.3, 1.0), times=(400.0, 3900.0)
    ),
    "even": Made(even=2.0),
}
"""Matched negatives; none, so that the clock has skill; and a baseline as good as a signal."""


def comparison(**changes: object) -> ForecastComparison:
    """The comparison of conf/fit, some numbers changed, with few draws."""
    node = fit_nodes()["forecast"]
    del node["_target_"]
    return ForecastComparison(
        **{
            **node,
            "n_bootstrap": 399,
            "n_permutations": 99,
            "n_flips": 1999,
            "min_events": 10,
            **changes,
        }
    )


def verdict(found: Estimate, name: str) -> str:
    return str(found.table[name]["verdict"])


def number(found: Estimate, name: str, column: str) -> float:
    value = found.params[name].value if column == "detects" else found.table[name][column]
    return float("nan") if value is None else float(value)


def print_table(n: int, labels: Sequence[str]) -> None:
    """Verdicts and held-out false alarms over `n` studies of each set."""
    for label in labels or SETS:
        made = SETS[label]
        signals = ("even",) if made.even else (*UNSKILLED, *SKILLED)
        told: Mapping[str, Counter[str]] = {name: Counter() for name in signals}
        sums: dict[str, np.ndarray] = {name: np.zeros(7) for name in signals}
        wrong = refused = 0
        for seed in range(n):
            try:
                found = comparison().estimate(made.records(seed, signals), seed)
            except FitRefusedError:
                refused += 1
                continue
            wrong += wrongly_better(found, signals)
            for name in signals:
                told[name][verdict(found, name)] += 1
                sums[name] += counts(found, name)
        print(f"{label}: wrongly better in {wrong} of {n - refused}")
        for name in signals:
            hits, events, false, negatives, times, covered, flips = sums[name]
            print(f"  {name}: forecast {hits / events:.3f}, false alarms {false / negatives:.4f}")
            print(f"    {dict(told[name])}")
            print(f"    event times covered {covered / max(times, 1):.3f} of {times:.0f}")
            print(f"    flips alone tell it from the best baseline in {flips:.0f} studies")


def wrongly_better(found: Estimate, signals: Sequence[str]) -> bool:
    """Whether a signal without skill is better than the clock, or an even one than its equal."""
    flat = [name for name in signals if name in UNSKILLED]
    if any(verdict(found, name).startswith("better") for name in flat):
        return True
    return "even" in signals and verdict(found, "even").startswith("better than every")


def counts(found: Estimate, name: str) -> np.ndarray:
    """Hits, events, false alarms, negatives, times told and covered, p of flips below 0.05."""
    kinds = str(found.extras["kinds"]).split(", ")
    false = [sum(number(found, name, f"{x}_{kind}") for kind in kinds) for x in ("false", "n")]
    hits = [number(found, name, "hits"), number(found, name, "events")]
    times = np.nan_to_num([number(found, name, f"time_{x}") for x in ("n", "covered")])
    flips = number(found, name, "best_flips_p") < 0.05
    return np.array([*hits, *false, times[0], times[0] * times[1], flips])


JUDGED = ("nothing", "clock_copy", "decay_on")
"""The signals without skill of the stored studies."""


def skill(seed: int) -> Outcome:
    """Whether a signal without skill is better in a study, and what of the precursor."""
    records = SETS["negatives"].records(seed, (*JUDGED, "precursor"))
    found = comparison(n_bootstrap=199).estimate(records, seed)
    return {
        "wrong": wrongly_better(found, JUDGED),
        "better": verdict(found, "precursor").startswith("better than every baseline"),
        "lead": number(found, "precursor", "lead"),
        **{f"p_{name}": number(found, name, "clock_p") for name in JUDGED},
    }


def evenness(seed: int) -> Outcome:
    """Whether a signal as good as a baseline is called better than every baseline in a study."""
    found = comparison(n_bootstrap=99).estimate(SETS["even"].records(seed, ("even",)), seed)
    p = {f"p_{rival}": number(found, "even", f"{rival}_p") for rival in ("clock", "best")}
    return {"wrong": wrongly_better(found, ("even",)), **p}


SOURCES = ("forecast/estimators", "stats")
STORED = (
    Calibration("forecast_skill", 300, skill, SOURCES),
    Calibration("forecast_even", 150, evenness, SOURCES),
)


if __name__ == "__main__":
    print_table(int(sys.argv[1]), sys.argv[2:])
