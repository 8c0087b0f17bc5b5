"""Tables with a column for every value of a quantity, which fits do not take: how to turn them."""

import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"(?P<stem>.*?)(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE)
_CALLED = {"wd": "weight_decay", "decay": "weight_decay", "lambda": "weight_decay"}
_FEWEST = 3
"""Columns of one name and a number that make a table wide: fewer may be quantities of their own."""


def how_to_turn(present: Sequence[str], near: str) -> str:
    """What to do with a table that has a column per weight decay, per seed or per step, in words.

    Args:
        present: Columns of the table.
        near: Usual name of the column that is missed; "" where there is none.

    Returns:
        A sentence with a line of pandas in which `frame` is the table; "" where it is not wide.

    Example:
        >>> how_to_turn(["weight_decay", "seed0", "seed1"], "")
        ''
        >>> "a row per seed" in how_to_turn(["weight_decay", "seed0", "seed1", "seed2"], "")
        True
    """
    stems: dict[str, list[str]] = {}
    for name in present:
        if found := _NUMBERED.fullmatch(name):
            stems.setdefault(found["stem"], []).append(name)
    stem, wide = max(stems.items(), key=lambda each: len(each[1]), default=("", []))
    if len(wide) < _FEWEST:
        return ""
    words = [word for word in re.split(r"[^a-z_]|_$", stem.lower()) if word]
    if words and not stem.endswith("@"):  # what stands at @ is measured there
        name = _CALLED.get(words[-1], words[-1])
    else:
        name = near or _by_numbers(wide)
    kept = [each for each in present if each not in wide]
    cut = f".str.removeprefix({stem!r})" if stem else ""
    return (
        f" `{wide[0]}` to `{wide[-1]}` are a column for each {name}: give a row per {name}, by "
        f"`frame.melt({kept}, var_name={name!r}, value_name='grokked').assign({name}=lambda t: "
        f"t[{name!r}]{cut}.astype(float))` in pandas, with what the cells hold as `value_name`, "
        "such as grokked, t_grok or val_acc."
    )


def _by_numbers(wide: Sequence[str]) -> str:
    """What whole numbers count: seeds where they are 0, 1, 2, ..., else steps."""
    first = float(wide[0])
    counted = [float(name) for name in wide] == [first + i for i in range(len(wide))]
    return "seed" if counted and first in (0, 1) else "step"
