"""Figures of what the probes and the evaluation saw over training."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from observatory.analysis.page.bands import aligned
from observatory.analysis.page.drawing import Drawing, NotDrawn, banded, context, rule
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, evenly, where
from observatory.analysis.training.diagnostics import DIAGNOSTICS, draw_diagnostic
from observatory.analysis.training.figure_phases import phases_figure
from observatory.analysis.training.figure_trajectories import trajectories_figure

MAX_DECAYS = 4
"""Weight decays in the figure of phases, each with its quartiles."""
_CLOCKS = {"steps / time to memorise": "t_mem", "steps / time to grok": "t_hi"}
_SPAN = (0.1, 10.0)
"""Steps over a replica's own time, between which aligned curves are drawn."""


def draw_training(facts: Facts) -> Iterator[Drawing | NotDrawn]:
    """Trajectories, phases, and a figure per family of diagnostics."""
    yield from _trajectories(facts)
    yield _phases(facts)
    for shown in DIAGNOSTICS:
        yield draw_diagnostic(facts, shown)


def _trajectories(facts: Facts) -> Iterator[Drawing | NotDrawn]:
    for kind in ("acc", "loss"):
        title = f"Training trajectories: {'accuracy' if kind == 'acc' else 'loss'}"
        made = banded(facts, "evaluation", [f"train_{kind}", f"val_{kind}"])
        if made is None:
            yield NotDrawn(title, "the evaluation table is empty")
            continue
        unit, axes = "accuracy (0–1)", "axis"
        if kind == "loss":
            unit, axes = f"loss ({facts.group.unit('evaluation', 'train_loss')})", "axes"
        yield Drawing(
            name=f"trajectories-{kind}",
            title=title,
            caption=(
                f"Train and val {unit} against optimizer steps (log {axes}; step 0 is not shown), "
                f"a panel per weight decay. {rule(facts, bands_drawn=True)} {context(facts)}"
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
        anchors = where(anchors, column(anchors, "time") > 0)
        made = [
            aligned(frame, anchors, tables[name], _SPAN, facts.steps_drawn)
            for name, frame in frames.items()
            if frame is not None
        ]
        clocks[label] = pd.concat([m for m in made if not m.empty] or made[:1], ignore_index=True)
    clocks = {
        label: where(table, np.isin(column(table, "weight_decay"), decays))
        for label, table in clocks.items()
    }
    return Drawing(
        name="phases",
        title=title,
        caption=(
            "Val accuracy, similarity of the heads s_bar (dimensionless) and spread of their "
            "entropies sigma_h (nats), layer means on the probe examples, for "
            f"{len(decays)} of {len(facts.cells)} weight decays. Line and band: median and "
            "quartiles over replicas. Left: against optimizer steps, as in the other figures of "
            "training. Middle and right: the same records in units of each replica’s own time to "
            "memorise and to grok (dotted line at 1), replicas with that event "
            "only, drawn where half of them have a reading; no record is extended beyond its end. "
            f"Log axes of steps. {context(facts)}"
        ),
        figure=phases_figure(clocks),
    )


def _phase_decays(facts: Facts) -> list[float]:
    """A few weight decays, evenly by rank: those at which most grokked, else any."""
    cells = column(facts.cells, "weight_decay")
    most = cells[np.nan_to_num(column(facts.cells, "rate")) >= 0.5]
    pool = most if most.size else cells
    return evenly(pool.tolist(), MAX_DECAYS)
