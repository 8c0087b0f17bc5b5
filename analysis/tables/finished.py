"""Rows of runs that did not finish, by the column in which trackers say so."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from observatory.analysis.tables.columns import PREFIXES
from observatory.analysis.tables.values import Mask
from observatory.core.errors import ConfigError

_COLUMNS = ("state", "status", "run_state", "run_status", "job_state", "trial_state")
_FINISHED = re.compile(r"|finish(ed)?|completed?|done|success(ful)?|succeeded|ok")
_UNFINISHED = re.compile(
    r"fail(ed|ure)?|error(ed)?|crash(ed)?|kill(ed)?|running|preempt(ed|ing)|pending|scheduled|"
    r"queued|requeued|waiting|start(ed|ing)|suspended|cancell?ed( by \d+)?|abort(ed)?|stopped|"
    r"interrupted|incomplete|unfinished|timeout|time ?limit|node_fail|out_of_memory|oom|pruned"
)
"""What W&B, MLflow, Optuna, Ray and SLURM write, in small letters."""


def finished_rows(frame: pd.DataFrame, named: Iterable[object] = ()) -> pd.DataFrame:
    """The rows of runs that finished, all of them where no column says which did.

    A run that failed, was killed or still runs is no observation of its whole record: counted as
    one, it would be a run without the event. It is left out with the event too: to keep those alone
    would raise the rate. What is left out is counted in `attrs["caveats"]`.

    Args:
        frame: Any table.
        named: Options of the user; a column that one of them names is left to that option.

    Raises:
        ConfigError: If no run finished.

    Example:
        >>> runs = pd.DataFrame({"lr": [0.1, 0.2], "State": ["finished", "crashed"]})
        >>> finished = finished_rows(runs)
        >>> finished["lr"].tolist(), finished.attrs["caveats"]
        ([0.1], ['Rows whose State is crashed (1) are left out: they did not finish.'])
    """
    asked = " ".join(str(value) for value in named if value is not None)
    kept, said = np.ones(len(frame), dtype=np.bool_), list[str]()
    for name in map(str, frame.columns):
        if _bare(name) not in _COLUMNS or re.search(rf"(?<!\w){re.escape(name)}(?!\w)", asked):
            continue
        words = [str(cell).strip().lower() for cell in frame[name].fillna("")]
        open_words = {word for word in words if _UNFINISHED.fullmatch(word)}
        if not all(_FINISHED.fullmatch(word) for word in set(words) - open_words):
            continue  # words of another kind: a column that says something else
        ended = np.array([word not in open_words for word in words], dtype=np.bool_)
        counts = {word: words.count(word) for word in sorted(open_words)}
        if counts:
            what = " or ".join(f"{word} ({n})" for word, n in counts.items())
            said.append(f"Rows whose {name} is {what} are left out: they did not finish.")
        kept &= ended
    if not said:
        return frame
    return _taken(frame, kept, said)


def _taken(frame: pd.DataFrame, kept: Mask, said: list[str]) -> pd.DataFrame:
    if not kept.any():
        raise ConfigError(
            f"No run of the table finished. {' '.join(said)} Wait for them, or rename the column "
            "to count them all the same."
        )
    found = pd.DataFrame(frame.loc[kept]).reset_index(drop=True)
    found.attrs = {**frame.attrs, "caveats": [*frame.attrs.get("caveats", ()), *said]}
    return found


def _bare(name: str) -> str:
    """The name of a column in small letters, without the prefix of a tracker."""
    lowest = name.lower()
    return next(
        lowest.removeprefix(prefix) for prefix in PREFIXES[::-1] if lowest.startswith(prefix)
    )
