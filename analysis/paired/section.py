"""Differences of arms with their intervals, a row per contrast, and those of a study's groups."""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes

from observatory.analysis.fit.contract import Record
from observatory.analysis.page.comparison import GroupComparison
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.single import drawn
from observatory.analysis.page.style import LINE_COLOURS, MUTED, WIDTH, label_rows, plain
from observatory.analysis.paired.arms import BY_PARENT
from observatory.analysis.stats.paired_tests import p_text

_LONGEST = 36
"""Letters of an arm's name."""
_TITLE = "Differences between the groups, paired by seed"


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


def draw_groups(comparison: GroupComparison) -> Iterator[Drawing | NotDrawn]:
    """The stored comparison of every group with the first one; nothing where there is none."""
    for record in comparison.of("paired"):
        if record["extras"].get(BY_PARENT):  # arms, see section_arms
            continue
        if record["refused"] is not None:
            reason = str(record["refused"]).split("; ")[0].rstrip(".")
            yield NotDrawn(_TITLE, f"the comparison refused: {reason}")
            continue
        extras, outcome = record["extras"], str(record["event"])
        test = "McNemar’s exact test" if extras["rates"] else "paired t tests"
        rows = record["table"].values()
        names = [f"{row['condition']}: {_short(row['arm'])}" for row in rows]
        yield Drawing(
            name="groups-differences",
            title=_TITLE,
            caption=(
                f"{outcome[0].upper()}{outcome[1:]} of each group minus that of "
                f"{extras['reference']}, over the seeds that both have, at {extras['n_controls']} "
                f"of {extras['n_controls_run']} weight decays of the latter, "
                f"with {record['level']:.0%} intervals that are not adjusted; p by Holm over the "
                f"family of {extras['n_tests']} {test}. Undecided is not equal. A seed "
                "sets what two groups have in common, such as the split: pairs of other "
                f"architectures share no more. {comparison.context}"
            ),
            figure=drawn(draw_differences, record, names, None, size_of(record)),
        )


def _short(label: str) -> str:
    """The end of a name, which distinguishes groups."""
    words = label[-_LONGEST:].split(" ", 1)[-1]
    return label if len(label) <= _LONGEST else f"… {words}"
