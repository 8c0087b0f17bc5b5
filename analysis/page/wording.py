"""Numbers, intervals and definitions in words: one way for the whole page."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.frames import column
from observatory.analysis.page.records import Record, limits
from observatory.analysis.stats.text import ends_text

DASH = "–"
_NAMES = {
    "crossentropy": "cross-entropy",
    "functiontask": "a function",
    "groupcomposition": "group composition",
    "lstm": "LSTM",
    "mlp": "MLP",
    "modular": "modular arithmetic",
    "mseonehot": "squared error",
}
_OPERATIONS = {
    "add": "addition",
    "sub": "subtraction",
    "mul": "multiplication",
    "div": "division",
}


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits; a dash where there is none.

    Example:
        >>> number(0.12345), number(2175.0), number(None), number(0.00001234)
        ('0.123', '2175', '–', '1.23e-05')
    """
    if value is None or pd.isna(value):
        return DASH
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def interval(low: float | None, high: float | None) -> str:
    """An interval in brackets, a bound where it has one end, a dash where it has none."""
    return ends_text(low, high, number) or DASH


def with_ends(value: float, low: float | None, high: float | None) -> str:
    """A number with its interval, or its bound, where it has one.

    Example:
        >>> with_ends(0.5, 0.25, 1.0), with_ends(0.5, None, 1.0), with_ends(0.5, None, None)
        ('0.5 [0.25, 1]', '0.5, below 1', '0.5')
    """
    ends = ends_text(low, high, number)
    joint = " " if ends.startswith("[") else ", "
    return joint.join(filter(None, (number(value), ends)))


def estimate(record: Record, name: str) -> str:
    """A parameter of a record with its interval, or a dash."""
    found = limits(record, name)
    return DASH if found is None else with_ends(*found)


def horizon_words(steps: int | None, steps_per_epoch: int | None) -> str:
    """A horizon in steps, and in epochs beside where their length is known.

    Example:
        >>> horizon_words(2500, 10)
        '2500 steps (250 epochs)'
    """
    if steps is None:
        return "an unknown horizon"
    if steps_per_epoch is None:
        return f"{steps} steps"
    return f"{steps} steps ({number(steps / steps_per_epoch)} epochs)"


def event_words(event: str, config: Mapping[str, Any]) -> str:
    """What an event preset means, from the settings that its runs were given."""
    settings = config.get("event", {}).get(event)
    if not isinstance(settings, Mapping) or not {"series", "level"} <= set(settings):
        return event
    series = str(settings["series"]).replace("_acc", " accuracy").replace("_", " ")
    sign = "≤" if settings.get("at_most") else "≥"
    words = f"{event}: {series} {sign} {settings['level']:g}"
    looks = int(settings.get("persistence", 1))
    if looks > 1:
        tolerance = f"{settings.get('tolerance', 0.0):g}"
        words += f" at {looks} consecutive evaluations, the later ones up to {tolerance} below it"
    if "final_level" in settings:
        words += f", or above {settings['final_level']:g} at the last evaluation"
    return words


def sample_words(replicas: pd.DataFrame) -> str:
    """How many replicas there are, and how they spread over weight decays."""
    decays, sizes = np.unique(column(replicas, "weight_decay"), return_counts=True)
    n, cells = len(replicas), len(decays)
    if np.isnan(decays).all():
        return f"{n} {plural(n, 'replica')}"
    if cells == 1:
        return f"{n} {plural(n, 'replica')} at weight decay {decay_label(decays[0])}"
    low, high = int(sizes.min()), int(sizes.max())
    each = f"{low} {plural(low, 'seed')}" if low == high else f"{low}–{high} seeds"
    return f"{n} replicas ({cells} weight decays, {each} each)"


def dots_words(n: int, drawn: int) -> str:
    """That a figure draws some of its replicas only, where it does; else empty.

    Example:
        >>> dots_words(10, 10), dots_words(5000, 1000)
        ('', ' Of 5000 replicas 1000 are drawn, evenly by rank within each weight decay.')
    """
    if drawn == n:
        return ""
    return f" Of {n} replicas {drawn} are drawn, evenly by rank within each weight decay."


def settings_words(settings: Mapping[str, Any]) -> str:
    """The settings of a component without the name of its class; of a part of it with that name.

    Example:
        >>> settings_words({"_target_": "package.Task", "p": 31, "operation": "add"})
        'p 31, operation add'
        >>> settings_words({"group": {"_target_": "groups.symmetric", "n": 5}})
        'group symmetric (n 5)'
    """
    parts = (f"{key} {_value_words(value)}" for key, value in settings.items() if key != "_target_")
    return ", ".join(parts)


def _value_words(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    name = str(value.get("_target_", "")).rpartition(".")[2]
    return f"{name} ({settings_words(value)})"


def component_words(name: str) -> str:
    """The name of a model, a task, an optimizer or a loss as a person says it.

    Example:
        >>> component_words("Lstm"), component_words("AdamW"), component_words("GroupComposition")
        ('LSTM', 'AdamW', 'group composition')
    """
    known = _NAMES.get(name.lower())
    return known or name[:1].upper() + name[1:].replace("_", " ")


def operation_words(operation: str) -> str:
    """An operation of a task as a person says it."""
    return _OPERATIONS.get(operation, operation.replace("_", " "))


def plural(count: int, word: str) -> str:
    """The word, with an s unless the count is one."""
    return word if count == 1 else f"{word}s"


def verdict_sentence(verdict: str) -> str:
    """What a verdict of a horizon analysis means, without its reason."""
    return {
        "threshold": "Verdict: threshold. A critical weight decay above 0 remains when the horizon "
        "grows.",
        "horizon artefact": "Verdict: horizon artefact. The boundary lies where the horizon cuts "
        "off slow replicas; it is not a critical weight decay.",
        "cannot tell": "Verdict: cannot tell. These records do not decide between a critical "
        "weight decay above 0 and a boundary that is only an effect of the horizon.",
    }.get(verdict, f"Verdict: {verdict}.")


def verdict_words(record: Record) -> str:
    """The verdict of a horizon analysis in plain words, with its reason and what would decide."""
    extras = record["extras"]
    verdict = str(extras.get("verdict"))
    words = verdict_sentence(verdict)
    if reason := str(extras.get("reason") or "").strip():
        words += f" {reason[0].upper()}{reason[1:].rstrip('.')}."
    deciding = extras.get("deciding_horizon")
    if verdict == "cannot tell" and deciding is not None and f"{deciding:.0f} steps" not in words:
        words += f" A horizon of about {deciding:.0f} steps would decide."
    return words
