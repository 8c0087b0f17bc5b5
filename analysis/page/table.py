"""A table of a page, as text, and the footnotes below it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from observatory.analysis.page.records import Record
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

    def cite(self, record: Record) -> str:
        """What stands in a record's row: letters, each with the count that its remark ended with.

        Example:
            >>> notes = Footnotes()
            >>> notes.cite({"refused": None, "warnings": ["Left out (3).", "Too narrow."]})
            'a (3), b'
            >>> notes.lines
            ['a: Left out (count in brackets).', 'b: Too narrow.']
        """
        reason = record["refused"]
        remarks: Sequence[str] = [
            *([] if reason is None else [f"Refused: {reason}"]),
            *record["warnings"],
        ]
        return ", ".join(self._cite(remark) for remark in remarks) or DASH

    @property
    def lines(self) -> list[str]:
        """The remarks, each after its letter."""
        return [f"{letter}: {remark}" for remark, letter in self._letters.items()]

    def _cite(self, remark: str) -> str:
        counted = _COUNT.match(remark)
        text = f"{counted['text']} (count in brackets)." if counted else remark
        letter = self._letters.setdefault(text, _letter(len(self._letters)))
        return f"{letter} ({counted['count']})" if counted else letter


def _letter(index: int) -> str:
    """The n-th letter, from 0: a to z, then aa, ab, ..."""
    head, tail = divmod(index, 26)
    return (_letter(head - 1) if head else "") + chr(ord("a") + tail)
