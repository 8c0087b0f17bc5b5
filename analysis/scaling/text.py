"""A finite-size chain in words."""

import textwrap

from observatory.analysis.fit.result import Fitted
from observatory.analysis.stats.text import limits_text, number


def chain_text(fitted: Fitted) -> str:
    """Verdicts with their reasons, then parameters, then warnings."""
    record, extras = fitted.record, fitted.record["extras"]
    value, size, control = (fitted.data[role] for role in ("value", "size", "control"))
    lines = [
        f"finite-size scaling of {value} with {size} and {control}: {extras['n_sizes']} sizes, "
        f"{extras['n_cells']} cells, n = {record['n']}",
        *_wrapped(f"verdict: {extras['verdict']}. {extras['reason']}", "  "),
    ]
    for link, row in record["table"].items():
        if "verdict" in row:
            words = f"{link.replace('_', ' ')}: {row['verdict']}. {row['reason']}"
            lines += _wrapped(words, "    ")
    width = max(len(name) for name in record["params"])
    for name, found in record["params"].items():
        text = number(found["value"], "not finite")
        lines.append(f"  {name:<{width}} = {text}{limits_text(found, record['level'])}")
    own, without = (number(extras[name]) for name in ("quality", "quality_without_size"))
    lines.append(f"  S = {own}, without size {without}")
    for warning in record["warnings"]:
        lines += _wrapped(f"warning: {warning}", "  ")
    return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=indent, subsequent_indent=f"{indent}  ")
