"""A table of a page, as text."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: A short noun phrase.
        heads: One per column.
        kinds: Per column: "num" for numbers, "text" for sentences, "" for words.
        rows: The cells.
        caption: What has to be known to read it.
        rows_have_heads: Whether the first cell of a row names the row.
        notes: What is printed below.
    """

    title: str
    heads: Sequence[str]
    kinds: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    rows_have_heads: bool = False
    notes: Sequence[str] = ()
