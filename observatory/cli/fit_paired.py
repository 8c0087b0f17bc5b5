"""`observatory fit paired` and `fit variance`: arms compared, and what their scatter is due to."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from observatory.analysis.paired.api import PairedTask
    from observatory.analysis.variance.api import VarianceTask

ROLES = ("value", "arm", "pair", "family", "reference")
TAKEN = (*ROLES, "level", "seed")
OF_VARIANCE = ("value", "arm", "group", "level")


def add_paired_options(parser: argparse.ArgumentParser) -> None:
    """The options that only `fit paired` has; `--value`, `--level` and others are shared."""
    paired = parser.add_argument_group("of `fit paired` and `fit variance`")
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
    from observatory.analysis.paired.api import prepare_paired
    from observatory.analysis.paired.table import PairedColumns
    from observatory.analysis.stats.rules import given_options

    given = given_options(vars(options), TAKEN, "of `fit paired`")
    changes = {"level": options.level} if options.level is not None else {}
    columns = PairedColumns(**{role: given.get(role) for role in ROLES})
    return prepare_paired(table, columns, {**changes, **settings}, options.seed)


def variance_task(
    table: "pd.DataFrame | str", settings: dict[str, Any], options: argparse.Namespace
) -> "VarianceTask":
    """The mixed model of a table, both checked.

    Args:
        table: A frame, or a path.
        settings: Of conf/deep_fit/variance.yaml, by name.
        options: As the parser gives them.

    Raises:
        ConfigError: If the table or an option breaks a rule.
    """
    from observatory.analysis.stats.rules import given_options
    from observatory.analysis.variance.api import prepare_variance

    given = given_options(vars(options), OF_VARIANCE, "of `fit variance`")
    changes = {"level": options.level} if options.level is not None else {}
    names = given.get("group")
    group = None if names is None else [name.strip() for name in names.split(",")]
    return prepare_variance(
        table, given.get("value"), given.get("arm"), group, {**changes, **settings}
    )
