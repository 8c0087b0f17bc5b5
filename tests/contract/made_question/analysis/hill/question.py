"""Whether the rate follows a Hill curve of the control."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Unpack, final

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.options import FitOptions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from observatory.analysis.fit.result import Fitted
    from observatory.analysis.page.drawing import Drawing, NotDrawn
    from observatory.analysis.page.facts import Facts
    from observatory.analysis.tables.open import Table


def hill(table: "Table", estimator: str | None = None, **options: Unpack[FitOptions]) -> "Fitted":
    """A Hill curve of the rate of grokking.

    Args:
        table: A DataFrame, a CSV or Parquet file, a study or its folder.
        estimator: How: hill.
        options: See `FitOptions`.
    """
    from observatory.analysis.fit.observed import known_options, prepare

    given = known_options(options, FitOptions)
    return prepare("hill", table, estimator or "hill", given, timed=False).run()


@final
class HillQuestion(Question):
    """Whether the rate follows a Hill curve."""

    name = "hill"
    summary = "the rate of grokking as a Hill curve of the control"
    examples = ("hill counts.csv --level 0.9",)
    place = 12
    ask = staticmethod(hill)

    def draw(self, fitted: "Fitted", ax: "Axes | None") -> "Figure | None":
        """The fitted curve."""
        from observatory.analysis.hill.figure import draw_hill

        from observatory.analysis.page.single import drawn

        return drawn(draw_hill, fitted.record, fitted.record["extras"]["control"], ax)

    def section(self, facts: "Facts") -> "Iterable[Drawing | NotDrawn]":
        """The curve, or why there is none."""
        from observatory.analysis.hill.figure import draw_hill

        from observatory.analysis.page.drawing import Drawing, NotDrawn, context
        from observatory.analysis.page.single import drawn

        record = facts.single("hill")
        if record is None:
            return [NotDrawn("A Hill curve", "it was not fitted, or refused")]
        figure = drawn(draw_hill, record, "weight decay", None)
        caption = f"The rate as a Hill curve. {context(facts)}"
        return [Drawing("hill", "A Hill curve of the rate", caption, figure)]


QUESTIONS = (HillQuestion(),)
