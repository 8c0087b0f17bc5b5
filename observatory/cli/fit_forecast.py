"""`observatory fit audit`: which signals forecast grokking, in studies or a table."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from observatory.analysis.forecast.api import AuditTask
    from observatory.analysis.forecast.leads import LeadTask

ROLES = {"replica": "replica", "seed": "group", "cell": "x", "step": "step", "time": "time"}
ROLES |= {"t_lo": "t_lo", "opened": "opened", "kind": "kind"}
TAKEN = {*ROLES.values(), "signal", "event", "horizon_steps", "level", "seed"}
LEADS = {"onset", "lead", "time", "level", "seed"}


def add_audit_options(parser: argparse.ArgumentParser) -> None:
    """The options that only `fit audit` has; `--x`, `--time`, `--group` and others are shared."""
    audit = parser.add_argument_group("of `fit audit`")
    audit.add_argument("--signal", metavar="NAMES", help="the registered family, with commas")
    audit.add_argument("--replica", metavar="COLUMN", help="what tells records apart (replica)")
    audit.add_argument("--opened", metavar="COLUMN", help="step from which alarms count (t_mem)")
    audit.add_argument("--kind", metavar="COLUMN", help="natural, twin or failed, of negatives")
    audit.add_argument("--onset", metavar="COLUMN", help="of published onsets, a row per run")
    audit.add_argument("--lead", metavar="COLUMN", help="of published leads, instead")


def audit_task(
    tables: "list[pd.DataFrame | str]", settings: dict[str, Any], options: argparse.Namespace
) -> "AuditTask | LeadTask":
    """The audit of studies or a table, or the regression of published leads, all checked.

    Args:
        tables: Paths, or a frame.
        settings: Of conf/deep_fit/audit.yaml, by name.
        options: As the parser gives them.

    Raises:
        ConfigError: If a table or an option breaks a rule.
    """
    from observatory.analysis.forecast.api import prepare_audit, prepare_leads
    from observatory.analysis.forecast.replicas import AuditColumns
    from observatory.analysis.stats.rules import given_options

    leads = options.onset is not None or options.lead is not None
    known, owner = (LEADS, "of published leads") if leads else (TAKEN, "of `fit audit`")
    given = given_options(vars(options), known, owner)
    changes = {"level": options.level} if options.level is not None else {}
    changes |= settings
    if leads:
        return prepare_leads(
            tables[0], options.onset, options.lead, options.time, changes, options.seed
        )
    names = given.get("signal")
    columns = AuditColumns(
        **{role: given.get(option) for role, option in ROLES.items()},
        signals=None if names is None else [name.strip() for name in names.split(",")],
        event=given.get("event"),
        horizon=given.get("horizon_steps"),
    )
    return prepare_audit(tables, columns, changes, options.seed)
