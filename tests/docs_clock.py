"""What docs/clock.md says of its runs, from their tables in docs/examples.

`python -m tests.docs_clock RESULTS` writes the tables of the finished studies under RESULTS.
"""

import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import observatory as ob
from observatory.analysis.tables.outcomes import replicas_table
from observatory.core.errors import FitRefusedError

TABLES = Path(__file__).parents[1] / "docs" / "examples"
STUDIES = {
    "clock": "transformer, addition, AdamW",
    "clock_mul": "transformer, multiplication, AdamW",
    "clock_mlp": "MLP, addition, AdamW",
    "clock_lstm": "LSTM, addition, AdamW",
    "clock_mamba": "Mamba, addition, AdamW",
    "clock_muon": "transformer, addition, Muon",
    "clock_sgd": "MLP, addition, SGD with momentum",
}
"""By name of the study, which is the name of its table."""
HORIZONS = (20_000, 10_000)
WITHOUT_SMALLEST = "lr > 0.002"
PUBLISHED = (
    (3e-4, 3.0, 25_500), (1e-3, 1.0, 52_500), (1e-3, 3.0, 8200), (3e-3, 0.1, 49_500),
    (3e-3, 1.0, 8500), (1e-2, 0.1, 62_900), (1e-2, 1.0, 6300),
    (3e-4, 0.1, None), (3e-4, 1.0, None), (1e-3, 0.1, None),
)  # fmt: skip
"""Learning rate, weight decay and step of 95% held, None within 1e5, of Na00s/muon-grokking."""


def store(results: Path) -> None:
    """A row per replica of every finished study: where it stood, and when it had the event."""
    for name in STUDIES:
        if not (results / name).is_dir():
            continue
        found = ob.Study(results / name).replicas()
        if found["outcome"].isna().to_numpy().any():
            print(f"{name} is not finished", file=sys.stderr)
            continue
        columns = ["lr", "weight_decay", "seed", "outcome", "steps_watched", "t_mem_hi"]
        columns += [f"first99_{part}" for part in ("lo", "hi", "observed")]
        kept = replicas_table(found)[columns].sort_values(by=columns[:3])
        kept.to_csv(TABLES / f"{name}.csv", index=False)


def tables() -> dict[str, Path]:
    """Tables that are stored, by study."""
    found = {name: TABLES / f"{name}.csv" for name in STUDIES}
    return {name: path for name, path in found.items() if path.exists()}


@cache
def record(name: str, horizon: int, where: str | None) -> Mapping[str, Any] | str:
    """The record of `observatory fit clock`, or why there is none."""
    try:
        return ob.fits.clock(tables()[name], horizon_steps=horizon, where=where).record
    except FitRefusedError as error:
        return str(error)


def interval(found: Mapping[str, Any], name: str) -> str:
    p = found["params"][name]
    return f"{p['value']:.2f} [{p['ci_low']:.2f}, {p['ci_high']:.2f}]"


