"""`observatory fit collapse`: finite-size scaling of a table or a study."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from observatory.analysis.scaling.api import SizeTask

NUMBERS = ("level", "n_bootstrap")
TAKEN = ("size", "control", "value", "group", *NUMBERS, "seed")


def add_collapse_options(parser: argparse.ArgumentParser) -> None:
    """The options that only `fit collapse` has; `--value`, `--group` and others are shared."""
    collapse = parser.add_argument_group("of `fit collapse`")
    collapse.add_argument(
        "--size", metavar="COLUMN", help="size of the system (size); of a study as task.p"
    )
    collapse.add_argument(
        "--control", metavar="COLUMN", help="what is varied at each size (control, weight_decay)"
    )


def collapse_task(
    table: "pd.DataFrame | str", settings: dict[str, Any], options: argparse.Namespace
) -> "SizeTask":
    """The finite-size chain of a table, both checked.

    Args:
        table: A frame, or a path.
        settings: Of conf/deep_fit/collapse.yaml, by name.
        options: As the parser gives them.

    Raises:
        ConfigError: If the table or an option breaks a rule.
    """
    from observatory.analysis.scaling.api import prepare_collapse
    from observatory.analysis.scaling.table import SizeColumns
    from observatory.analysis.stats.rules import given_options

    given = given_options(vars(options), TAKEN, "of `fit collapse`")
    changes = {name: given[name] for name in NUMBERS if name in given}
    columns = SizeColumns(options.size, options.control, options.value, options.group)
    return prepare_collapse(table, columns, {**changes, **settings}, options.seed)
