"""Differences of arms with their intervals, a row per contrast."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from observatory.analysis.fit.contract import Record
from observatory.analysis.page.style import LINE_COLOURS, MUTED, WIDTH, label_rows, plain
from observatory.analysis.stats.paired_tests import p_text


def size_of(record: Record) -> tuple[float, float]:
    """Width and height of the figure, in inches."""
    return WIDTH, 1.0 + 0.27 * len(record["params"])


def draw_differences(axes: Axes, record: Record, names: Sequence[str] | None = None) -> None:
    """A forest of differences; filled where the contrast differs after Holm's adjustment.

    Rows are named by their contrasts, unless `names` says otherwise.
    """
    params, extras = record["params"], record["extras"]
    axes.axvline(0.0, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), gid="equal")
    if extras["margin"] is not None:
        axes.axvspan(
            -extras["margin"], extras["margin"], color=MUTED, alpha=0.15, linewidth=0, gid="margin"
        )
    beside = list[str]()
    for place, (name, found) in enumerate(params.items()):
        low, high, row = found["ci_low"], found["ci_high"], record["table"][name]
        axes.plot([low, high], [place, place], color=LINE_COLOURS[0], linewidth=1.8, gid="interval")
        inside = LINE_COLOURS[0] if row["verdict"].startswith("differs") else "white"
        axes.plot(found["value"], place, "o", color=inside, mec=LINE_COLOURS[0], ms=6,
                  gid="estimate")  # fmt: skip
        numbers = f"{found['value']:.3g} [{low:.3g}, {high:.3g}]".replace("-", "−")
        beside.append(f"{numbers}, p {p_text(row['p_holm'])}, {row['verdict']}")
    label_rows(axes, list(names or params), beside)
    axes.set_xlabel(f"difference of {plain(record['event'])}, intervals {record['level']:.0%}")
    axes.set_title(f"p by Holm in a family of {extras['n_tests']}; filled: differs")
