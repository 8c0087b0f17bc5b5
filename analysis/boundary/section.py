"""Figures of where networks grok: rates, estimators, window, outcomes."""

from collections.abc import Iterator

from observatory.analysis.boundary.figure_rate import (
    draw_rate_panel,
    rate_figure,
    window_figure,
)
from observatory.analysis.page.drawing import Drawing, NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.forest import Row, forest_figure
from observatory.analysis.page.records import estimator_name, limits
from observatory.analysis.training.figures import outcomes_figure

_MAX_FITTED = 1
"""Fitted curves in the figure of rates: others lie on it, and are in the next figure."""


def draw_boundary(facts: Facts) -> Iterator[Drawing | NotDrawn]:
    """From the rates to the outcomes."""
    yield _rate(facts)
    yield from _estimators(facts)
    yield _window(facts)
    if not facts.group.observed:  # whose labels say of its first event alone
        yield _outcomes(facts)


def _rate(facts: Facts) -> Drawing:
    drawn = [record for record in facts.boundaries if limits(record, "critical")]
    curves = (
        f"Curve: the boundary by {estimator_name(drawn[0])}, over the weight decays that entered "
        "it; vertical line and band: its critical weight decay λc and the interval"
        if drawn
        else "No boundary is drawn: see the table of fits"
    )
    return Drawing(
        name="rate",
        title="Event rate against weight decay",
        caption=(
            f"Event rate: share of replicas (dimensionless) that had the event, {facts.level:.0%} "
            "Wilson intervals; the numbers above are n per weight decay (dimensionless, log axis, "
            f"0 left of the axis break). {curves}. Shares of the outcomes collapsed, diverged and "
            "lost are marked where there are any: the first two count as without the event, lost "
            f"replicas had it. {context(facts)}"
        ),
        figure=rate_figure(facts.cells, drawn[:_MAX_FITTED], facts.window_max),
        panel=lambda axes: draw_rate_panel(
            axes, facts.cells, drawn[:_MAX_FITTED], facts.window_max
        ),
    )


def _estimators(facts: Facts) -> Iterator[Drawing]:
    """Only where there are several: a single one is in the figure of rates."""
    records = facts.boundaries
    if sum(limits(record, "critical") is not None for record in records) < 2:
        return
    rows = [Row(estimator_name(record), limits(record, "critical")) for record in records]
    levels = " and ".join(sorted({f"{record['level']:.0%}" for record in records}))
    yield Drawing(
        name="estimators",
        title="Critical weight decay by estimator",
        caption=(
            "Critical weight decay λc (dimensionless, log axis) of every estimator on the same "
            f"counts, with {levels} intervals; an arrow marks a limit that the data do not set. "
            "Methods describes each estimator; warnings are below the table of boundary fits. "
            f"{context(facts)}"
        ),
        figure=forest_figure(rows),
    )


def _window(facts: Facts) -> Drawing | NotDrawn:
    title = "The window of grokking and its two edges"
    record = facts.window
    if record is None or limits(record, "critical_upper") is None:
        refused = record and record["refused"]
        reason = f"the fit refused: {str(refused).rstrip('.')}" if refused else "it was not fitted"
        return NotDrawn(title, reason)
    return Drawing(
        name="window",
        title=title,
        caption=(
            "Event rate (share of replicas, dimensionless) over all positive weight decays "
            f"(dimensionless, log axis), with {facts.level:.0%} Wilson intervals, and one model "
            "with both edges: the memorisation edge λc, below which networks only memorise, and "
            "the collapse edge, above which weight decay keeps them from fitting at all. Vertical "
            f"lines and bands: the edges and their {record['level']:.0%} intervals. "
            f"{context(facts)}"
        ),
        figure=window_figure(facts.cells, record),
    )


def _outcomes(facts: Facts) -> Drawing:
    return Drawing(
        name="outcomes",
        title="Outcome of every replica",
        caption=(
            "Share of replicas (dimensionless) by outcome, counts inside the bars, per weight "
            "decay (dimensionless). An outcome is of the whole record and is no event rate: lost "
            "replicas reached a val accuracy of 0.99, then fell well below it in the steps watched "
            f"after that, and those that collapsed may have had the event. {context(facts)}"
        ),
        figure=outcomes_figure(facts.cells),
    )
