"""Order parameters of the heads against weight decay, and the late part of long records."""

import numpy as np
import pandas as pd

from observatory.analysis.curves.figure_order_parameters import order_parameters_figure
from observatory.analysis.page.drawing import Drawing, NotDrawn, context, marks
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, evenly, select, where, words
from observatory.analysis.page.wording import plural
from observatory.analysis.training.figure_tail import tail_figure
from observatory.analysis.training.heads import LAST, PEAK, TABLE, head_readings

_TAIL = {
    "val_acc": "val accuracy (0–1)",
    "s_bar": "s_bar",
    "sigma_h": "sigma_h (nats)",
    "pr_norm": "PR_norm",
}
LONG = 4.0
"""A record is long that goes on to this many times its own time to grok."""
_MAX_TAILS, MAX_LINES = 3, 8
"""Weight decays in the late part, and replicas of each."""
MAX_POINTS = 400
"""Looks of one line; of more, as many are chosen evenly."""


def draw_order_parameters(facts: Facts) -> Drawing | NotDrawn:
    """PR_norm and similarity at the end, the peak of the entropy spread, against weight decay."""
    what = "Order parameters of the heads against weight decay"
    made = head_readings(facts)
    titles = {**LAST, **PEAK}
    if made is None:
        return NotDrawn(what, facts.group.why_missing("attention"))
    found = {n: title for n, title in titles.items() if np.isfinite(column(made, n)).any()}
    if not found:
        return NotDrawn(what, "its readings are not defined, as with one head")
    return Drawing(
        name="order-parameters",
        title=what,
        caption=(
            "Attention heads on the probe examples, averaged over layers, a grey dot per replica "
            "(spread sideways); blue dot and bar: median and quartiles of a weight decay. "
            "Normalised participation ratio PR_norm (dimensionless; 1: heads vary in all "
            "directions alike, 0: in one) and similarity s_bar (dimensionless) at the last "
            "evaluation; largest spread of entropies sigma_h (nats) of its record. A longer record "
            f"has a larger peak by chance alone. 0 is left of the axis break. {context(facts)}"
        ),
        figure=order_parameters_figure(made, found),
    )


def draw_tail(facts: Facts) -> Drawing | None:
    """Replicas that went on long after they grokked, one by one; None where there are none."""
    times = facts.times
    long = (words(times, "end") == "grokked") & (
        column(times, "watched") >= LONG * column(times, "t_hi")
    )
    kept = where(times, long)
    decays = evenly(np.unique(column(kept, "weight_decay")).tolist(), _MAX_TAILS)
    chosen = where(kept, np.isin(column(kept, "weight_decay"), decays))
    chosen = pd.DataFrame(chosen.groupby("weight_decay").head(MAX_LINES)).reset_index(drop=True)
    if chosen.empty:
        return None
    chosen["line"] = np.arange(len(chosen))
    start = min(marks(facts)[decay] for decay in decays)
    end = float(column(chosen, "watched").max())
    tables: dict[str, pd.DataFrame] = {}
    for name in _TAIL:
        source = "evaluation" if name == "val_acc" else TABLE
        if (
            name in facts.group.columns(source)
            and (frame := facts.group.table(source, [name])) is not None
        ):
            tables[name] = _lines(frame, chosen, name, start)
    shown = {name: text for name, text in _TAIL.items() if name in tables}
    return Drawing(
        name="tail",
        title="Long after grokking",
        caption=(
            f"Late training of {len(chosen)} {plural(len(chosen), 'replica')} watched to at least "
            f"{LONG:g} times their own time to grok, a line each (at most {MAX_LINES} per weight "
            f"decay), on a linear axis of optimizer steps from {start:.0f}, the smallest median "
            "time to grok among these weight decays. Val accuracy, and "
            "order parameters of the heads (dimensionless but for sigma_h), layer means on the "
            f"probe examples. {context(facts)}"
        ),
        figure=tail_figure(tables, shown, (start, end), decays),
    )


def _lines(frame: pd.DataFrame, chosen: pd.DataFrame, name: str, start: float) -> pd.DataFrame:
    """Readings of the chosen replicas from `start` on, thinned evenly."""
    keys = ["run_id", "replica"]
    own = frame.merge(select(chosen, [*keys, "line", "weight_decay"]), on=keys)
    own = where(own, column(own, "step") >= start)
    pieces = [
        part.iloc[np.unique(np.linspace(0, len(part) - 1, min(len(part), MAX_POINTS)).round())]
        for _, part in own.groupby("line")
    ]
    made = pd.concat(pieces, ignore_index=True) if pieces else own
    return pd.DataFrame(
        {
            "replica": made["line"],
            "weight_decay": made["weight_decay"],
            "step": made["step"],
            "value": column(made, name),
        }
    )
