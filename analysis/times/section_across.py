"""What the page shows of the times of groups beside each other."""

from collections.abc import Iterator

from observatory.analysis.page.comparison import GroupComparison
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.forest import Row, folded, forest_figure
from observatory.analysis.page.records import limits, ratio_words


def draw_ratios(comparison: GroupComparison) -> Iterator[Drawing | NotDrawn]:
    """The ratio of each group's times to those of the first, a row each."""
    records, title = comparison.last("time_ratio"), "Ratios of times"
    if not records:
        return
    if all(record["refused"] for record in records):
        yield NotDrawn(title, f"all were refused, the first because: {records[0]['refused']}")
        return
    level = f"{records[0]['level']:.0%}"
    yield Drawing(
        name="groups-times",
        title=title,
        caption=(
            "How many times longer a group takes to the event than the first group at equal weight "
            f"decay (dimensionless, log axis), with {level} intervals; replicas without the event "
            "count as such, and collapsed or diverged ones as never having it. Dashed: equally "
            f"long. {comparison.context}"
        ),
        figure=forest_figure(
            [],
            [Row(folded(ratio_words(r)), limits(r, "ratio")) for r in records],
            ratio_label="ratio of times",
        ),
    )
