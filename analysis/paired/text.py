"""A comparison of arms, and a plan of pairs, as text."""

import textwrap
from collections.abc import Mapping
from typing import Any

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.result import Fitted
from observatory.analysis.stats.paired_tests import p_text
from observatory.analysis.stats.solvers import alpha_of
from observatory.analysis.stats.text import limits_text, number

WIDTH = 100
_P_VALUES = {
    "p_t": "t",
    "p_wilcoxon": "Wilcoxon",
    "p_sign_flip": "sign flips",
    "p_mcnemar": "McNemar",
    "p_holm": "Holm",
    "p_bonferroni": "Bonferroni",
    "p_equivalent_holm": "equivalence, Holm",
}
_EFFECTS = {"d_z": "d on differences", "d": "d within arms", "d_unpaired": "d unpaired"}
_PLANS = {
    "detectable": "detectable difference",
    "pairs_target": "pairs for the target",
    "pairs_target_cautious": "with a cautious scatter",
    "pairs_width": "pairs for the width",
    "pairs_width_cautious": "with a cautious scatter",
}


def comparison_text(fitted: Fitted) -> str:
    """Every contrast with its tests, effects and plans; of arms, outcome by outcome."""
    return "\n".join(map(_text, fitted.records))


def plan_text(fitted: Fitted) -> str:
    """The number of pairs, and what they find how often, at which level."""
    extras, pairs = fitted.record["extras"], fitted.record["params"]["n_pairs"]["value"]
    alpha, m = f"{alpha_of(fitted.record['level']):.3g}", extras["n_tests"]
    family = f"{alpha} / {m} (the first step of Holm over {m} tests)" if m > 1 else alpha
    lines = [
        f"{pairs:.0f} pairs, a run per arm each: the two-sided paired t test finds",
        f"d = {extras['effect']:.3g} at {family}, with a chance of {extras['power']:.3g}",
        *(f"warning: {warning}" for warning in fitted.record["warnings"]),
    ]
    return "\n  ".join(lines)


def _text(record: Record) -> str:
    if record["refused"] is not None:
        return f"paired differences of {record['event']}: refused. {record['refused']}"
    extras = record["extras"]
    lines = [
        f"paired differences of {record['event']} ({record['estimator']}): "
        f"{extras['n_contrasts']} contrasts, family of {extras['n_tests']}"
    ]
    for name, found in record["params"].items():
        row = {key: value for key, value in record["table"][name].items() if value is not None}
        limits = limits_text(found, record["level"])
        lines.append(f"  {name} = {number(found['value'])}{limits}  {row['verdict']}")
        p_values = (f"{words} {p_text(row[key])}" for key, words in _P_VALUES.items() if key in row)
        lines.append(f"    {row['n']} pairs, p: {', '.join(p_values)}")
        lines += [f"    {line}" for line in (_of_rates if "p_mcnemar" in row else _of_means)(row)]
    for warning in record["warnings"]:
        lines += textwrap.wrap(
            f"warning: {warning}", WIDTH, initial_indent="  ", subsequent_indent="    "
        )
    return "\n".join(lines)


def _of_means(row: Mapping[str, Any]) -> list[str]:
    effects = (
        f"{words} {row[key]:.3g} [{row[f'{key}_low']:.3g}, {row[f'{key}_high']:.3g}]"
        for key, words in _EFFECTS.items()
    )
    plans = (f"{words} {row[key]:.4g}" for key, words in _PLANS.items() if key in row)
    return [", ".join(effects), ", ".join(plans)]


def _of_rates(row: Mapping[str, Any]) -> list[str]:
    rates = (
        f"{arm} {row[f'mean_{arm}']:.3g} [{row[f'{arm}_low']:.3g}, {row[f'{arm}_high']:.3g}]"
        for arm in ("second", "first")
    )
    return [f"rates: {', '.join(rates)}"]
