"""`observatory fit audit`: which signals forecast grokking, in studies or a table."""

import argparse
from typing import TYPE_CHECKING, Any

from observatory.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from observatory.analysis.audit_fitting import AuditTask

ROLES = {"replica": "replica", "seed": "group", "cell": "x", "step": "step", "time": "time"}
ROLES |= {"t_lo": "t_lo", "opened": "opened", "kind": "kind"}
TAKEN = {*ROLES.values(), "signal", "event", "horizon_steps", "level", "seed"}
ASIDE = {"what", "json", "set", "plot", "tracking_uri"}


def add_audit_options(parser: argparse.ArgumentParser) -> None:
    """The options that only `fit audit` has; `--x`, `--time`, `--group` and others are shared."""
    audit = parser.add_argument_group("of `fit audit`")
    audit.add_argument("--signal", metavar="NAMES", help="the registered family, with commas")
    audit.add_argument("--replica", metavar="COLUMN", help="what tells records apart (replica)")
    audit.add_argument("--opened", metavar="COLUMN", help="step from which alarms count (t_mem)")
    audit.add_argument("--kind", metavar="COLUMN", help="natural, twin or failed, of negatives")


def audit_task(
    tables: "list[pd.DataFrame | str]", settings: dict[str, Any], options: argparse.Namespace
) -> "AuditTask":
    """The audit of studies or a table, all checked.

    Args:
        tables: Paths, or a frame.
        settings: Of conf/deep_fit/audit.yaml, by name.
        options: As the parser gives them.

    Raises:
        ConfigError: If a table or an option breaks a rule.
    """
    from observatory.analysis.audit_fitting import prepare_audit
    from observatory.analysis.audit_tables import AuditColumns

    given = {name: value for name, value in vars(options).items() if value not in (None, False)}
    if foreign := sorted(set(given) - {*TAKEN, *ASIDE}):
        raise ConfigError(f"{foreign} are not of `fit audit`: leave them out.")
    names = given.get("signal")
    columns = AuditColumns(
        **{role: given.get(option) for role, option in ROLES.items()},
        signals=None if names is None else [name.strip() for name in names.split(",")],
        event=given.get("event"),
        horizon=given.get("horizon_steps"),
    )
    changes = {"level": options.level} if options.level is not None else {}
    return prepare_audit(tables, columns, {**changes, **settings}, options.seed)
