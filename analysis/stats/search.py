"""An estimate at an end of its search is not an estimate: one rule for every fit."""

from dataclasses import replace

from observatory.analysis.stats.estimate import Parameter

_ROOM = 1e-6
"""Share of a search's width within which a value lies at its end."""


def end_of_search(value: float, low: float | None, high: float | None) -> str | None:
    """Which end of its search a value lies at, "lowest" or "highest"; None inside.

    All three are on the scale of the search, such as log10. An end that is None is none of the
    search: a rate of 0 may be the truth.

    Example:
        >>> end_of_search(0.499, 0.0, 0.499), end_of_search(0.0, None, 0.499)
        ('highest', None)
    """
    if low is not None and high is not None:
        room = _ROOM * (high - low)
    else:
        room = _ROOM * max(abs(end) for end in (low, high, 1.0) if end is not None)
    if low is not None and value <= low + room:
        return "lowest"
    return "highest" if high is not None and value >= high - room else None


def as_bound(name: str, parameter: Parameter, end: str) -> tuple[Parameter, str]:
    """A parameter at an end of its search, and a warning that says so.

    It has no standard error, and no limit on the side of that end. A fit names such parameters in
    `extras["at_limit"]`, and builds no verdict on them; one whose main parameter is there refuses.
    """
    side = "ci_low" if end == "lowest" else "ci_high"
    return replace(parameter, se=None, **{side: None}), (
        f"`{name}` lies at {parameter.value:.4g}, the {end} value searched: it is a limit of the "
        "search, not an estimate."
    )
