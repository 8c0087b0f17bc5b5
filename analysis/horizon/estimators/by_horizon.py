"""What a study would say had it ended earlier: rates, boundary, verdict on a grid of horizons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.checks import require_logistic_rise
from observatory.analysis.horizon.estimators.firth_grid import Boundaries, firth_boundaries
from observatory.analysis.horizon.estimators.judged import verdict_by
from observatory.analysis.stats.bins import (
    RateBins,
    bin_rates,
    require_boundary,
    require_inside,
    require_rise,
)
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain, about, refusal_record
from observatory.analysis.stats.observations import Array, Observations
from observatory.analysis.stats.wilson import wilson_interval
from observatory.core.errors import FitRefusedError

_Row = Mapping[str, Plain]


@final
@dataclass(frozen=True)
class ByHorizon:
    """The same records cut at many horizons: counts, Firth's boundary, and what the verdict was.

    Each horizon is judged by the records up to it, as if nothing had been run beyond. The horizons
    share their records, so what they say is correlated. The boundary is that of Firth's penalised
    logistic, which answers for separated counts too: at short horizons most counts are separated.
    """

    fit_name = "by_horizon"
    estimator = "firth"
    events: Sequence[str]  # event presets; those that a study lacks are passed over
    n_horizons: int  # log-spaced, from the first time of an event to the horizon of the study
    n_verdicts: int  # of them, evenly, at which the first event has a verdict
    window_max: float  # largest weight decay that enters the boundary and the verdict
    held_out: float  # the shorter horizon of a verdict, as a share of its own
    n_grid: int  # points of the search for a critical point
    level: float  # coverage of the intervals; tests are at 1 - level

    def horizons(self, first: float, longest: int) -> NDArray[np.int64]:
        """The grid in steps, rising, from the first time of an event to the longest horizon."""
        steps = np.geomspace(min(first, longest), longest, self.n_horizons)
        return np.unique(np.ceil(steps - 1e-6).astype(np.int64))

    def records(
        self,
        data: Observations,
        steps: NDArray[np.int64],
        seed: int,
        *,
        verdicts: bool = True,
        last: Mapping[str, Plain] | None = None,
    ) -> list[dict[str, object]]:
        """One record per horizon, as `fits.json` holds them.

        Args:
            data: The records at the horizon of the study, with times.
            steps: The horizons, rising, the last that of the study.
            seed: As every record holds it; nothing is drawn.
            verdicts: Whether verdicts are made.
            last: The `verdict` and its `reason` at the longest horizon, where they are known.

        Raises:
            FitRefusedError: If an event has no time.
        """
        cut = [data.at_horizon(float(horizon)) for horizon in steps]
        bins = [_bins(table.within(self.window_max)) for table in cut]
        found = self._boundaries(bins)
        judged = set(np.linspace(steps.size - 1, 0, self.n_verdicts + 1).round().astype(int)[:-1])
        made: list[dict[str, object]] = []
        for i, table in enumerate(cut):
            extras: dict[str, Plain] = {"window_max": self.window_max, "control": data.control}
            if verdicts and last is not None and i == steps.size - 1:
                extras |= last
            elif verdicts and i in judged:
                extras |= self._verdict(table)
            known = about(self, seed, **table.about, extras=extras, table=self._rates(table))
            known["n"] = table.within(self.window_max).n
            outcome = found[i]
            if isinstance(outcome, str):
                record = refusal_record(reason=outcome, **known)
            else:
                record = Estimate(**known, params={"critical": outcome}).to_json()
            made.append({**record, "group": {"horizon_steps": int(steps[i])}})
        return made

    def _rates(self, table: Observations) -> dict[str, _Row]:
        """Counts and Wilson intervals of every weight decay, as the cells of a study have them."""
        cells, index = np.unique(table.weight_decay, return_inverse=True)
        n = np.bincount(index, weights=table.weights)
        k = np.bincount(index, weights=table.weights * table.grokked)
        low, high = wilson_interval(k, n, self.level)
        return {
            repr(float(cell)): {
                "weight_decay": float(cell),
                "n": round(float(n[i])),
                "n_event": round(float(k[i])),
                "rate": float(k[i] / n[i]),
                "wilson_low": float(low[i]),
                "wilson_high": float(high[i]),
            }
            for i, cell in enumerate(cells)
        }

    def _boundaries(self, bins: Sequence[RateBins | str]) -> list[Parameter | str]:
        """The critical weight decay of each table, or the reason why there is none."""
        usable = [i for i, each in enumerate(bins) if not isinstance(each, str)]
        made: list[Parameter | str] = [each if isinstance(each, str) else "" for each in bins]
        if not usable:
            return made
        tables = [each for each in bins if not isinstance(each, str)]
        n, k = (np.stack([getattr(each, name) for each in tables]) for name in ("n", "k"))
        found = firth_boundaries(tables[0].x, n, k, self.level)
        for place, i in enumerate(usable):
            made[i] = self._boundary(tables[place], found, place)
        return made

    def _boundary(self, bins: RateBins, found: Boundaries, i: int) -> Parameter | str:
        critical, x0 = float(found.critical[i]), float(np.log10(found.critical[i]))
        try:
            require_logistic_rise(bins, x0, float(found.log_slope[i]), self.level)
            require_inside(bins, x0)
        except FitRefusedError as refusal:
            return str(refusal)
        low, high = (_end(ends, i) for ends in (found.ci_low, found.ci_high))
        return Parameter(critical, None, low, high)

    def _verdict(self, table: Observations) -> dict[str, Plain]:
        try:
            verdict, reason = verdict_by(
                table, self.window_max, self.held_out, self.n_grid, self.level
            )
        except FitRefusedError as refusal:
            return {"verdict": None, "verdict_refused": str(refusal)}
        return {"verdict": verdict, "reason": reason}


def _bins(data: Observations) -> RateBins | str:
    """The counts of a table in which a boundary can lie, or the reason why none can."""
    try:
        bins = bin_rates(data)
        require_boundary(bins)
        require_rise(bins)
    except FitRefusedError as refusal:
        return str(refusal)
    return bins


def _end(ends: Array, i: int) -> float | None:
    return float(ends[i]) if np.isfinite(ends[i]) else None
