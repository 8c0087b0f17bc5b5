"""Every figure of a group of replicas, in the order of the page."""

from collections.abc import Iterator

from observatory.analysis.boundary.section import draw_boundary
from observatory.analysis.curves.section_emergence import draw_emergence
from observatory.analysis.curves.section_relaxation import draw_relaxation
from observatory.analysis.forecast.section import draw_forecast
from observatory.analysis.page.drawing import Drawing, Missing
from observatory.analysis.page.facts import Facts
from observatory.analysis.times.section import draw_times
from observatory.analysis.training.section_heads import draw_order_parameters, draw_tail
from observatory.analysis.training.section_training import draw_training


def illustrate(facts: Facts) -> Iterator[Drawing | Missing]:
    """Where networks grok, when they do, and what was seen in them; or why it is not drawn."""
    yield from draw_boundary(facts)
    yield from draw_times(facts)
    yield from draw_training(facts)
    yield draw_order_parameters(facts)
    tail = draw_tail(facts)
    if tail is not None:
        yield tail
    yield draw_emergence(facts)
    yield draw_relaxation(facts)
    yield draw_forecast(facts)
