"""The options of a command are read from a signature, their texts from docstrings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import pytest

from observatory.cli.signature import choices, entries, holds, options_of, parameters


class Base(TypedDict, total=False):
    """What all take.

    Attributes:
        level: Coverage of the
            intervals: 0.95.
    """

    level: float | None


class Extended(Base, total=False):
    """What some take.

    Attributes:
        settings: By name.
        names: Several.
    """

    settings: Mapping[str, Any] | None
    names: Sequence[str] | None


def ask(
    *tables: "pd.DataFrame",  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
    kind: Literal["a", "b"] = "a",
    folder: Path | str | None = None,
    width: float,
    **options: Unpack[Extended],
) -> None:
    """Ask.

    Args:
        tables: Some.
        kind: Which.
        folder (Path): Where.
        width: How wide.
        options: See `Extended`.

    Returns:
        Nothing.
    """


def test_a_signature_is_read_in_its_order_with_the_options_of_its_bases_first() -> None:
    read = parameters(ask)
    assert [p.name for p in read] == [
        "tables", "kind", "folder", "width", "level", "settings", "names",
    ]  # fmt: skip
    by_name = {p.name: p for p in read}
    assert by_name["level"].text == "Coverage of the intervals: 0.95."
    assert by_name["folder"].kinds == (Path, str)
    assert by_name["folder"].text == "Where."
    assert choices(by_name["kind"]) == ["a", "b"]
    assert by_name["kind"].default == "a"
    assert holds(by_name["settings"], Mapping)
    assert holds(by_name["names"], Sequence)
    assert [p.name for p in read if p.required] == ["tables", "width"]
    assert [p.name for p in read if p.is_table and p.several and p.unpacked] == ["tables"]


def test_what_has_no_text_is_refused() -> None:
    def silent(*, level: float = 0.9) -> None:
        """Say nothing of `level`."""

    with pytest.raises(TypeError, match="`level` of `silent` has no text"):
        parameters(silent)


def test_options_may_be_read_alone() -> None:
    assert [p.name for p in options_of(Base)] == ["level"]


def test_entries_end_with_their_section() -> None:
    doc = "Do.\n\nArgs:\n    a: One.\n    *b: Two: really.\n\nReturns:\n    c: Three.\n"
    assert entries(doc, "Args") == {"a": "One.", "b": "Two: really."}
    assert entries(doc, "Attributes") == {}
