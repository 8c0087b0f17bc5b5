"""A finite-size chain that prints itself, tells its intervals, and draws itself."""

import html
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from observatory.analysis.fit.result import flat_record
from observatory.analysis.page.save import save_picture
from observatory.analysis.scaling.table import SizedTable
from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.stats.text import limits_text, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINKS = ("sharpening", "crossings", "susceptibility", "groups", "collapse")
WIDTH = 100


def chain_text(record: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The record in words: verdicts with reasons, then parameters, then warnings."""
    extras = record["extras"]
    value, size, control = (names[role] for role in ("value", "size", "control"))
    lines = [
        f"finite-size scaling of {value} with {size} and {control}: {extras['n_sizes']} sizes, "
        f"{extras['n_cells']} cells, n = {record['n']}",
        *_wrapped(f"verdict: {extras['verdict']}. {extras['reason']}", "  "),
    ]
    for link in LINKS:
        told = f"{link}: {extras[f'verdict_{link}']}. {extras[f'reason_{link}']}"
        lines += _wrapped(told, "    ")
    width = max(len(name) for name in record["params"])
    for name, found in record["params"].items():
        text = number(found["value"], "not finite")
        lines.append(f"  {name:<{width}} = {text}{limits_text(found, record['level'])}")
    lines.append(
        f"  S = {number(extras['quality'])}, without size {number(extras['quality_without_size'])}"
    )
    for warning in record["warnings"]:
        lines += _wrapped(f"warning: {warning}", "  ")
    return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")


@final
@dataclass(frozen=True, repr=False)
class SizeFit:
    """A finite-size chain and the table that it was made of.

    Attributes:
        estimate: Parameters, verdicts, warnings.
        table: What was read.
    """

    estimate: Estimate
    table: SizedTable

    @property
    def verdict(self) -> str:
        """The verdict of the chain: "transition", "crossover" or "underdetermined"."""
        return str(self.estimate.extras["verdict"])

    @property
    def verdicts(self) -> pd.Series:
        """The verdict of every link."""
        return pd.Series({link: self.estimate.extras[f"verdict_{link}"] for link in LINKS})

    @property
    def params(self) -> pd.Series:
        """The estimates by name."""
        return pd.Series({name: p.value for name, p in self.estimate.params.items()}, dtype=float)

    @property
    def warnings(self) -> Sequence[str]:
        """What a reader could take wrongly."""
        return [*self.table.warnings, *self.estimate.warnings]

    def conf_int(self) -> pd.DataFrame:
        """Limits `lower` and `upper` of every parameter at the fit's level; NaN where unbounded."""
        limits = {name: (p.ci_low, p.ci_high) for name, p in self.estimate.params.items()}
        return pd.DataFrame.from_dict(
            limits, orient="index", columns=["lower", "upper"], dtype=float
        )

    def cells(self) -> pd.DataFrame:
        """A row per size and control: mean, its error, chi, the cumulants, the dip."""
        columns = self.estimate.curves.items()
        return pd.DataFrame(
            {name[5:]: values for name, values in columns if name.startswith("cell.")}
        )

    def to_json(self) -> dict[str, Any]:
        """The record, its main numbers at its top as well."""
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
        """Draw every link."""
        from observatory.analysis.scaling.figure import finite_size_figure

        return finite_size_figure(self.to_json(), self.table.columns)

    def save_plot(self, path: Path) -> None:
        """Write the figure; the ending of `path` names the format.

        Raises:
            ConfigError: If the file cannot be written.
        """
        save_picture(self.plot(), path)

    def __str__(self) -> str:
        return chain_text(self.to_json(), self.table.columns)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"
