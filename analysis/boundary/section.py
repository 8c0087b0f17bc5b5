"""Figures of where networks grok: rates, estimators, window, outcomes."""

from collections.abc import Iterator
from functools import partial

from observatory.analysis.boundary.figure_rate import draw_rate_and_boundary, draw_window
from observatory.analysis.page.drawing import Drawing, NotDrawn, context, one_panel
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.forest import Row, draw_rows, rows_height
from observatory.analysis.page.records import estimator_name, limits
from observatory.analysis.page.style import OUTCOME_COLOURS
from observatory.analysis.training.figures import draw_outcomes

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
        "it; vertical line and band: its critical weight decay λc and the interval (an arrow where "
        "it has no limit)"
        if drawn
        else "No boundary is drawn: see the table of fits"
    )
    cells, window_max = facts.cells, facts.window_max
    fitted = drawn[:_MAX_FITTED]
    return one_panel(
        name="rate",
        title="Event rate against weight decay",
        caption=(
            f"Event rate: share of replicas (dimensionless) that had the event, {facts.level:.0%} "
            "Wilson intervals; the numbers above are n per weight decay (dimensionless, log axis, "
            f"0 left of the axis break). {curves}. Shares of the outcomes collapsed, diverged and "
            "lost are marked where there are any: the first two count as without the event, lost "
            f"replicas had it. {context(facts)}"
        ),
        panel=partial(
            draw_rate_and_boundary, cells=cells, boundaries=fitted, window_max=window_max
        ),
        height=3.9,
    )


def _estimators(facts: Facts) -> Iterator[Drawing]:
    """Only where there are several: a single one is in the figure of rates."""
    records = [record for record in facts.boundaries if limits(record, "critical")]
    if len(records) < 2:
        return
    rest = [estimator_name(r) for r in facts.boundaries if not limits(r, "critical")]
    refused = f" No estimate by {', '.join(rest)}: the reasons are there too." if rest else ""
    rows = [Row(estimator_name(record), limits(record, "critical")) for record in records]
    levels = " and ".join(sorted({f"{record['level']:.0%}" for record in records}))
    yield one_panel(
        name="estimators",
        title="Critical weight decay by estimator",
        caption=(
            "Critical weight decay λc (dimensionless, log axis) of every estimator on the same "
            f"counts, with {levels} intervals; an arrow marks a limit that the data do not set. "
            "Methods describes each estimator; warnings are below the table of boundary fits."
            f"{refused} {context(facts)}"
        ),
        panel=partial(draw_rows, rows=rows, label="λc (weight decay)"),
        height=rows_height(rows),
    )


def _window(facts: Facts) -> Drawing | NotDrawn:
    title = "The window of grokking and its two edges"
    record = facts.window
    if record is None or limits(record, "critical_upper") is None:
        refused = record and record["refused"]
        reason = f"the fit refused: {str(refused).rstrip('.')}" if refused else "it was not fitted"
        return NotDrawn(title, reason)
    return one_panel(
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
        panel=partial(draw_window, cells=facts.cells, record=record),
        height=3.2,
    )


def _outcomes(facts: Facts) -> Drawing:
    return one_panel(
        name="outcomes",
        title="Outcome of every replica",
        caption=(
            "Share of replicas (dimensionless) by outcome, counts inside the bars, per weight "
            "decay (dimensionless). An outcome is of the whole record and is no event rate: lost "
            "replicas reached a val accuracy of 0.99, then fell well below it in the steps watched "
            f"after that, and those that collapsed may have had the event. {context(facts)}"
        ),
        panel=partial(draw_outcomes, cells=facts.cells),
        height=3.0,
        columns=len(OUTCOME_COLOURS),
    )
