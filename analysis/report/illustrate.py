"""Every figure of a group of replicas, in the order of the page."""

from functools import partial

from observatory.analysis.fit.questions import questions
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.figure_writer import Section
from observatory.analysis.training.section import training_sections

_TRAINING = 50
"""Where diagnostics of training stand among the sections of questions."""


_OF_ANY_RUN = frozenset({"boundary", "times", "survival", "horizon"})
"""Questions whose figures say nothing of a task, and so are of observed runs too."""


def illustrate(facts: Facts) -> list[Section]:
    """Where networks grok, when they do, and what was seen in them; or why it is not drawn."""
    asked = sorted(questions().values(), key=lambda question: question.place)
    if facts.group.observed:
        asked = [q for q in asked if q.name in _OF_ANY_RUN and not facts.unfitted]
    sections = [partial(question.collect, "section", facts) for question in asked]
    n_before = sum(question.place < _TRAINING for question in asked)
    return [*sections[:n_before], *training_sections(facts), *sections[n_before:]]
