"""Made-up replicas with their outcomes, as the run store gives them."""

import numpy as np
import pandas as pd

EVENTS = ("mem", "first99", "verma")


def row(weight_decay, outcome, t=None, watched=2500, diverged=None, untimed=False, **more) -> dict:
    """One replica; `t` is its time to grok, looks are 25 steps apart."""
    seen = {"lo": None if t is None else t - 25.0, "hi": t, "observed": t is not None}
    late = {"lo": None, "hi": None, "observed": True} if untimed else seen
    return {
        "weight_decay": weight_decay,
        "step": None if outcome is None else watched,
        "outcome": outcome,
        "retire_reason": None if outcome is None else "horizon",
        "instant": None if outcome is None else False,
        "diverged_step": diverged,
        **{
            f"mem_{k}": v for k, v in zip(("lo", "hi", "observed"), (50.0, 75.0, True), strict=True)
        },
        **{f"first99_{k}": v for k, v in seen.items()},
        **{f"verma_{k}": v for k, v in late.items()},
        **more,
    }


def frame(rows: list[dict]) -> pd.DataFrame:
    """As `Run.outcomes()` gives it: nullable dtypes, keys first."""
    table = pd.DataFrame(rows).convert_dtypes()
    table.insert(0, "lr", 0.01)
    table.insert(0, "seed", np.arange(len(rows)) % 8)
    table.insert(0, "shard", 0)
    table.insert(0, "replica", np.arange(len(rows)))
    table.insert(0, "run_id", "0123456789ab")
    return table


MIXED = [
    row(0.1, "grokked", t=1000.0, watched=1300),
    row(0.1, "grokked", t=2000.0, watched=2300),
    row(0.1, "lost", t=500.0),
    row(0.1, "memorised"),
    row(1.0, "diverged", t=400.0, diverged=1500, watched=1500),
    row(1.0, "collapsed", t=300.0, watched=1200),
    row(1.0, "grokked", t=200.0, watched=500),
    row(1.0, None),
]


def laptop(n_seeds: int = 8) -> pd.DataFrame:
    """Times 300 / weight_decay with 35 % noise: a boundary that the horizon alone makes."""
    rng = np.random.default_rng(2)
    rows = []
    for weight_decay in (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 10.0):
        for _ in range(n_seeds):
            if weight_decay in (0.0, 10.0):
                rows.append(row(weight_decay, "collapsed" if weight_decay else "memorised"))
                continue
            t = 25.0 * np.ceil(12.0 / weight_decay * np.exp(0.35 * rng.normal()))
            late = t > 2500
            rows.append(
                row(weight_decay, "memorised" if late else "grokked", t=None if late else t)
            )
    return frame(rows)
