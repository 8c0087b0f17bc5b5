"""What each signal forecasts beside the clock: a forest, the baselines apart and marked."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from observatory.analysis.fit.contract import Record
from observatory.analysis.forecast.text import Row, is_baseline, is_better, kinds_text, rows_of
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    MUTED,
    WIDTH,
    plain,
    styled,
    write_beside,
)

BASELINE, SIGNAL = MUTED, LINE_COLOURS[0]


def ranked(rows: Mapping[str, Row]) -> list[str]:
    """The signals in the order of the figure: the baselines first, each by what it forecasts."""
    names = list(rows)
    return sorted(
        names, key=lambda n: (not is_baseline(rows[n]), -rows[n]["value"], names.index(n))
    )


@styled
def forecast_figure(record: Record) -> Figure:
    """Events forecast on held-out seeds, and the order within a value of the control.

    Args:
        record: Of `ForecastComparison`, not a refusal.
    """
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
        Line2D([], [], marker="s", color=BASELINE, label="baseline"),
        Line2D([], [], marker="o", color=SIGNAL, mfc=SIGNAL, label="better than the clock, Holm"),
        Line2D([], [], marker="o", color=SIGNAL, mfc="white", label="not shown to be"),
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
        colour = BASELINE if baseline else SIGNAL
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
