"""An event on a metric that its owner names, written as a claim: "val_acc >= 0.99"."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from observatory.core.errors import ConfigError
from observatory.events.interval import Interval
from observatory.events.threshold import locate_threshold

_CLAIM = re.compile(
    r"\s*(?P<series>[A-Za-z_][\w./-]*)\s*(?P<sign>>=|<=)\s*(?P<level>[-+\d.eE]+)"
    r"(?:\s+for\s+(?P<looks>\d+)\s+looks?)?\s*"
)


@final
@dataclass(frozen=True)
class Claim:
    """A metric that reaches a level and stays there for a number of looks.

    Attributes:
        series: Name of the metric.
        level: Height to be reached, in the metric's own unit.
        at_most: Whether it is reached from above: the metric falls to the level.
        persistence: Looks in a row at which the claim holds, the first one included.
    """

    series: str
    level: float
    at_most: bool
    persistence: int

    @staticmethod
    def parse(text: str) -> "Claim":
        """A claim from its text.

        Raises:
            ConfigError: If it is none.

        Example:
            >>> Claim.parse("val_acc >= 0.99")
            Claim(series='val_acc', level=0.99, at_most=False, persistence=1)
            >>> Claim.parse("eval_loss <= 2.5 for 3 looks").persistence
            3
        """
        found = _CLAIM.fullmatch(text)
        try:
            assert found is not None
            level, looks = float(found["level"]), int(found["looks"] or 1)
            assert np.isfinite(level)
            assert looks >= 1
        except (AssertionError, ValueError):
            raise ConfigError(
                f"`event` must be a metric, >= or <=, and a number, got {text!r}. Write it as "
                '"val_acc >= 0.99", or "eval_loss <= 2.5 for 3 looks".'
            ) from None
        return Claim(found["series"], level, found["sign"] == "<=", looks)

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Claim":
        """Inverse of `to_json`."""
        return Claim(**record)

    def to_json(self) -> dict[str, Any]:
        """The claim as plain values, as a manifest holds it."""
        return asdict(self)

    def interval(self, steps: ArrayLike, values: ArrayLike) -> Interval:
        """The event in a record; a step without a value is no look.

        Args:
            steps: Steps of the looks, increasing, `[look]`.
            values: The metric at these steps, NaN where it was not given, `[look]`.

        Raises:
            ValueError: If there is no look.

        Example:
            >>> Claim("loss", 1.0, True, 1).interval([0, 5, 9], [3.0, float("nan"), 0.5])
            Interval(t_lo=0.0, t_hi=9.0, observed=True, watched=9)
        """
        clock, series = np.asarray(steps), np.asarray(values, dtype=np.float64)
        given = ~np.isnan(series)
        sign = -1.0 if self.at_most else 1.0
        return locate_threshold(
            clock[given], sign * series[given], sign * self.level, self.persistence, 0.0
        )
