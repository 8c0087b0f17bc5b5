"""`observatory fit paired`: arms compared pair by pair, in a table or a study."""

import argparse
from typing import TYPE_CHECKING, Any

from observatory.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from observatory.analysis.paired_fitting import PairedTask

ROLES = ("value", "arm", "pair", "family", "reference")
TAKEN = (*ROLES, "level", "seed")
ASIDE = ("what", "json", "set", "plot", "tracking_uri")


def add_paired_options(parser: argparse.ArgumentParser) -> None:
    """The options that only `fit paired` has; `--value`, `--level` and others are shared."""
    paired = parser.add_argument_group("of `fit paired`")
    paired.add_argument("--arm", metavar="COLUMN", help="what is compared (arm)")
    paired.add_argument("--pair", metavar="COLUMN", help="what the arms share (seed)")
    paired.add_argument("--family", metavar="COLUMN", help="conditions, each compared by itself")
    paired.add_argument("--reference", metavar="ARM", help="compare the others with this arm only")


def paired_task(
    table: "pd.DataFrame | str", settings: dict[str, Any], options: argparse.Namespace
) -> "PairedTask":
    """The comparison of a table, both checked.

    Args:
        table: A frame, or a path.
        settings: Of conf/deep_fit/paired.yaml, by name.
        options: As the parser gives them.

    Raises:
        ConfigError: If the table or an option breaks a rule.
    """
    from observatory.analysis.paired_fitting import prepare_paired
    from observatory.analysis.paired_tables import PairedColumns

    given = {name: value for name, value in vars(options).items() if value is not None}
    if foreign := sorted(set(given) - {*TAKEN, *ASIDE}):
        raise ConfigError(f"{foreign} are not of `fit paired`: leave them out.")
    changes = {"level": options.level} if options.level is not None else {}
    columns = PairedColumns(**{role: given.get(role) for role in ROLES})
    return prepare_paired(table, columns, {**changes, **settings}, options.seed)
