"""What each signal forecasts beside the clock: a forest, the baselines apart and marked."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
Record = Mapping[str, Any]


def ranked(record: Record) -> list[int]:
    """Places of the signals in the table: the baselines first, each by what it forecasts."""
    names, detects = list(record["params"]), record["curves"]["table.detects"]
    baseline = [record["extras"][f"role[{name}]"] == "baseline" for name in names]
    return sorted(range(len(names)), key=lambda i: (not baseline[i], -detects[i], i))


@styled
def audit_figure(record: Record) -> Figure:
    """Events forecast on held-out seeds, the difference to the clock, and the order within a knob.

    Args:
        record: Of `ForecastAudit`, not a refusal.
    """
    order, names = ranked(record), list(record["params"])
    extras = record["extras"]
    figure = Figure(figsize=(WIDTH, 1.5 + 0.23 * len(order)))
    figure.set_layout_engine("constrained", wspace=0.06)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.25, 1.0])
    _forest(left, record, order, "detects", ("detects_low", "detects_high"))
    _forest(right, record, order, "within", ("within_low", "within_high"))
    left.set_xlim(-0.03, 1.03)
    left.axvspan(0.0, extras["alpha"], color=MUTED, alpha=0.15, linewidth=0, gid="alpha")
    right.set_xlim(-0.03, 1.03)
    right.axvline(0.5, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), gid="chance")
    left.set_yticks(range(len(order)), [plain(names[i]) for i in order])
    left.set_ylim(len(order) - 0.4, -0.6)
    n_baselines = sum(extras[f"role[{name}]"] == "baseline" for name in names)
    for axes in (left, right):
        axes.axhline(n_baselines - 0.5, color=INK, linewidth=0.6, gid="apart")
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.grid(visible=False, axis="y")
        axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "0.25", "0.5", "0.75", "1"])
    left.set_xlabel("share of events forecast")
    right.set_xlabel("concordance within a cell")
    write_beside(right, [_verdict(record, names, i) for i in order])
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
    axes: Axes, record: Record, order: Sequence[int], name: str, limits: tuple[str, str]
) -> None:
    names, curves = list(record["params"]), record["curves"]
    for place, i in enumerate(order):
        value = curves[f"table.{name}"][i]
        if value is None:
            continue
        baseline = record["extras"][f"role[{names[i]}]"] == "baseline"
        colour = BASELINE if baseline else SIGNAL
        low, high = (curves[f"table.{end}"][i] for end in limits)
        if low is not None:
            axes.plot([low, high], [place, place], color=colour, linewidth=1.6, gid="interval")
        better = str(record["extras"].get(f"verdict[{names[i]}]", "")).startswith("better")
        axes.plot(
            value,
            place,
            "s" if baseline else "o",
            color=colour if baseline or better else "white",
            mec=colour,
            ms=5,
            gid="baseline" if baseline else "signal",
        )


def _verdict(record: Record, names: Sequence[str], i: int) -> str:
    """Median lead and verdict."""
    lead = record["curves"]["table.lead"][i]
    words = "no alarm" if lead is None else f"lead {lead:.0f}"
    verdict = record["extras"].get(f"verdict[{names[i]}]")
    if verdict is None:
        return words
    head, *rest = f"{words}, {verdict}".split(", not shown")
    return "\n".join([head, *(f"not shown{part}" for part in rest)])


def audit_caption(record: Record) -> str:
    """What the figure shows, with event, horizon, numbers and units."""
    extras, names = record["extras"], list(record["params"])
    kinds = ", ".join(f"{extras[f'n_{k}']} {k}" for k in str(extras["kinds"]).split(", "))
    steps = record["horizon_steps"]
    horizon = "unknown horizon" if steps is None else f"horizon {steps} steps"
    better = [n for n in names if str(extras.get(f"verdict[{n}]", "")).startswith("better")]
    return (
        f"Alarms for {record['event']} on held-out seeds ({extras['n_events']} events, "
        f"{extras['n_seeds']} seeds, {horizon}). Rules were chosen on the other seeds at a "
        f"false-alarm rate of at most {extras['alpha']:g} on each kind of negatives ({kinds}), and "
        f"lead by {extras['min_lead']:g} steps at least and {extras['max_lead_share']:.0%} of the "
        f"event's time at most. Grey: that rate; squares: baselines. Right: how often the replica "
        f"that reaches the event first has the more alarming signal, among replicas of one "
        f"{str(extras['knob']).replace('_', ' ')}. Intervals {record['level']:.0%}, seeds as the "
        f"unit. Better than the clock after Holm in a family of {extras['n_tests']}: "
        f"{', '.join(better) or 'none'}."
    )
