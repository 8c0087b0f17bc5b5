"""An audit of forecasts, from studies or a table: read, checked, run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, final

import pandas as pd
from observatory.analysis.tables.sources import Table

from observatory.analysis.fit.result import flat_record
from observatory.analysis.fit.settings import deep_settings, draw_seed
from observatory.analysis.forecast.estimators.audit import ForecastAudit
from observatory.analysis.forecast.leads import LeadFit, LeadTask, read_leads
from observatory.analysis.forecast.replicas import AuditColumns, AuditTable
from observatory.analysis.forecast.result import AuditFit
from observatory.analysis.forecast.table import read_audit
from observatory.analysis.stats.estimate import refusal_record
from observatory.analysis.stats.rules import SHARE, Rule, require_numbers
from observatory.analysis.tables.files import read_table
from observatory.core.errors import ConfigError

NAME = "audit"
LEAST = {"n_folds": 2, "min_events": 5, "min_seeds": 3, "min_readings": 2}
LEAST |= dict.fromkeys(("n_permutations", "n_bootstrap", "n_flips"), 99)
MOST = 1_000_000
OWN_RULES = {
    **dict.fromkeys(("alpha", "max_lead_share", "coverage", "lead_floor", "level"), SHARE),
    **dict.fromkeys(("min_lead", "nowcast_margin"), Rule("at least 0 and finite", 0.0, 1e100)),
    **{n: Rule(f"a whole number of at least {k}", k, whole=True) for n, k in LEAST.items()},
}
TESTS = Rule(f"a whole number from 1 to {MOST}, or null", 1, MOST, whole=True)


def build_audit(settings: Mapping[str, Any]) -> ForecastAudit:
    """The audit of `conf/deep_fit/audit.yaml`, with some of its settings changed.

    Raises:
        ConfigError: If there is no such setting, or one breaks its rule.
    """
    node = _checked(deep_settings(NAME, settings))
    node.pop("_target_")
    try:
        return ForecastAudit(**node)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`{NAME}` cannot be built: {error}") from error


def _checked(node: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, whole numbers as such; raises `ConfigError` where one breaks its rule."""
    rules = OWN_RULES if node["n_tests"] is None else {**OWN_RULES, "n_tests": TESTS}
    for name, rule in rules.items():
        if not rule.kept(node[name]):
            raise ConfigError(f"`{name}` must be {rule.must}, got {node[name]!r}. {rule.advice}")
    if not isinstance(node["matched"], bool):
        raise ConfigError(f"`matched` must be true or false, got {node['matched']!r}.")
    if node["signals"] is not None and not isinstance(node["signals"], list | tuple):
        raise ConfigError(
            f"`signals` must be a list of names, or null, got {node['signals']!r}. Write [a, b]."
        )
    whole = {name for name, rule in rules.items() if rule.whole}
    return {name: int(value) if name in whole else value for name, value in node.items()}


@final
@dataclass(frozen=True)
class AuditTask:
    """An audit and the table that it is for, both checked.

    Attributes:
        audit: The rules, the scores and the tests.
        read: The table.
        seed: Of folds, resamples, flips and permutations.
    """

    audit: ForecastAudit
    read: AuditTable
    seed: int

    def run(self) -> AuditFit:
        """Audit every signal; raises `FitRefusedError` where the table cannot decide."""
        return AuditFit(self.audit.estimate(self.read.records, self.seed), self.read)

    def refused(self, reason: str) -> dict[str, Any]:
        """The record where it refused."""
        records = self.read.records
        epochs, horizon = records.steps_per_epoch, records.horizon_steps
        record = refusal_record(
            fit=NAME,
            estimator=self.audit.estimator,
            event=records.event,
            horizon_steps=horizon,
            horizon_epochs=horizon / epochs if epochs and horizon else None,
            level=self.audit.level,
            n=records.n,
            seed=self.seed,
            reason=reason,
        )
        return flat_record({**record, "warnings": list(self.read.warnings)})


