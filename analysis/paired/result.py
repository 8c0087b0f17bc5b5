"""A comparison of arms that prints itself, tells its intervals, and draws itself."""

import html
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from observatory.analysis.fit.result import flat_record
from observatory.analysis.page.save import save_picture
from observatory.analysis.paired.table import PairedTable
from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.stats.paired_tests import p_text
from observatory.analysis.stats.text import limits_text, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 100
TOLD = {
    "p_t": "t",
    "p_wilcoxon": "Wilcoxon",
    "p_sign_flip": "sign flips",
    "p_mcnemar": "McNemar",
    "p_holm": "Holm",
    "p_bonferroni": "Bonferroni",
    "p_equivalent_holm": "equivalence, Holm",
}
EFFECTS = {"d_z": "d on differences", "d": "d within arms", "d_unpaired": "d unpaired"}
PLANS = {
    "detectable": "detectable difference",
    "pairs_target": "pairs for the target",
    "pairs_target_cautious": "with a cautious scatter",
    "pairs_width": "pairs for the width",
    "pairs_width_cautious": "with a cautious scatter",
}


@final
@dataclass(frozen=True, repr=False)
class PairedFit:
    """A comparison and the table that it was made of.

    Attributes:
        estimate: Differences, tests, verdicts, warnings.
        table: What was read.
    """

    estimate: Estimate
    table: PairedTable

    @property
    def params(self) -> pd.Series:
        """The difference of every contrast."""
        return pd.Series({name: p.value for name, p in self.estimate.params.items()}, dtype=float)

    @property
    def verdicts(self) -> pd.Series:
        """The verdict of every contrast."""
        extras = self.estimate.extras
        return pd.Series({name: extras[f"verdict[{name}]"] for name in self.estimate.params})

    @property
    def warnings(self) -> Sequence[str]:
        """What a reader could take wrongly."""
        return [*self.table.warnings, *self.estimate.warnings]

    def conf_int(self) -> pd.DataFrame:
        """Limits `lower` and `upper` of every difference at the fit's level, not adjusted."""
        limits = {name: (p.ci_low, p.ci_high) for name, p in self.estimate.params.items()}
        return pd.DataFrame.from_dict(
            limits, orient="index", columns=["lower", "upper"], dtype=float
        )

    def tests(self) -> pd.DataFrame:
        """A row per contrast: means, p-values, effect sizes, plans."""
        columns = {name[5:]: values for name, values in self.estimate.curves.items()}
        return pd.DataFrame(columns, index=list(self.estimate.params), dtype=float)

    def to_json(self) -> dict[str, Any]:
        """The record, with the columns that were read."""
        read = ", ".join(f"{role} {name}" for role, name in self.table.columns.items())
        estimate = replace(
            self.estimate,
            warnings=self.warnings,
            extras={**self.estimate.extras, "columns": read},
        )
        return flat_record(estimate.to_json())

    def to_string(self) -> str:
        """The record as JSON text."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False)

    def plot(self) -> "Figure":
        """Draw every difference with its interval."""
        from observatory.analysis.paired.figure import differences_figure

        return differences_figure(self.to_json())

    def save_plot(self, path: Path) -> None:
        """Write the figure; the ending of `path` names the format."""
        save_picture(self.plot(), path)

    def __str__(self) -> str:
        record, tests = self.to_json(), self.tests()
        extras = record["extras"]
        lines = [
            f"paired differences of {record['event']} ({record['estimator']}): "
            f"{extras['n_contrasts']} contrasts, family of {extras['n_tests']}"
        ]
        for name, found in record["params"].items():
            row = {k: v for k, v in tests.loc[name].items() if not pd.isna(v)}
            limits = limits_text(found, record["level"])
            verdict = extras[f"verdict[{name}]"]
            lines.append(f"  {name} = {number(found['value'])}{limits}  {verdict}")
            lines.append(f"    {int(row['n'])} pairs, p: {_chances(row)}")
            if "p_mcnemar" not in row:
                effects = [
                    f"{label} {row[key]:.3g} [{row[f'{key}_low']:.3g}, {row[f'{key}_high']:.3g}]"
                    for key, label in EFFECTS.items()
                ]
                lines += [f"    {', '.join(effects)}", f"    {_listed(row, PLANS, '.4g')}"]
            else:
                rates = [
                    f"{arm} {row[f'mean_{arm}']:.3g} "
                    f"[{row[f'{arm}_low']:.3g}, {row[f'{arm}_high']:.3g}]"
                    for arm in ("second", "first")
                ]
                lines.append(f"    rates: {', '.join(rates)}")
        for warning in record["warnings"]:
            lines += textwrap.wrap(
                f"warning: {warning}", WIDTH, initial_indent="  ", subsequent_indent="    "
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _chances(row: dict[Any, float]) -> str:
    return ", ".join(f"{label} {p_text(row[key])}" for key, label in TOLD.items() if key in row)


def _listed(row: dict[Any, float], names: dict[str, str], form: str) -> str:
    return ", ".join(f"{label} {row[key]:{form}}" for key, label in names.items() if key in row)