def verdicts() -> str:
    """A row per study and horizon; of the first one also without its smallest learning rate."""
    heads = ("networks", "horizon", "had the event", "b", "c", "λc of the best law that has one",
             "smallest boundary", "answer")  # fmt: skip
    rows = ["", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    asked = [(name, None) for name in tables()]
    for name, where in (*asked[:1], ("clock", WITHOUT_SMALLEST), *asked[1:]):
        table = pd.read_csv(tables()[name])
        table = table if where is None else table.query(where)
        label = STUDIES[name] + (f", `{where}`" if where else "")
        for horizon in HORIZONS:
            found, event = record(name, horizon, where), int((table["first99_hi"] <= horizon).sum())
            start = f"| {label} | {horizon} | {event} of {len(table)} |"
            if isinstance(found, str):
                rows.append(f"{start} | | | | refused |")
                continue
            extras, critical = found["extras"], found["params"]["critical"]
            rows.append(
                f"{start} {interval(found, 'lr_slope')} | {interval(found, 'horizon_slope')} "
                f"| {critical['value']:.2g} [{critical['ci_low']:.2g}, {critical['ci_high']:.2g}] "
                f"| {extras['smallest_boundary']:.2g} | {extras['verdict']} |"
            )
    return "\n".join([*rows, ""])


def decay_times(name: str) -> str:
    """A row per lr x weight decay x T: at each learning rate who had the event, and lr λ t."""
    table = pd.read_csv(tables()[name])
    place = table.groupby("lr")["weight_decay"].rank("dense")
    rates = sorted(set(table["lr"]))
    rows = ["", "| lr × λ × T | " + " | ".join(f"lr = {lr:g}" for lr in rates) + " |"]
    rows.append("|" + "---|" * (1 + len(rates)))
    for _, own in table.groupby(place):
        cells = []
        for lr in rates:
            cell = own.loc[own["lr"] == lr]
            seen = int(cell["first99_hi"].notna().sum())
            times = cell["first99_hi"].fillna(np.inf) * cell["lr"] * cell["weight_decay"]
            half = f": {np.median(times):.2f}" if 2 * seen > len(cell) else ""
            cells.append(f"{seen} of {len(cell)}{half}")
        pace = (own["lr"] * own["weight_decay"]).median() * HORIZONS[0]
        rows.append(f"| {pace:.2g} | {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def alike_in_pace() -> str:
    """Who had the event where lr x weight decay x T is 5.5 or more, by learning rate."""
    table = pd.read_csv(tables()["clock"])
    own = table[table["lr"] * table["weight_decay"] * HORIZONS[0] > 5.5]
    slow, fast = own[own["lr"] < 0.002], own[own["lr"] > 0.002]
    counts = [f"{part['first99_hi'].notna().sum()} of {len(part)}" for part in (fast, slow)]
    return f"{counts[0]} networks at the two larger learning rates, {counts[1]} at the smallest"


def sgd_laws() -> str:
    """How much worse the best law of a threshold alone is, by Akaike's criterion."""
    found = record("clock_sgd", HORIZONS[0], None)
    assert not isinstance(found, str)
    scores = {name: row["aic_lognormal"] for name, row in found["table"].items()}
    alone = min(scores[name] for name in ("threshold", "threshold_constant"))
    return (
        f"the best law of a threshold alone has an AIC {alone - scores['clock']:.0f} above that of "
        f"C / (lr λ)^a, and the best of all {scores['clock'] - min(scores.values()):.1f} below"
    )


def published_pace() -> str:
    """lr x weight decay x t of the published grid, and where its boundary lies."""
    seen = [(lr * decay * t, lr * decay) for lr, decay, t in PUBLISHED if t]
    never = [lr * decay for lr, decay, t in PUBLISHED if not t]
    times = [decay_time for decay_time, _ in seen]
    return (
        f"lr × λ × t is {min(times):.0f} to {max(times):.0f} in the {len(seen)} networks that "
        f"generalised, all at lr × λ of {min(p for _, p in seen):.1g} or above, and the "
        f"{len(never)} that did not are at {max(never):.1g} or below"
    )


def published_delays() -> str:
    """lr x weight decay x t of arXiv:2603.13331, and of its two weight decays without an event."""
    lr, budget = 1e-3, 50_000
    seen = {0.1: 12_700, 0.3: 4900, 0.5: 3150, 1.0: 2100}
    paces = ", ".join(f"{lr * decay * t:.1f}" for decay, t in seen.items())
    never = " and ".join(f"{lr * decay * budget:g}" for decay in (0.001, 0.01))
    return f"lr × λ × t is {paces} at λ = {', '.join(map(str, seen))}; by its end {never}"


NUMBERS: dict[str, Callable[[], str]] = {
    "clock_verdicts": verdicts,
    "clock_decay_times": lambda: decay_times("clock"),
    **{
        f"clock_decay_times_{part}": partial(decay_times, f"clock_{part}")
        for part in ("mul", "mlp", "lstm", "mamba", "muon", "sgd")
    },
    "clock_sgd_laws": sgd_laws,
    "clock_alike_in_pace": alike_in_pace,
    "clock_published": published_pace,
    "clock_published_delays": published_delays,
}


if __name__ == "__main__":
    store(Path(sys.argv[1]))