def prepare_audit(
    tables: Sequence[Table], columns: AuditColumns, settings: Mapping[str, Any], seed: int | None
) -> AuditTask:
    """The audit, the table and the seed, all checked; nothing is computed yet.

    Args:
        tables: Studies or their folders; or one frame, CSV or Parquet file.
        columns: Which columns hold what, which signals, which event.
        settings: Of `conf/deep_fit/audit.yaml`, by name.
        seed: Of all draws; None: that of all fits.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    audit = build_audit(settings)
    require_numbers({"horizon_steps": columns.horizon})
    if columns.signals is None and audit.signals is not None:
        columns = AuditColumns(**{**vars(columns), "signals": list(audit.signals)})
    elif columns.signals is not None:
        audit = replace(audit, signals=list(columns.signals))
    read = read_audit(tables, columns, memorised=audit.start == "memorised")
    return AuditTask(audit, read, draw_seed(seed))


def audit_forecasts(
    tables: Table | Sequence[Table],
    *,
    signals: Sequence[str] | None = None,
    event: str | None = None,
    columns: Mapping[str, str] | None = None,
    horizon_steps: int | None = None,
    chance: float | None = None,
    level: float | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> AuditFit:
    """Does any recorded signal forecast the event better than the clock, the losses and the norm?

    Args:
        tables: A study or several, random-label twins among them; or a long table, with a row per
            replica and step.
        signals: The registered family; None: all that is recorded.
        event: Event preset of a study; None: "first99".
        columns: Columns of a long table by role, see `AuditColumns`.
        horizon_steps: Where records are cut.
        chance: Accuracy of guessing, for nowcasts; a study knows it.
        level: Coverage of the intervals; tests are at 1 - level.
        seed: Of folds, resamples, flips and permutations.
        settings: Further settings of `conf/deep_fit/audit.yaml` by name, such as alpha.

    Returns:
        A row and a verdict per signal. It prints itself.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        StoreError: If a folder is no study.
        FitRefusedError: If there are too few events, negatives or seeds.
    """
    several = list(tables) if isinstance(tables, list | tuple) else [cast(Table, tables)]
    try:
        roles = AuditColumns(
            signals=signals, event=event, horizon=horizon_steps, chance=chance, **(columns or {})
        )
    except TypeError as error:
        raise ConfigError(f"`columns` has a role that there is not: {error}") from error
    changes = {} if level is None else {"level": level}
    return prepare_audit(several, roles, {**changes, **(settings or {})}, seed).run()


def prepare_leads(
    table: Table,
    onset: str | None,
    lead: str | None,
    event: str | None,
    settings: Mapping[str, Any],
    seed: int | None,
) -> LeadTask:
    """The regression of published onsets or leads on their events, checked.

    Args:
        table: A frame, a CSV or Parquet file, a row per run.
        onset: Column of onsets; None where leads are given.
        lead: Column of leads, instead.
        event: Column of events; None: a usual name.
        settings: Of `conf/deep_fit/audit.yaml`, by name.
        seed: Of the permutations; None: that of all fits.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
    """
    audit = build_audit(settings)
    if not isinstance(table, pd.DataFrame | str | Path):
        raise ConfigError("Leads are read from a table, got a study. Give a CSV or Parquet file.")
    frame = table if isinstance(table, pd.DataFrame) else read_table(Path(table))
    at, t, columns = read_leads(frame, onset, lead, event)
    return LeadTask(audit, at, t, columns, draw_seed(seed))


def fit_lead_times(
    table: Table,
    *,
    onset: str | None = None,
    lead: str | None = None,
    event: str | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> LeadFit:
    """Published onsets regressed on their events, and what leads on events show by construction.

    Args:
        table: A frame, a CSV or Parquet file, a row per run.
        onset: Column of onsets, in steps.
        lead: Column of leads instead: event less onset.
        event: Column of events; None: event_step, grok_step, t_grok, t_hi or time.
        seed: Of the permutations.
        settings: Of `conf/deep_fit/audit.yaml`: lead_floor, n_permutations, level.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If there are too few runs.

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({"onset": [90.0, 100, 110, 95, 105]})
        >>> runs["t_grok"] = [1e3, 3e3, 1e4, 3e4, 1e5]
        >>> found = fit_lead_times(runs, onset="onset", settings={"n_permutations": 99})
        >>> abs(found.estimate.extras["slope"]) < 0.1, found.estimate.extras["lead_r2"] > 0.99
        (True, True)
    """
    return prepare_leads(table, onset, lead, event, settings or {}, seed).run()
