"""Figures of what the probes and the evaluation saw over training."""

from typing import Literal

import numpy as np
import pandas as pd

from observatory.analysis.page.bands import aligned
from observatory.analysis.page.decay_axis import MAX_DOTS
from observatory.analysis.page.drawing import Drawing, NotDrawn, banded, context, marks, rule
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.figure_writer import Section
from observatory.analysis.page.frames import column, evenly, select, spread_rows, where, words
from observatory.analysis.page.panels import MAX_PANELS
from observatory.analysis.page.wording import dots_words, plural
from observatory.analysis.training.diagnostics import (
    DIAGNOSTICS,
    LOW_PRECISION,
    WHERE_RECORDED,
    draw_diagnostic,
    metrics_of,
)
from observatory.analysis.training.figures import (
    order_parameters_figure,
    phases_figure,
    tail_figure,
    trajectories_figure,
)
from observatory.analysis.training.heads import LAST, PEAK, TABLE, head_readings
from observatory.analysis.training.mechanism import draw_mechanism
from observatory.store.reader import EVALUATION

_MAX_DECAYS = 4
"""Weight decays in the figure of phases, each with its quartiles."""
_CLOCKS = {"steps / time to memorise": "t_mem", "steps / time to grok": "t_hi"}
_SPAN = (0.1, 10.0)
"""Steps over a replica's own time, between which aligned curves are drawn."""


def training_sections(facts: Facts) -> list[Section]:
    """Trajectories, phases, a figure per family of diagnostics, order parameters, the late part.

    Of observed runs, their own metrics and the diagnostics: all others are of our tasks.
    """
    recorded = [
        shown
        for shown in WHERE_RECORDED
        if any(facts.group.columns(f"probes/{panel.probe}") for panel in shown.panels)
    ]
    if facts.group.observed:
        asked = [LOW_PRECISION] if facts.group.columns("probes/low_precision") else []
        given = [metrics_of(facts)] if facts.group.columns(EVALUATION) else []
        return [
            lambda shown=shown: [draw_diagnostic(facts, shown)]
            for shown in (*given, *DIAGNOSTICS, *recorded, *asked)
        ]
    return [
        lambda: [_trajectories(facts, "acc")],
        lambda: [_trajectories(facts, "loss")],
        lambda: [_phases(facts)],
        *(
            lambda shown=shown: [draw_diagnostic(facts, shown)]
            for shown in (*DIAGNOSTICS, *recorded)
        ),
        lambda: draw_mechanism(facts),
        lambda: [draw_order_parameters(facts)],
        lambda: [tail for tail in [draw_tail(facts)] if tail is not None],
    ]


def _trajectories(facts: Facts, kind: Literal["acc", "loss"]) -> Drawing | NotDrawn:
    title = f"Training trajectories: {'accuracy' if kind == 'acc' else 'loss'}"
    made = banded(facts, "evaluation", [f"train_{kind}", f"val_{kind}"])
    if made is None:
        return NotDrawn(title, "the evaluation table is empty")
    unit, axes = "accuracy (0–1)", "axis"
    if kind == "loss":
        unit, axes = f"loss ({facts.group.unit('evaluation', 'train_loss')})", "axes"
    return Drawing(
        name=f"trajectories-{kind}",
        title=title,
        caption=(
            f"Train and val {unit} against optimizer steps (log {axes}; step 0 is not shown), "
            f"a panel per weight decay. {rule(facts, MAX_PANELS, bands_drawn=True)} "
            f"{context(facts)}"
        ),
        figure=trajectories_figure(made, kind, unit),
    )


