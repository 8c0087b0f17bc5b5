"""The lead estimator: one boundary for all horizons and groups of a study, named before the fits.

Its critical points feed the fits that take one, and lead the report. Where it refuses there is
none: another estimator at one horizon would move the boundary for a reason of its own.
"""

from collections.abc import Mapping, Sequence

from observatory.analysis.fit.contract import Record
from observatory.core.errors import ConfigError
from observatory.core.settings import known_name

LEAD = "lead"
"""The key of `extras` by which a record is one of the lead, with the reason in words."""


def lead_names(
    declared: str | Sequence[str], known: Sequence[str], not_everywhere: Sequence[str]
) -> list[str]:
    """The candidates of a setting, in order.

    Args:
        declared: One name, or several.
        known: Every fit that there is.
        not_everywhere: Those that are fitted at one horizon alone.

    Raises:
        ConfigError: If there is no such fit, none is named, or one is not fitted at every horizon.

    Example:
        >>> lead_names("boundary_firth", ["boundary_firth", "times"], [])
        ['boundary_firth']
    """
    names = [declared] if isinstance(declared, str) else list(declared)
    for name in names:
        known_name(LEAD, name, known)
    partly = [name for name in names if name in not_everywhere]
    if partly or not names:
        got = f"{partly}, of `longest_only`" if partly else "none"
        raise ConfigError(
            f"`{LEAD}` must name boundaries that are fitted at every horizon, got {got}. Give one, "
            "such as boundary_firth."
        )
    return names


def chosen(
    names: Sequence[str], at: Sequence[tuple[str, Mapping[str, Record]]]
) -> tuple[str | None, str]:
    """The lead, and why it is: the first that answers wherever any of them does, else the last.

    Which of them refuse is looked at, never where they put a critical point.

    Args:
        names: Candidates in order; where there is none, there is no lead.
        at: For each horizon and group, its words, and the records of the candidates by name.

    Example:
        >>> ok, no = {"refused": None}, {"refused": "Separation."}
        >>> chosen(["a", "b"], [("2500 steps", {"a": ok, "b": ok}), ("1000", {"a": no, "b": ok})])
        ('b', 'b leads at every horizon: a refuses at 1000.')
    """
    if len(names) < 2:
        return next(iter(names), None), f"{' '.join(names)} leads at every horizon, as declared."
    name, reasons = names[0], list[str]()
    for name in names:
        lost = [
            words
            for words, records in at
            if records[name]["refused"] and any(not records[other]["refused"] for other in names)
        ]
        if not lost:
            break
        reasons.append(f"{name} refuses at {', '.join(lost)}")
    why = "; ".join(reasons) or f"the first of {', '.join(names)}, and it refuses at none"
    return name, f"{name} leads at every horizon: {why}."
