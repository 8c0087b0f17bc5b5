"""Fitted curves in words: few of them one by one, many as a table."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.result import Fitted
from observatory.analysis.stats.text import group_words, limits_text, number

_FEW = 3
"""Curves that are described one by one; more are a table."""
_KINDS = ("class", "degeneracy")
"""What a law says of a curve in a word."""


def curves_text(fitted: Fitted) -> str:
    """Few curves one by one, many as a table."""
    if len(fitted.records) <= _FEW:
        return "\n".join(map(_curve_text, fitted.records))
    text = curves_frame(fitted.records).to_string(float_format=lambda v: f"{v:.4g}", na_rep="-")
    return "\n".join([text, *(f"warning: {warning}" for warning in fitted.warnings)])


def _curve_text(record: Record) -> str:
    """One curve: its parameters with intervals, its kind, the best law, warnings; or why not."""
    where = group_words(record.get("group", {}))
    lines = [
        f"{record['fit']} of {record['event']} ({record['estimator']}), "
        f"{where + ', ' if where else ''}n = {record['n']} points"
    ]
    if record["refused"] is not None:
        lines.append(f"  refused: {record['refused']}")
    width = max((len(name) for name in record["params"]), default=0)
    for name, parameter in record["params"].items():
        limits = limits_text(parameter, record["level"])
        lines.append(f"  {name:<{width}} = {number(parameter['value'], 'not finite')}{limits}")
    extras = record["extras"]
    lines += [f"  {name}: {extras[name]}" for name in _KINDS if name in extras]
    if "best_law" in extras:
        best = extras["best_law"]
        lines.append(
            f"  R2 {extras['r2']:.4f}; best law by AICc: {best.replace('_', ' ')}, weight "
            f"{extras[f'weight_{best}']:.2f}"
        )
    lines += [f"  warning: {warning}" for warning in record["warnings"]]
    return "\n".join(lines)


def curves_frame(records: Sequence[Record]) -> pd.DataFrame:
    """A row per curve: what was found, in a few columns."""
    rows: list[dict[str, Any]] = []
    for record in records:
        extras = record["extras"]
        rows.append(
            {
                "n": record["n"],
                **{name: extras[name] for name in _KINDS if name in extras},
                **{name: p["value"] for name, p in record["params"].items()},
                **({"r2": extras["r2"], "best_law": extras["best_law"]} if extras else {}),
                "refused": (record["refused"] or "").split(". ")[0],
            }
        )
    names = pd.Index([group_words(r.get("group", {})) for r in records], name="curve")
    frame = pd.DataFrame(rows, index=names)
    last = [name for name in ("r2", "best_law", "refused") if name in frame.columns]
    first = [name for name in frame.columns if name not in last]
    if all(record["refused"] is None for record in records):
        last.remove("refused")
    return pd.DataFrame(frame[[*first, *last]])
