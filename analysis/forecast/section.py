"""What recorded signals forecast beside the clock and the plain baselines, from its record."""

from observatory.analysis.fit.contract import Record
from observatory.analysis.forecast.figure import forecast_caption, forecast_figure
from observatory.analysis.forecast.text import (
    Row,
    is_baseline,
    number_text,
    rows_of,
    share_text,
)
from observatory.analysis.page.drawing import Drawing, NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import DASH

TITLE = "Forecasts of grokking"
HEADS = (
    *("signal", "share of events forecast", "lead (steps)", "order within a weight decay"),
    *("minus clock", "p, clock (Holm)", "p, every baseline (Holm)", "verdict"),
)


def draw_forecast(facts: Facts) -> Drawing | NotDrawn:
    """The forest of signals with its table, where events, negatives and seeds are enough."""
    record = next(iter(facts.of("forecast")), None)
    if record is None:
        return NotDrawn(TITLE, "not fitted: `observatory fit STUDY` does")
    if record["refused"] is not None:
        return NotDrawn(TITLE, record["refused"].rstrip("."))
    return Drawing(
        name="forecast",
        title=TITLE,
        caption=f"{forecast_caption(record)} {context(facts)}",
        figure=forecast_figure(record),
        table=_table(record),
    )


def _table(record: Record) -> Table:
    """Scores and verdicts, the baselines first."""
    caption = (
        f"{record['extras']['n_bootstrap']} resamples. observatory fit forecast STUDY TWINS "
        "prints false-alarm rates per kind of negatives, rules and times as well; with "
        "random-label twins it is a harder test."
    )
    kinds = ["", *["num"] * (len(HEADS) - 2), "text"]
    rows = [_row(name, row) for name, row in rows_of(record).items()]
    notes = record["warnings"]
    return Table("Forecasts", HEADS, kinds, rows, caption, rows_have_heads=True, notes=notes)


def _row(name: str, row: Row) -> list[str]:
    return [
        f"{name} (baseline)" if is_baseline(row) else name,
        share_text(row["value"], row["ci_low"], row["ci_high"], DASH),
        number_text(row["lead"], ".0f", DASH),
        share_text(row["within"], row["within_low"], row["within_high"], DASH),
        share_text(row["clock_difference"], row["clock_low"], row["clock_high"], DASH),
        number_text(row["clock_p_holm"], ".2g", DASH),
        number_text(row["every_p_holm"], ".2g", DASH),
        row["verdict"] or DASH,
    ]
