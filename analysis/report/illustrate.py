"""Every figure of a group of replicas, in the order of the page."""

from collections.abc import Iterator

from observatory.analysis.fit.questions import questions
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.facts import Facts
from observatory.analysis.training.section import draw_order_parameters, draw_tail, draw_training

_TRAINING = 50
"""Where diagnostics of training stand among the sections of questions."""


def illustrate(facts: Facts) -> Iterator[Drawing | NotDrawn]:
    """Where networks grok, when they do, and what was seen in them; or why it is not drawn."""
    asked = sorted(questions().values(), key=lambda question: question.place)
    for question in asked:
        if question.place < _TRAINING:
            yield from question.collect("section", facts)
    yield from draw_training(facts)
    yield draw_order_parameters(facts)
    tail = draw_tail(facts)
    if tail is not None:
        yield tail
    for question in asked:
        if question.place >= _TRAINING:
            yield from question.collect("section", facts)
