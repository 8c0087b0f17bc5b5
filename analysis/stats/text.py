"""A record of a fit as text."""

from collections.abc import Callable, Mapping
from typing import Any

Record = Mapping[str, Any]
WIDTH = 78


def number(value: float | None, missing: str = "-") -> str:
    """A number in four digits; `missing` where there is none.

    Example:
        >>> number(0.0157711), number(None)
        ('0.01577', '-')
    """
    return missing if value is None else f"{value:.4g}"


def heading(record: Record) -> str:
    """What was fitted, how, for which event and horizon, to how many runs."""
    horizon = record["horizon_steps"]
    until = "unknown" if horizon is None else f"{horizon} steps"
    if record["horizon_epochs"] is not None:
        until += f" ({record['horizon_epochs']:g} epochs)"
    where = [record.get("study_group"), group_words(record.get("group", {}))]
    words = [*filter(None, where), f"event {record['event']}", f"horizon {until}"]
    return f"{record['fit']} ({record['estimator']}), {', '.join(words)}, n = {record['n']}"


def ends_text(low: float | None, high: float | None, show: Callable[[float], str] = number) -> str:
    """An interval; a bound where it has one end; nothing where it has none.

    Example:
        >>> ends_text(0.1, 2.0), ends_text(0.1, None), ends_text(None, 2.0), ends_text(None, None)
        ('[0.1, 2]', 'above 0.1', 'below 2', '')
    """
    if low is not None and high is not None:
        return f"[{show(low)}, {show(high)}]"
    if low is not None:
        return f"above {show(low)}"
    return "" if high is None else f"below {show(high)}"


def limits_text(parameter: Mapping[str, float | None], level: float) -> str:
    """The limits of a parameter in words, at their level; empty where it has none."""
    ends = ends_text(parameter["ci_low"], parameter["ci_high"])
    return f"  {level:.0%} {ends}" if ends else ""


def _medians_text(record: Record, control: str) -> list[str]:
    """Median times per value of the control, for records that hold some."""
    names = ("median.weight_decay", "median.value", "median.low", "median.high")
    curves = record.get("curves", {})
    if not set(names) <= set(curves):
        return []
    return [
        f"{control} {value:g}: median {number(median, 'not reached')}"
        f"{limits_text({'ci_low': low, 'ci_high': high}, record['level'])}"
        for value, median, low, high in zip(*(curves[name] for name in names), strict=True)
    ]


def control_of(record: Record) -> str:
    """The control as the record calls it; weight decay where it does not say."""
    return str(record.get("extras", {}).get("control", "weight decay"))


def group_words(group: Mapping[str, Any]) -> str:
    """What sets a curve or a group apart, in words.

    Example:
        >>> group_words({"weight_decay": 0.5, "layer": 0})
        'weight decay 0.5, layer 0'
    """
    return ", ".join(
        f"{name.replace('_', ' ')} {value:g}"
        if isinstance(value, float)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in group.items()
    )


def text_of(record: Record) -> str:
    """A few lines: the heading, every parameter with its interval, warnings; or the refusal."""
    lines, control = [heading(record)], control_of(record)
    if record["refused"] is not None:
        lines.append(f"  refused: {record['refused']}")
    width = max((len(name) for name in record["params"]), default=0)
    for name, parameter in record["params"].items():
        value = number(parameter["value"], "not finite")
        unit = f"  ({control})" if name == "critical" else ""
        limits = limits_text(parameter, record["level"])
        lines.append(f"  {name:<{width}} = {value}{limits}{unit}")
    lines += [f"  {line}" for line in _medians_text(record, control)]
    extras = record.get("extras", {})
    if "verdict" in extras:
        lines.append(f"  verdict: {extras['verdict']}. {extras.get('reason', '')}".rstrip())
    lines += [f"  warning: {warning}" for warning in record["warnings"]]
    return "\n".join(lines)


def summary_text(record: Record) -> str:
    """A text table of the whole record: settings, parameters, goodness of fit, warnings."""
    control = control_of(record)
    horizon = record["horizon_steps"]
    rows = (
        ("Estimator", record["estimator"], "Runs", str(record["n"])),
        ("Control", control, "Horizon", "unknown" if horizon is None else f"{horizon} steps"),
        ("Event", record["event"], "Level", f"{record['level']:.4g}"),
    )
    half = WIDTH // 2
    lines = [f"{record['fit'].replace('_', ' ').capitalize()} fit".center(WIDTH), "=" * WIDTH]
    for name, value, other, words in rows:
        lines.append(f"{name + ':':<12}{value:<{half - 12}}  {other + ':':<10}{words:>{half - 12}}")
    tail = (1.0 - record["level"]) / 2.0
    ends = (f"[{tail:.4g}", f"{1.0 - tail:.4g}]")
    lines += ["-" * WIDTH, f"{'':<22}" + "".join(f"{t:>14}" for t in ("value", "se", *ends))]
    lines.append("-" * WIDTH)
    for name, parameter in record["params"].items():
        cells = (number(parameter[key]) for key in ("value", "se", "ci_low", "ci_high"))
        lines.append(f"{name:<22}" + "".join(f"{cell:>14}" for cell in cells))
    lines += _medians_text(record, control)
    lines.append("=" * WIDTH)
    for name, value in record.get("extras", {}).items():
        if value is not None and name != "control":
            lines.append(f"{name}: {number(value) if isinstance(value, float) else value}")
    if record["warnings"]:
        lines += ["", "Warnings:"]
        lines += [f"[{i}] {text}" for i, text in enumerate(record["warnings"], start=1)]
    return "\n".join(lines)
