"""A table of a page, as text, and the footnotes below it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from observatory.analysis.page.records import Record, estimator_name
from observatory.analysis.page.wording import DASH

_COUNT = re.compile(r"^(?P<text>.*) \((?P<count>\d+)\)\.$")


@dataclass(frozen=True)
class Table:
    """A table of text."""

    title: str  # a short noun phrase
    heads: Sequence[str]  # one per column
    kinds: Sequence[str]  # per column: "num" for numbers, "text" for sentences, "" for words
    rows: Sequence[Sequence[str]]  # the cells
    caption: str = ""  # what has to be known to read it
    rows_have_heads: bool = False  # whether the first cell of a row names the row
    notes: Sequence[str] = ()  # what is printed below


class Footnotes:
    """Letters for distinct remarks, in the order in which they come up."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}
        self._refused: dict[str, dict[str, list[str]]] = {}  # estimators by reason, then by place

    def answered(
        self, records: Iterable[Record], of: Callable[[Record], str] = lambda _: ""
    ) -> list[Record]:
        """The records with an estimate; of the others a line below says what refused, and why.

        Args:
            records: In the order of the rows.
            of: What a record is of, beside event and horizon.

        Example:
            >>> notes = Footnotes()
            >>> one = {"refused": "Too few.", "warnings": [], "estimator": "firth"}
            >>> notes.answered([{**one, "event": "first99", "horizon_steps": 600}])
            []
            >>> notes.lines
            ['No estimate: Firth (first99, 600 steps). Too few.']
        """
        answered: list[Record] = []
        for record in records:
            if record["refused"] is None:
                answered.append(record)
                continue
            steps = record["horizon_steps"]
            at = [of(record), record["event"], "" if steps is None else f"{steps} steps"]
            reason = " ".join([str(record["refused"]), *record["warnings"]])
            found = self._refused.setdefault(reason, {})
            found.setdefault(", ".join(filter(None, at)), []).append(estimator_name(record))
        return answered

    def cite(self, record: Record) -> str:
        """What stands in a record's row: letters, each with the count that its remark ended with.

        Example:
            >>> notes = Footnotes()
            >>> notes.cite({"warnings": ["Left out (3).", "Too narrow."]})
            'a (3), b'
            >>> notes.lines
            ['a: Left out (count in brackets).', 'b: Too narrow.']
        """
        return ", ".join(self._cite(remark) for remark in record["warnings"]) or DASH

    @property
    def lines(self) -> list[str]:
        """The remarks, each after its letter; then what has no estimate, and why."""
        return [
            *(f"{letter}: {remark}" for remark, letter in self._letters.items()),
            *(f"No estimate: {_listed(of)}. {reason}" for reason, of in self._refused.items()),
        ]

    def _cite(self, remark: str) -> str:
        counted = _COUNT.match(remark)
        text = f"{counted['text']} (count in brackets)." if counted else remark
        letter = self._letters.setdefault(text, _letter(len(self._letters)))
        return f"{letter} ({counted['count']})" if counted else letter


def _listed(names: Mapping[str, Sequence[str]]) -> str:
    """Estimators, each once, with all places where they were asked."""
    places = dict[str, list[str]]()
    for at, of in names.items():
        places.setdefault(", ".join(dict.fromkeys(of)), []).append(at)
    return "; ".join(f"{of} ({'; '.join(at)})" for of, at in places.items())


def _letter(index: int) -> str:
    """The n-th letter, from 0: a to z, then aa, ab, ..."""
    head, tail = divmod(index, 26)
    return (_letter(head - 1) if head else "") + chr(ord("a") + tail)
