"""Fitted curves: they print themselves, tell their intervals, and draw themselves."""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from observatory.analysis.curves.table import Curve
from observatory.analysis.fit.result import flat_record
from observatory.analysis.page.save import save_picture
from observatory.analysis.stats.estimate import Estimate, refusal_record
from observatory.analysis.stats.text import limits_text, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 3
"""Curves that are told one by one; more are a table."""
TOLD = ("class", "degeneracy")


def group_words(group: dict[str, Any]) -> str:
    """The group in words.

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


@final
@dataclass(frozen=True)
class CurveFit:
    """One curve and its estimate, or why there is none.

    Attributes:
        curve: What was fitted.
        told: The estimate, or the reason of the refusal.
        names: Of the fit, and of how.
        level: Coverage of the intervals.
        seed: Of the resampling.
    """

    curve: Curve
    told: Estimate | str
    names: tuple[str, str]
    level: float
    seed: int

    @property
    def refused(self) -> str | None:
        """Why there is no estimate."""
        return self.told if isinstance(self.told, str) else None

    def to_json(self) -> dict[str, Any]:
        """The record, with the group that it is of."""
        series = self.curve.series
        if isinstance(self.told, str):
            record = refusal_record(
                fit=self.names[0],
                estimator=self.names[1],
                event=series.value_name,
                horizon_steps=series.horizon_steps,
                horizon_epochs=None,
                level=self.level,
                n=series.n,
                seed=self.seed,
                reason=self.told,
            )
            record["warnings"] = list(self.curve.notes)
            record["curves"] = {
                "data.step": series.step.tolist(),
                "data.value": series.value.tolist(),
            }
        else:
            warnings = [*self.curve.notes, *self.told.warnings]
            record = replace(self.told, warnings=warnings).to_json()
        return {**flat_record(record), "group": self.curve.group}

    def __str__(self) -> str:
        record = self.to_json()
        where = group_words(self.curve.group)
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
        lines += [f"  {name}: {extras[name]}" for name in TOLD if name in extras]
        if "best_law" in extras:
            best = extras["best_law"]
            lines.append(
                f"  R2 {extras['r2']:.4f}; best law by AICc: {best.replace('_', ' ')}, weight "
                f"{extras[f'weight_{best}']:.2f}"
            )
        lines += [f"  warning: {warning}" for warning in record["warnings"]]
        return "\n".join(lines)


@final
@dataclass(frozen=True, repr=False)
class CurveFits:
    """The curves of a table, each with its estimate or refusal.

    Attributes:
        model: Which law.
        fits: One per curve.
    """

    model: str
    fits: Sequence[CurveFit]

    @property
    def refused(self) -> str | None:
        """The first refusal, where every curve has one."""
        reasons = [fit.refused for fit in self.fits]
        return reasons[0] if reasons and all(reason is not None for reason in reasons) else None

    @property
    def params(self) -> pd.DataFrame:
        """Estimates, a row per curve; NaN where a curve has none."""
        rows = [
            {} if isinstance(fit.told, str) else {k: p.value for k, p in fit.told.params.items()}
            for fit in self.fits
        ]
        return pd.DataFrame(rows, index=self._index(), dtype=float)

    @property
    def warnings(self) -> list[str]:
        """What a reader could take wrongly; those that differ in numbers only are told once."""
        alike: dict[str, list[str]] = {}
        for fit in self.fits:
            for text in fit.to_json()["warnings"]:
                alike.setdefault(re.sub(r"\d[\d.e+]*", "#", text), []).append(text)
        many = len(self.fits) > 1
        return [
            f"{f'{len(texts)} of {len(self.fits)} curves, such as: ' if many else ''}{texts[0]}"
            for texts in alike.values()
        ]

    def summary(self) -> pd.DataFrame:
        """A row per curve: what was found, in a few columns."""
        rows: list[dict[str, Any]] = []
        for fit in self.fits:
            record = fit.to_json()
            extras = record["extras"]
            rows.append(
                {
                    "n": record["n"],
                    **{name: extras[name] for name in TOLD if name in extras},
                    **{name: p["value"] for name, p in record["params"].items()},
                    **({"r2": extras["r2"], "best_law": extras["best_law"]} if extras else {}),
                    "refused": (record["refused"] or "").split(". ")[0],
                }
            )
        frame = pd.DataFrame(rows, index=self._index())
        last = [name for name in ("r2", "best_law", "refused") if name in frame.columns]
        if all(fit.refused is None for fit in self.fits):
            last.remove("refused")
        first = [name for name in frame.columns if name not in ("r2", "best_law", "refused")]
        return pd.DataFrame(frame[[*first, *last]])

    def to_json(self) -> dict[str, Any] | list[dict[str, Any]]:
        """The record; a list of records where the table was grouped."""
        records = [fit.to_json() for fit in self.fits]
        return records[0] if len(records) == 1 and not records[0]["group"] else records

    def to_string(self) -> str:
        """The record as JSON text."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False)

    def plot(self) -> "Figure":
        """Draw the curves, a panel each, the first twelve."""
        from observatory.analysis.curves.figure_curves import curves_figure

        records = [fit.to_json() for fit in self.fits]
        titles = [group_words(fit.curve.group) for fit in self.fits]
        names = (self.fits[0].curve.series.step_name, self.fits[0].curve.series.value_name)
        return curves_figure(records, titles, names)

    def save_plot(self, path: Path) -> None:
        """Write the figure; the ending of `path` names the format.

        Raises:
            ConfigError: If the file cannot be written.
        """
        save_picture(self.plot(), path)

    def _index(self) -> pd.Index:
        return pd.Index([group_words(fit.curve.group) for fit in self.fits], name="curve")

    def __str__(self) -> str:
        if len(self.fits) <= FEW:
            return "\n".join(map(str, self.fits))
        frame = self.summary()
        text = frame.to_string(float_format=lambda v: f"{v:.4g}", na_rep="-")
        return "\n".join([text, *(f"warning: {warning}" for warning in self.warnings)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"
