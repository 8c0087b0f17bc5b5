"""What each signal forecasts beside the clock on a page: a forest of the record, and its table."""

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.result import Fitted
from observatory.analysis.forecast.text import (
    Row,
    is_baseline,
    is_better,
    kinds_text,
    number_text,
    rows_of,
    share_text,
)
from observatory.analysis.page.drawing import Drawing, NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    MUTED,
    WIDTH,
    plain,
    styled,
    write_beside,
)
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import DASH

_TITLE = "Forecasts of grokking"
_HEADS = (
    *("signal", "share of events forecast", "lead (steps)", "order within a weight decay"),
    *("minus clock", "p, clock (Holm)", "p, every baseline (Holm)", "verdict"),
)
_BASELINE, _SIGNAL = MUTED, LINE_COLOURS[0]


def ranked(rows: Mapping[str, Row]) -> list[str]:
    """The signals in the order of the figure: the baselines first, each by what it forecasts."""
    names = list(rows)
    return sorted(
        names, key=lambda n: (not is_baseline(rows[n]), -rows[n]["value"], names.index(n))
    )


def fitted_figure(fitted: Fitted) -> Figure:
    """Events forecast on held-out seeds, and the order within a cell."""
    return forecast_figure(fitted.record)


@styled
def forecast_figure(record: Record) -> Figure:
    """Events forecast on held-out seeds, and the order within a value of the control."""
    rows, extras = rows_of(record), record["extras"]
    order = ranked(rows)
    figure = Figure(figsize=(WIDTH, 1.5 + 0.23 * len(order)))
    figure.set_layout_engine("constrained", wspace=0.06)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.25, 1.0])
    _forest(left, rows, order, ("value", "ci_low", "ci_high"))
    _forest(right, rows, order, ("within", "within_low", "within_high"))
    left.set_xlim(-0.03, 1.03)
    left.axvspan(0.0, extras["alpha"], color=MUTED, alpha=0.15, linewidth=0, gid="alpha")
    right.set_xlim(-0.03, 1.03)
    right.axvline(0.5, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), gid="chance")
    left.set_yticks(range(len(order)), [plain(name) for name in order])
    left.set_ylim(len(order) - 0.4, -0.6)
    n_baselines = sum(is_baseline(row) for row in rows.values())
    for axes in (left, right):
        axes.axhline(n_baselines - 0.5, color=INK, linewidth=0.6, gid="apart")
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.grid(visible=False, axis="y")
        axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "0.25", "0.5", "0.75", "1"])
    left.set_xlabel("share of events forecast")
    right.set_xlabel("concordance within a cell")
    write_beside(right, [_lead_and_verdict(rows[name]) for name in order])
    steps = record["horizon_steps"]
    until = "" if steps is None else f" by step {steps}"
    left.set_title(plain(f"{record['event']}{until}: {extras['n_events']} events"))
    right.set_title(f"{extras['n_seeds']} seeds, family of {extras['n_tests']}")
    marks = [
        Line2D([], [], marker="s", color=_BASELINE, label="baseline"),
        Line2D([], [], marker="o", color=_SIGNAL, mfc=_SIGNAL, label="better than the clock, Holm"),
        Line2D([], [], marker="o", color=_SIGNAL, mfc="white", label="not shown to be"),
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=3)
    return figure


def _forest(
    axes: Axes, rows: Mapping[str, Row], order: Sequence[str], columns: tuple[str, str, str]
) -> None:
    for place, name in enumerate(order):
        row = rows[name]
        value, low, high = (row[column] for column in columns)
        if value is None:
            continue
        baseline = is_baseline(row)
        colour = _BASELINE if baseline else _SIGNAL
        if low is not None:
            axes.plot([low, high], [place, place], color=colour, linewidth=1.6, gid="interval")
        axes.plot(
            value,
            place,
            "s" if baseline else "o",
            color=colour if baseline or is_better(row) else "white",
            mec=colour,
            ms=5,
            gid="baseline" if baseline else "signal",
        )


def _lead_and_verdict(row: Row) -> str:
    lead = "no alarm" if row["lead"] is None else f"lead {row['lead']:.0f}"
    if row["verdict"] is None:
        return lead
    head, *rest = f"{lead}, {row['verdict']}".split(", not shown")
    return "\n".join([head, *(f"not shown{part}" for part in rest)])


def forecast_caption(record: Record) -> str:
    """What the figure shows, with event, horizon, numbers and units."""
    extras, rows = record["extras"], rows_of(record)
    steps = record["horizon_steps"]
    horizon = "unknown horizon" if steps is None else f"horizon {steps} steps"
    better = [name for name, row in rows.items() if is_better(row)]
    return (
        f"Alarms for {record['event']} on held-out seeds ({extras['n_events']} events, "
        f"{extras['n_seeds']} seeds, {horizon}). Rules were chosen on the other seeds at a "
        f"false-alarm rate of at most {extras['alpha']:g} on each kind of negatives "
        f"({kinds_text(record)}), and lead by {extras['min_lead']:g} steps at least and "
        f"{extras['max_lead_share']:.0%} of the event's time at most. Grey: that rate; squares: "
        "baselines. Right: how often the replica that reaches the event first has the more "
        f"alarming signal, among replicas of one {str(extras['control']).replace('_', ' ')}. "
        f"Intervals {record['level']:.0%}, seeds as the unit. Better than the clock after Holm in "
        f"a family of {extras['n_tests']}: {', '.join(better) or 'none'}."
    )


def draw_forecast(facts: Facts) -> Iterator[Drawing | NotDrawn]:
    """The forest of signals with its table, where events, negatives and seeds are enough."""
    record = next(iter(facts.of("forecast")), None)
    if record is None:
        yield NotDrawn(_TITLE, "not fitted: `observatory fit STUDY` does")
    elif record["refused"] is not None:
        yield NotDrawn(_TITLE, record["refused"].rstrip("."))
    else:
        caption = f"{forecast_caption(record)} {context(facts)}"
        yield Drawing("forecast", _TITLE, caption, forecast_figure(record), _table(record))


def _table(record: Record) -> Table:
    """Scores and verdicts, the baselines first."""
    caption = (
        f"{record['extras']['n_bootstrap']} resamples. observatory fit forecast STUDY TWINS "
        "prints false-alarm rates per kind of negatives, rules and times as well; with "
        "random-label twins it is a harder test."
    )
    kinds = ["", *["num"] * (len(_HEADS) - 2), "text"]
    rows = [_row(name, row) for name, row in rows_of(record).items()]
    notes = record["warnings"]
    return Table("Forecasts", _HEADS, kinds, rows, caption, rows_have_heads=True, notes=notes)


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
