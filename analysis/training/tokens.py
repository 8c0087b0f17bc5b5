"""The tokens at the largest activations of an observed training, by site and block."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from observatory.analysis.page.frames import evenly, layered, words
from observatory.analysis.page.groups import Group
from observatory.analysis.page.table import Table

_MAX_LAYERS = 6
"""Blocks that have a row; of more, as many are chosen evenly, the ends included."""
_MAX_TOKENS, _MAX_CHARACTERS = 3, 40
"""Tokens of a cell, and characters of one."""


def token_tables(group: Group) -> list[Table]:
    """Which tokens have the largest activation of each block; none where no tokenizer was given."""
    names = sorted({name for run in group.runs for name in run.tables()})
    rows = [
        row
        for name in names
        if name.startswith("probes/massive_") and "token" in group.columns(name)
        for row in _rows(group, name)
    ]
    caption = (
        "The token at which the largest absolute activation of a block is (counted from 0; each "
        "table is defined in the table dictionary): its text, in quotes, with what cannot be "
        f"printed escaped, and its id; the {_MAX_TOKENS} most frequent. Left at the last look of "
        "every replica, right at all looks, with how many they are."
    )
    heads = ("table", "block", "last look", "all looks")
    kinds = ("", "num", "text", "text")
    return [Table("Tokens at the largest activations", heads, kinds, rows, caption)]


def _rows(group: Group, name: str) -> list[list[str]]:
    frame = group.table(name, ["token"])
    if frame is None:
        return []
    texts = {run.run_id: run.manifest.get("token_texts", {}) for run in group.runs}
    of = [texts[run_id] for run_id in words(frame, "run_id")]
    tokens = layered(frame["token"].tolist())
    last = ~frame.duplicated(["run_id", "replica"], keep="last").to_numpy()
    table, rows = name.removeprefix("probes/"), list[list[str]]()
    for layer in map(int, evenly(np.arange(tokens.shape[1]).tolist(), _MAX_LAYERS)):
        said = [
            _token(number, own) if np.isfinite(number) else None
            for number, own in zip(tokens[:, layer], of, strict=True)
        ]
        if any(said):
            final = (word for word, is_last in zip(said, last, strict=True) if is_last)
            rows.append([table, f"{layer}", _counted(final), _counted(said)])
    return rows


def _token(number: float, texts: Mapping[str, str]) -> str:
    r"""Text and id of a token, on one line whatever is in it.

    Example:
        >>> print(_token(7.0, {"7": "<b>\n"}))
        '<b>\n' (7)
    """
    text = texts.get(str(int(number)), "")
    return f"{text[:_MAX_CHARACTERS]!r}{'…' * (len(text) > _MAX_CHARACTERS)} ({int(number)})"


def _counted(said: Iterable[str | None]) -> str:
    """The most frequent first, each with how often it is there."""
    counts = Counter(word for word in said if word is not None)
    shown = [f"{word}: {n} of {counts.total()}" for word, n in counts.most_common(_MAX_TOKENS)]
    others = len(counts) - len(shown)
    return "; ".join([*shown, *([f"{others} others"] if others > 0 else [])])
