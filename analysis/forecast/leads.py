"""Published onsets or leads against their events: a regression, and the null of leads."""

import html
import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.fit.result import flat_record
from observatory.analysis.forecast.estimators.audit import ForecastAudit
from observatory.analysis.forecast.estimators.lead_time import LeadTimes, lead_times
from observatory.analysis.stats.estimate import Estimate, Parameter, refusal_record
from observatory.analysis.stats.solvers import student_quantile
from observatory.analysis.tables.columns import column_of, known_columns
from observatory.analysis.tables.values import numbers, refuse
from observatory.core.errors import ConfigError, FitRefusedError

Array = NDArray[np.float64]

NAME = "lead_times"
ESTIMATOR = "least_squares_of_logarithms"
USUAL = ("event_step", "grok_step", "t_grok", "t_hi", "time")
FEWEST = 5
WIDTH = 100


@final
@dataclass(frozen=True)
class LeadTask:
    """Onsets and events, checked.

    Attributes:
        audit: Whose settings hold: floor, permutations, level.
        onset: Steps, `[row]`.
        event: Steps, `[row]`.
        columns: Which columns were read.
        seed: Of the permutations.
    """

    audit: ForecastAudit
    onset: Array
    event: Array
    columns: str
    seed: int

    def run(self) -> "LeadFit":
        """Both regressions; raises `FitRefusedError` where the rows cannot give them."""
        if self.onset.size < FEWEST or np.ptp(self.event) == 0:
            raise FitRefusedError(
                f"{self.onset.size} rows hold an onset before its event, at least {FEWEST} of "
                "different events are needed. Add runs."
            )
        audit, rng = self.audit, np.random.default_rng(self.seed)
        found = lead_times(self.onset, self.event, audit.lead_floor, audit.n_permutations, rng)
        x, y = np.log(self.event), np.log(self.onset)
        rest = y - y.mean() - found.slope * (x - x.mean())
        se = float(np.sqrt(rest @ rest / (x.size - 2) / ((x - x.mean()) ** 2).sum()))
        reach = student_quantile(0.5 + audit.level / 2.0, x.size - 2) * se
        extras = {name: getattr(found, name) for name in LeadTimes.__dataclass_fields__}
        warnings = [
            "A lead is its event less its onset: regressed on the event it rises by construction. "
            f"Onsets dealt out at random give a slope of {found.null_slope:.2f} and an R2 of "
            f"{found.null_r2:.2f} (medians), these data {found.lead_slope:.2f} and "
            f"{found.lead_r2:.2f}. Read the regression of onsets."
        ]
        return LeadFit(
            Estimate(
                fit=NAME,
                estimator=ESTIMATOR,
                event=self.columns,
                horizon_steps=None,
                horizon_epochs=None,
                params={
                    "onset_slope": Parameter(
                        found.slope, se, found.slope - reach, found.slope + reach
                    )
                },
                level=audit.level,
                n=found.n,
                seed=self.seed,
                warnings=warnings,
                extras=extras,
            )
        )

    def refused(self, reason: str) -> dict[str, Any]:
        """The record where it refused."""
        return flat_record(
            refusal_record(
                fit=NAME,
                estimator=ESTIMATOR,
                event=self.columns,
                horizon_steps=None,
                horizon_epochs=None,
                level=self.audit.level,
                n=int(self.onset.size),
                seed=self.seed,
                reason=reason,
            )
        )


@final
@dataclass(frozen=True, repr=False)
class LeadFit:
    """The regression of onsets, with the null of the regression of leads beside it.

    Attributes:
        estimate: Slope, tests, warnings.
    """

    estimate: Estimate

    def to_json(self) -> dict[str, Any]:
        """The record."""
        return flat_record(self.estimate.to_json())

    def to_string(self) -> str:
        """The record as JSON text."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False)

    def save_plot(self, path: Path) -> None:
        """There is no figure of two numbers.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"`--plot` is not for lead times, got {path}: leave it out.")

    def __str__(self) -> str:
        record = self.to_json()
        extras, slope = record["extras"], record["params"]["onset_slope"]
        lines = [
            f"lead times: {record['event']}, {record['n']} pairs, logarithms",
            f"  onset on event: slope {slope['value']:.3f} {record['level']:.0%} "
            f"[{slope['ci_low']:.3f}, {slope['ci_high']:.3f}], "
            f"Theil-Sen {extras['theil_sen']:.3f}, R2 {extras['r2']:.3f}, "
            f"p {extras['p_onset']:.2g} by permutation",
            f"  lead on event: slope {extras['lead_slope']:.3f}, R2 {extras['lead_r2']:.3f}",
            f"  lead on event, onsets permuted: median slope {extras['null_slope']:.3f}, median R2 "
            f"{extras['null_r2']:.3f}, p of so large an R2 {extras['p_lead']:.2g}",
        ]
        for warning in record["warnings"]:
            lines += textwrap.wrap(
                f"warning: {warning}", WIDTH, initial_indent="  ", subsequent_indent="    "
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def read_leads(
    frame: pd.DataFrame, onset: str | None, lead: str | None, event: str | None
) -> tuple[Array, Array, str]:
    """Onsets and events of a table, a row per run.

    Args:
        frame: The table.
        onset: Column of the onsets' steps; None where leads are given.
        lead: Column of the leads, in steps; None where onsets are given.
        event: Column of the events' steps; None: a usual name.

    Returns:
        Onsets, events `[row]`, and which columns they are; rows without either are left out.

    Raises:
        ConfigError: If a column is missing or no number, or an onset does not precede its event.
    """
    if (onset is None) == (lead is None):
        raise ConfigError("`--onset` or `--lead` must be given, one of them: the column's name.")
    frame = frame.rename(columns=str).reset_index(drop=True)
    present = list(map(str, frame.columns))
    wanted = {"onset" if lead is None else "lead": onset or lead, "time": event}
    names: dict[str, str] = {}
    for role, asked in wanted.items():
        choices = USUAL if asked is None else (asked,)
        found = next((c for name in choices if (c := column_of(name, present))), None)
        if found is None:
            raise ConfigError(
                f"`{role}` must name a column of the table, got {asked!r}. "
                f"{known_columns(present, asked or '')}"
            )
        names[role] = found
    values = {r: numbers(frame, n, "Leave it empty where there is none.", empty=True)
              for r, n in names.items()}  # fmt: skip
    t = values["time"]
    at = values["onset"] if lead is None else t - values["lead"]
    known = np.isfinite(at) & np.isfinite(t)
    refuse(known & (at <= 0), next(iter(names.values())), "must give a positive onset",
           "An onset at step 0 has no logarithm.")  # fmt: skip
    refuse(known & (at >= t), next(iter(names.values())), "must give an onset before its event",
           "Leave out runs whose onset came later, and say how many.")  # fmt: skip
    told = ", ".join(f"{role} {name}" for role, name in names.items())
    return at[known], t[known], told
