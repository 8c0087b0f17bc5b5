"""The result of a question: it prints itself, says its intervals, and draws itself."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from observatory.analysis.fit.contract import Record
from observatory.analysis.stats.text import group_words, summary_text
from observatory.core.settings import known_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 3
"""Further refusals that are said where everything refused."""


def flat_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with its main numbers at its top, null where the fit has none.

    Example:
        >>> flat_record({"params": {}, "n": 3})
        {'critical': None, 'slope': None, 'ci_low': None, 'ci_high': None, 'params': {}, 'n': 3}
    """
    params = record["params"]
    critical, slope = params.get("critical", {}), params.get("slope", {})
    return {
        "critical": critical.get("value"),
        "slope": slope.get("value"),
        "ci_low": critical.get("ci_low"),
        "ci_high": critical.get("ci_high"),
        **record,
    }


@final
@dataclass(frozen=True, repr=False)
class Fitted:
    """What a question found: one record, or one per curve where there are several.

    Attributes:
        question: Its name.
        records: As `fits.json` holds them, refusals among them.
        data: What was fitted, for the figure.
    """

    question: str
    records: Sequence[Record]
    data: Any = None

    @property
    def record(self) -> Record:
        """The only record, or the first of several."""
        return self.records[0]

    @property
    def refused(self) -> str | None:
        """The refusal where every record is one: that of each group, or the first of curves."""
        if any(record["refused"] is None for record in self.records):
            return None
        first, *others = (
            f"{words}: {record['refused']}" if words else str(record["refused"])
            for words, record in zip(self._names(), self.records, strict=True)
        )
        return " ".join([first, *others[:_SHOWN]])

    @property
    def params(self) -> pd.Series:
        """The estimates by name; by curve and name where there are several records."""
        return pd.Series(self._parameters()["value"], dtype=float)

    @property
    def warnings(self) -> list[str]:
        """What a reader could take wrongly; of many curves, those that differ in numbers once."""
        alike: dict[str, list[str]] = {}
        for record in self.records:
            for text in record["warnings"]:
                alike.setdefault(re.sub(r"\d[\d.e+]*", "#", text), []).append(text)
        many = len(self.records) > 1
        if not many:
            return list(self.record["warnings"])
        return [
            f"{len(texts)} of {len(self.records)} curves, such as: {texts[0]}"
            for texts in alike.values()
        ]

    @property
    def verdicts(self) -> pd.Series:
        """The verdict of every row of the table; of the whole where there is no table."""
        rows = self.frame()
        if "verdict" in rows:
            return pd.Series(rows["verdict"].dropna())
        found = {r["event"]: r["extras"].get("verdict") for r in self.records}
        return pd.Series(found, dtype=object)

    def conf_int(self) -> pd.DataFrame:
        """Limits `lower` and `upper` of every parameter at the fit's level; NaN where unbounded."""
        found = self._parameters()[["ci_low", "ci_high"]]
        return pd.DataFrame(found).set_axis(["lower", "upper"], axis=1)

    def frame(self) -> pd.DataFrame:
        """A row per parameter: value, se, limits, and what else the question says of it.

        Rows of the record's table that are no parameter, such as the links of a chain, follow.
        """
        parts: list[pd.DataFrame] = []
        for name, record in zip(self._names(), self.records, strict=True):
            parameters = pd.DataFrame.from_dict(record["params"], orient="index")
            table = pd.DataFrame.from_dict(record.get("table", {}), orient="index")
            joined = parameters.join(table, how="outer", sort=False)
            order = list(dict.fromkeys([*parameters.index, *table.index]))
            joined = joined.reindex(order).rename_axis("name")
            parts.append(joined if name is None else pd.concat({name: joined}, names=["curve"]))
        return pd.concat(parts)

    def table(self, curve: str) -> pd.DataFrame:
        """One of the record's curves, such as "profile", as columns.

        Raises:
            ConfigError: If the record has no such curve.
        """
        columns = {
            name.removeprefix(f"{curve}."): values
            for name, values in self.record["curves"].items()
            if name.startswith(f"{curve}.")
        }
        if not columns:
            known = sorted({name.partition(".")[0] for name in self.record["curves"]})
            known_name("curve", curve, known)
        return pd.DataFrame(columns)

    def summary(self) -> str:
        """The whole result as text: settings, parameters, goodness of fit, warnings."""
        return "\n\n".join(summary_text(record) for record in self.records)

    def to_json(self) -> Record | list[Record]:
        """The record as `fits.json` holds it, its main numbers at its top; a list of several."""
        several = len(self.records) > 1 or "group" in self.record
        return list(self.records) if several else self.record

    def to_string(self) -> str:
        """The record as JSON text."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False)

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the data and the fit.

        Args:
            ax: Where to; None: a new figure, with a panel per group where there are groups.

        Raises:
            ConfigError: If the question has no figure, or one of several panels and `ax` is given.
        """
        import matplotlib.pyplot  # noqa: F401 - notebooks show figures once it is there

        from observatory.analysis.fit.questions import question_named

        return question_named(self.question).draw(self, ax)

    def save_plot(self, path: Path | str) -> None:
        """Write the figure; the ending of `path` names the format.

        Raises:
            ConfigError: If the file cannot be written, or there is no figure.
        """
        from observatory.analysis.page.save import save_picture

        save_picture(self.plot(), Path(path))

    def _names(self) -> list[str | None]:
        """What sets each record apart, None where there is only one."""
        if len(self.records) == 1:
            return [None]
        return [group_words(record.get("group", {})) for record in self.records]

    def _parameters(self) -> pd.DataFrame:
        """value, se, ci_low and ci_high of every parameter."""
        columns = ["value", "se", "ci_low", "ci_high"]
        parts: list[pd.DataFrame] = []
        for name, record in zip(self._names(), self.records, strict=True):
            made = pd.DataFrame.from_dict(
                record["params"], orient="index", columns=columns, dtype=float
            )
            parts.append(made if name is None else pd.concat({name: made}, names=["curve"]))
        return pd.concat(parts)

    def __str__(self) -> str:
        from observatory.analysis.fit.questions import question_named

        return question_named(self.question).text(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"
