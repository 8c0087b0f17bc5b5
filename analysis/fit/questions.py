"""The questions that there are: every folder of `analysis/` with a `question.py`."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

import observatory.analysis
from observatory.analysis.fit.contract import Question
from observatory.core.settings import known_name


@cache
def questions() -> dict[str, Question]:
    """Every question by its name, in alphabetical order."""
    found: list[Question] = []
    for folder in iter_modules(observatory.analysis.__path__, "observatory.analysis."):
        if folder.ispkg and find_spec(f"{folder.name}.question") is not None:
            found += import_module(f"{folder.name}.question").QUESTIONS
    return {question.name: question for question in sorted(found, key=lambda q: q.name)}


def question_named(name: str) -> Question:
    """A question by its name, or by one that it had before.

    Raises:
        ConfigError: If there is none.
    """
    known = questions()
    for question in known.values():
        if name == question.name or name in question.aliases:
            return question
    known_name("fit", name, known)
    return known[name]
