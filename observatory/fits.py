"""The fits by the name of their question: `observatory.fits.boundary(table)`.

Every folder of `observatory.analysis` that holds a question adds a function here, with the
arguments that `observatory fit QUESTION` takes.
"""

from typing import TYPE_CHECKING, Any

from observatory.analysis.fit.questions import question_named, questions
from observatory.core.errors import ConfigError
from observatory.core.extras import require

if TYPE_CHECKING:
    from observatory.analysis.boundary.question import boundary, ratio, seeds
    from observatory.analysis.clock.question import clock
    from observatory.analysis.curves.question import curves
    from observatory.analysis.curves.question import curves as emergence
    from observatory.analysis.forecast.question import forecast, lead_times
    from observatory.analysis.horizon.question import horizon
    from observatory.analysis.paired.question import paired, pairs
    from observatory.analysis.scaling.question import scaling
    from observatory.analysis.times.question import survival, times
    from observatory.analysis.variance.question import variance

    __all__ = [
        "boundary",
        "clock",
        "curves",
        "emergence",
        "forecast",
        "horizon",
        "lead_times",
        "paired",
        "pairs",
        "ratio",
        "scaling",
        "seeds",
        "survival",
        "times",
        "variance",
    ]


def __getattr__(name: str) -> Any:
    try:
        question = question_named(name)
    except ConfigError as error:
        raise AttributeError(str(error)) from None
    require("analysis", by=f"`observatory.fits.{name}`")
    return question.ask


def __dir__() -> list[str]:
    return list(questions())
