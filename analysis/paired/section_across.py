"""What the page shows of groups beside each other, pair by pair."""

from collections.abc import Iterator

from observatory.analysis.page.comparison import GroupComparison
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.paired.section import draw_groups
from observatory.analysis.paired.section_arms import draw_arms


def draw(comparison: GroupComparison) -> Iterator[Drawing | NotDrawn]:
    """Arms with their replicas, then groups that share seeds."""
    yield from draw_arms(comparison)
    yield from draw_groups(comparison)
