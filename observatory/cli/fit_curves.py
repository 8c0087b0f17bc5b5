"""`observatory fit emergence`: laws of curves, on a table or a study."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from observatory.analysis.curves.result import CurveFits

TAKEN = ("lr", "weight_decay", "steps_per_epoch", "horizon_steps", "level", "n_bootstrap", "seed")
CURVES = ("model", "step", "lr", "weight_decay")
"""Options that no other fit has."""


def add_curve_options(parser: argparse.ArgumentParser) -> None:
    """The options that only curves have; `--value`, `--group` and others are shared."""
    curves = parser.add_argument_group("of `fit emergence`")
    curves.add_argument(
        "--model", metavar="NAME", help="emergence, saturation, tanh, relaxation or sparsity"
    )
    curves.add_argument("--step", metavar="COLUMN", help="what values are a curve of (step)")
    curves.add_argument("--lr", type=float, metavar="X", help="learning rate, for relaxation")
    curves.add_argument("--weight-decay", type=float, metavar="X", help="likewise")


def fit_named_curves(
    table: "pd.DataFrame | str", settings: dict[str, Any], options: argparse.Namespace
) -> "CurveFits":
    """Fit the curves of a table.

    Args:
        table: A frame, or a path.
        settings: Of conf/deep_fit, by name.
        options: As the parser gives them.

    Raises:
        ConfigError: If the table or an option breaks a rule.
    """
    from observatory.analysis.curves.api import fit_curves
    from observatory.analysis.stats.rules import given_options

    known = (*TAKEN, *CURVES, "value", "group")
    given = given_options(vars(options), known, "of `fit emergence`")
    return fit_curves(
        table,
        "emergence" if options.model is None else options.model,
        step=options.step,
        value=options.value,
        group=None if options.group is None else [g.strip() for g in options.group.split(",")],
        settings=settings,
        **{name: given[name] for name in TAKEN if name in given},
    )