def _phases(facts: Facts) -> Drawing | NotDrawn:
    title = "Heads and accuracy, aligned at memorising and grokking"
    order = ["s_bar", "sigma_h"]
    tables = {"evaluation": ["val_acc"], "probes/attention": order}
    frames = {name: facts.group.table(name, columns) for name, columns in tables.items()}
    readings = frames["probes/attention"]
    if readings is None or readings.empty or readings[order].isna().to_numpy().all():
        return NotDrawn(title, facts.group.why_missing("attention"))
    decays = _phase_decays(facts)
    plain = [made for n, c in tables.items() if (made := banded(facts, n, c)) is not None]
    clocks: dict[str, pd.DataFrame] = {"steps": pd.concat(plain, ignore_index=True)}
    for label, time in _CLOCKS.items():
        anchors = facts.times.assign(time=facts.times[time])
        had = (words(anchors, "end") == "grokked") | (time == "t_mem")
        anchors = where(anchors, had & (column(anchors, "time") > 0))
        made = [
            aligned(frame, anchors, tables[name], _SPAN, facts.steps_drawn)
            for name, frame in frames.items()
            if frame is not None
        ]
        clocks[label] = pd.concat([m for m in made if not m.empty] or made[:1], ignore_index=True)
    clocks = {
        label: where(table, np.isin(column(table, "weight_decay"), decays))
        for label, table in clocks.items()
        if not table.empty
    }
    return Drawing(
        name="phases",
        title=title,
        caption=(
            "Val accuracy, similarity of the heads s_bar (dimensionless) and spread of their "
            "entropies sigma_h (nats), layer means on the probe examples, for "
            f"{len(decays)} of {len(facts.cells)} weight decays. Line and band: median and "
            "quartiles over replicas. First column: against optimizer steps, as in the other "
            "figures of training. Others, where some replica had that event: the same records in "
            "units of each replica’s own time to memorise and to grok (dotted line at 1), replicas "
            "with it only, drawn where half of them have a reading; no record is extended beyond "
            "its end. "
            f"Log axes of steps. {context(facts)}"
        ),
        figure=phases_figure(clocks),
    )


def _phase_decays(facts: Facts) -> list[float]:
    """A few weight decays, evenly by rank: those where most had the event, else any."""
    cells = column(facts.cells, "weight_decay")
    most = cells[np.nan_to_num(column(facts.cells, "rate")) >= 0.5]
    pool = most if most.size else cells
    return evenly(pool.tolist(), _MAX_DECAYS)


_TAIL = {
    "val_acc": "val accuracy (0–1)",
    "s_bar": "s_bar",
    "sigma_h": "sigma_h (nats)",
    "pr_norm": "PR_norm",
}
LONG = 4.0
"""A record is long that goes on to this many times its own time to grok."""
_MAX_TAILS, _MAX_LINES = 3, 8
"""Weight decays in the late part, and replicas of each."""
_MAX_POINTS = 400
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
    decays = column(made, "weight_decay")
    drawn = int(spread_rows(decays, decays, MAX_DOTS).sum())
    return Drawing(
        name="order-parameters",
        title=what,
        caption=(
            "Attention heads on the probe examples, averaged over layers, a grey dot per replica "
            "(spread sideways); blue dot and bar: median and quartiles of a weight decay. "
            "Normalised participation ratio PR_norm (dimensionless; 1: heads vary in all "
            "directions alike, 0: in one) and similarity s_bar (dimensionless) at the last "
            "evaluation; largest spread of entropies sigma_h (nats) of its record. A longer record "
            f"has a larger peak by chance alone. 0 is left of the axis break."
            f"{dots_words(len(made), drawn)} {context(facts)}"
        ),
        figure=order_parameters_figure(made, found),
    )


def draw_tail(facts: Facts) -> Drawing | None:
    """Replicas that went on long after the event, one by one; None where there are none."""
    times = facts.times
    long = (words(times, "end") == "grokked") & (
        column(times, "watched") >= LONG * column(times, "t_hi")
    )
    kept = where(times, long)
    decays = evenly(np.unique(column(kept, "weight_decay")).tolist(), _MAX_TAILS)
    chosen = where(kept, np.isin(column(kept, "weight_decay"), decays))
    chosen = pd.DataFrame(chosen.groupby("weight_decay").head(_MAX_LINES)).reset_index(drop=True)
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
    shown = {
        name: text
        for name, text in _TAIL.items()
        if name in tables and np.isfinite(column(tables[name], "value")).any()
    }
    return Drawing(
        name="tail",
        title="Long after grokking",
        caption=(
            f"Late training of {len(chosen)} {plural(len(chosen), 'replica')} watched to at least "
            f"{LONG:g} times their own time to grok, a line each (at most {_MAX_LINES} per weight "
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
        part.iloc[np.unique(np.linspace(0, len(part) - 1, min(len(part), _MAX_POINTS)).round())]
        for _, part in own.groupby("line")
    ]
    made = pd.concat(pieces, ignore_index=True) if pieces else own
    return made.assign(replica=made["line"], value=column(made, name))
