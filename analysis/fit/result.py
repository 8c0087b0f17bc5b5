"""The result of a fit on a table: it prints itself, tells its intervals, and draws itself."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.text import summary_text, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    """A fit and the observations that it was made of.

    Attributes:
        kind: What was fitted, such as "boundary".
        estimate: Parameters, intervals, warnings, settings.
        observations: What was fitted, cut at the horizon.
    """

    kind: str
    estimate: Estimate
    observations: Observations

    @property
    def params(self) -> pd.Series:
        """The estimates by name."""
        return pd.Series({name: p.value for name, p in self.estimate.params.items()}, dtype=float)

    @property
    def warnings(self) -> Sequence[str]:
        """What a reader could take wrongly."""
        return self.estimate.warnings

    def conf_int(self) -> pd.DataFrame:
        """Limits `lower` and `upper` of every parameter at the fit's level; NaN where unbounded."""
        limits = {name: (p.ci_low, p.ci_high) for name, p in self.estimate.params.items()}
        return pd.DataFrame.from_dict(
            limits, orient="index", columns=["lower", "upper"], dtype=float
        )

    def summary(self) -> str:
        """The whole fit as a text table."""
        return summary_text(self.to_json(), self.observations.control)

    def to_json(self) -> dict[str, Any]:
        """The record as `fits.json` holds it, its main numbers at its top as well."""
        return flat_record(self.estimate.to_json())

    def to_string(self) -> str:
        """The record as JSON text."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the data and the fit.

        Args:
            ax: Where to; None: axes of a new figure.
        """
        from observatory.analysis.fit.plot import draw, new_axes

        axes = new_axes() if ax is None else ax
        draw(axes, self.kind, self.to_json(), self.observations)
        return axes

    def __str__(self) -> str:
        return text_of(self.to_json(), self.observations.control)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"
