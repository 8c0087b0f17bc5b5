"""Whether an arm of a comparison does better at another learning rate than its own."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from observatory.analysis.stats.solvers import fisher_p
from observatory.analysis.tables.outcomes import numbers
from observatory.store.reader import Run


def rate_remarks(runs: Mapping[tuple[str, float], Run], event: str, level: float) -> Iterator[str]:
    """A sentence for each arm whose learning rate was checked.

    At every learning rate lr x weight decay takes the same values, so that weights shrink at the
    same pace.

    Args:
        runs: By arm and factor of its learning rate, 1 among them; of each arm all have as many
            weight decays and seeds.
        event: Name of an event preset.
        level: A rate of events is another where Fisher's exact p-value is below 1 - level.
    """
    for arm in dict.fromkeys(arm for arm, _ in runs):
        own = [r.outcomes().assign(of_arm=f == 1.0) for (a, f), r in runs.items() if a == arm]
        yield _remark(arm, pd.concat(own, ignore_index=True), event, level)


def _remark(arm: str, rows: pd.DataFrame, event: str, level: float) -> str:
    counts, words = dict[float, list[int]](), list[str]()
    for lr in sorted({*numbers(rows, "lr").tolist()}):
        own = pd.DataFrame(rows[numbers(rows, "lr") == lr])
        time = numbers(own, f"{event}_hi")
        seen = int(np.isfinite(time).sum())
        pace = float(np.median(np.nan_to_num(time, nan=np.inf) * numbers(own, "weight_decay") * lr))
        counts[lr] = [seen, len(own) - seen]
        half = f" (median lr x weight decay x t {pace:.3g})" if np.isfinite(pace) else ""
        words.append(f"{seen} of {len(own)} at lr {lr:.3g}{half}")
    chosen = float(rows.loc[rows["of_arm"].astype(bool), "lr"].iloc[0])
    better = [
        lr
        for lr, (seen, left) in counts.items()
        if seen * sum(counts[chosen]) > counts[chosen][0] * (seen + left)
        and fisher_p([counts[lr], counts[chosen]]) < 1.0 - level - 1e-12
    ]
    verdict = (
        f"More networks have the event at {', '.join(f'{lr:.3g}' for lr in better)}: compare the "
        "arms at their best learning rates."
        if better
        else f"No other has significantly more of them than its own, {chosen:.3g}; so few networks "
        "show large differences only."
    )
    return f"{arm}: {', '.join(words)}. {verdict}"
