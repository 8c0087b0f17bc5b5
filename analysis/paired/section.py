"""Differences between groups that share seeds: the forest of an intervention."""

from collections.abc import Iterator

from observatory.analysis.page.comparison import GroupComparison
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.single import drawn
from observatory.analysis.paired.figure import draw_differences, size_of

_LONGEST = 36
"""Letters of an arm's name."""
_TITLE = "Differences between the groups, paired by seed"


def draw_groups(comparison: GroupComparison) -> Iterator[Drawing | NotDrawn]:
    """The stored comparison of every group with the first one; nothing where there is none."""
    for record in comparison.of("paired"):
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
