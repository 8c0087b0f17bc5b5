"""Whether an arm of a comparison does better at another learning rate than its own."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from observatory.analysis.stats.solvers import fisher_p
from observatory.analysis.tables.outcomes import numbers
from observatory.store.reader import Study


def rate_remarks(study: Study, event: str, level: float) -> Iterator[str]:
    """A sentence for each arm whose learning rate was checked.

    At every learning rate lr x weight decay takes the same values, so that weights shrink at the
    same pace.

    Args:
        study: Runs named "ARM, lr = X" of a comparison; of each arm all have the same number of
            weight decays and seeds.
        event: Name of an event preset.
        level: A rate of events is another where Fisher's exact p-value is below 1 - level.
    """
    frames = [
        run.outcomes().assign(
            arm=run.manifest["config"]["compare"]["arm"].rpartition(", lr = ")[0],
            of_arm=run.manifest["config"]["compare"]["own"],
            place=run.manifest["config"]["compare"]["place"],
        )
        for run in study.runs
    ]
    table = pd.concat(frames, ignore_index=True).sort_values("place")
    for arm, rows in table.groupby("arm", sort=False):
        yield _remark(str(arm), rows, event, level)


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
        else f"None of the others has more of them than its own, {chosen:.3g}."
    )
    return f"{arm}: {', '.join(words)}. {verdict}"
