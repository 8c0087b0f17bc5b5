"""`observatory fit`: a study anew from its store, or any table."""

import argparse
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observatory.cli.fit_curves import add_curve_options, fit_named_curves
from observatory.cli.fit_forecast import add_audit_options, audit_task
from observatory.cli.fit_paired import add_paired_options, paired_task, variance_task
from observatory.cli.fit_scaling import add_collapse_options, collapse_task
from observatory.core.errors import ConfigError, FitRefusedError

if TYPE_CHECKING:
    import pandas as pd

    from observatory.analysis.fit.task import Task
    from observatory.analysis.forecast.api import AuditTask
    from observatory.analysis.forecast.leads import LeadTask
    from observatory.analysis.paired.api import PairedTask
    from observatory.analysis.scaling.api import SizeTask
    from observatory.analysis.variance.api import VarianceTask

MLFLOW = "mlflow:"
TABLES = ("boundary", "times", "survival", "horizon")
FITS = (*TABLES, "ratio", "seeds", "emergence", "collapse", "paired", "variance", "audit")
TASKS = {"collapse": collapse_task, "paired": paired_task, "variance": variance_task}
OWN = ("plot", "estimator", "tracking_uri", "width_decades", "assurance")
"""Options that are not of the table."""
ASSURANCE = 0.8
"""Share of simulated studies that reach the width, where none is named."""
EXPONENT = r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"
"""Of numbers in scientific notation."""
YAML_FLOAT = "tag:yaml.org,2002:float"
EXACT = 2.0**53
"""Whole numbers below it are exact."""
PICTURES = (".pdf", ".png", ".svg")

ABOUT = """Fit a study anew from its store, or fit any table.

  observatory fit STUDY                  every fit of conf/fit: writes fits.json and replicas.csv
  observatory fit boundary TABLE ...     the rate of grokking against a control
  observatory fit times TABLE ...        the time to grok against a control
  observatory fit survival TABLE ...     the share that has grokked against time
  observatory fit horizon TABLE ...      how the boundary moves with the horizon
  observatory fit ratio TABLE TABLE ...  how many times the second boundary the first one is
  observatory fit seeds TABLE ...        how many seeds an interval of a wanted width needs
  observatory fit emergence TABLE ...    laws of curves: emergence, saturation, relaxation, ...
  observatory fit collapse TABLE ...     a transition as size grows, or a smooth crossover
  observatory fit paired TABLE ...       how arms differ that share seeds, with its tests
  observatory fit audit STUDY ...        does a signal forecast better than the clock and the norm?
  observatory fit variance TABLE ...     what scatter is of seeds, of splits, of numerics alone

TABLE is a CSV or Parquet file, the folder of a study, or mlflow:EXPERIMENT. It holds counts
(columns weight_decay, n, n_grokked) or a row per run (weight_decay, grokked as 0 or 1, and where
they are known seed and time); other names are given by options. docs/fits.md tells the rest."""
EXAMPLES = """  observatory fit results/laptop_map
  observatory fit results/laptop_map --set fit.boundary_lsq.smoothing=0.5 --json
  observatory fit boundary counts.csv --estimator lsq --smoothing 0.5 --json
  observatory fit boundary runs.csv --x train_fraction --success solved --group seed --plot rate.pdf
  observatory fit boundary results/laptop_map --event first95 --horizon 1500
  observatory fit times runs.parquet --time t_grok --horizon 200000
  observatory fit ratio mamba.csv transformer.csv --horizon 100000
  observatory fit seeds pilot.csv --width-decades 0.2
  observatory fit emergence ratios.csv --group layer --plot emergence.pdf
  observatory fit emergence results/laptop_map --model relaxation
  observatory fit collapse runs.csv --size p --control train_fraction --value m --group seed
  observatory fit paired runs.csv --value peak --arm group --pair seed --family weight_decay
  observatory fit variance runs.csv --value t_grok --group seed,split --arm weight_decay
  observatory fit audit results/laptop_horizon results/twins --signal s_bar,sigma_h,pr_norm
  observatory fit boundary mlflow:sweep --x params.wd --success metrics.grokked
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Every option of the verb."""
    parser.add_argument(
        "what", nargs="+", metavar="WHAT", help="a study; or what to fit, then a table"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, see docs/fits.md")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any setting of the fit"
    )
    columns = parser.add_argument_group("columns of a table")
    for flag, meaning in (
        ("--x", "the control (weight_decay)"),
        ("--success", "whether a run grokked: 0 or 1 (grokked)"),
        ("--time", "when, in steps; empty where it did not (time, t_hi)"),
        ("--t-lo", "last look before that (t_lo)"),
        ("--watched", "steps watched (watched, duration)"),
        ("--group", "what rows share: the unit of resampling (seed); or what tells curves apart"),
        ("--value", "values of a curve (ratio), or an order parameter (value)"),
        ("--weights", "how many runs a row stands for (weight)"),
        ("--outcome", "how a run ended: collapsed and diverged can no longer grok (outcome)"),
        ("--n", "runs, in a table of counts (n)"),
        ("--n-grokked", "of these, the ones that grokked (n_grokked)"),
    ):
        columns.add_argument(flag, metavar="COLUMN", help=meaning)
    what = parser.add_argument_group("what is fitted")
    what.add_argument("--estimator", metavar="NAME", help="file of conf/fit, without the kind")
    what.add_argument("--event", metavar="NAME", help="event preset of a study (first99)")
    what.add_argument(
        "--horizon", type=int, metavar="STEPS", dest="horizon_steps", help="censor records here"
    )
    what.add_argument("--steps-per-epoch", type=int, metavar="N", help="to tell epochs as well")
    what.add_argument("--critical", type=float, metavar="X", help="a critical point to hold")
    numbers = parser.add_argument_group("numbers, instead of those of conf/fit")
    numbers.add_argument("--level", type=float, metavar="P", help="coverage of the intervals")
    numbers.add_argument("--n-bootstrap", type=int, metavar="N", help="resamples")
    numbers.add_argument("--interval", metavar="KIND", help="profile, percentile or bca")
    numbers.add_argument("--smoothing", type=float, metavar="S", help="s of (k + s) / (n + 2 s)")
    numbers.add_argument(
        "--window-max", type=window, metavar="X", help="largest control that enters, or none"
    )
    numbers.add_argument("--seed", type=int, metavar="N", help="of the resampling")
    plan = parser.add_argument_group("of `fit seeds`")
    plan.add_argument("--width-decades", type=float, metavar="W", help="wanted width")
    plan.add_argument(
        "--assurance", type=float, metavar="P", help="share of studies that reach it (0.8)"
    )
    add_curve_options(parser)
    add_collapse_options(parser)
    add_paired_options(parser)
    add_audit_options(parser)
    output = parser.add_argument_group("elsewhere")
    output.add_argument("--plot", type=Path, metavar="FILE", help="draw it: .pdf, .svg or .png")
    output.add_argument("--tracking-uri", metavar="URI", help="where mlflow:EXPERIMENT is")


def window(text: str) -> float:
    """The end of a window; "none" for no end."""
    return float("inf") if text.lower() == "none" else float(text)


def perform(options: argparse.Namespace) -> int:
    """Run the verb; returns the exit code.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        FitRefusedError: If the data cannot give the fit.
    """
    kind, *tables = options.what
    if kind not in FITS:
        if tables:
            raise ConfigError(f"`fit` must be followed by one of {list(FITS)}, got {kind!r}.")
        return _refit(Path(kind), options)
    if len(tables) != (2 if kind == "ratio" else 1) and (kind != "audit" or not tables):
        need = {"ratio": "two tables", "audit": "studies or one table"}.get(kind, "one table")
        raise ConfigError(f"`fit {kind}` takes {need}, got {tables}.")
    if options.plot is not None and options.plot.suffix not in PICTURES:
        raise ConfigError(f"`--plot` must end in one of {list(PICTURES)}, got {options.plot}.")
    if kind == "emergence":
        return _tell_curves(_open(tables[0], options.tracking_uri), options)
    if kind == "audit":
        opened = [_open(name, options.tracking_uri) for name in tables]
        return _tell_task(audit_task(opened, settings(options.set), options), options)
    if kind in TASKS:
        table = _open(tables[0], options.tracking_uri)
        return _tell_task(TASKS[kind](table, settings(options.set), options), options)
    return _tell(_task(kind, tables, options), options)


def _task(kind: str, names: list[str], options: argparse.Namespace) -> "Task":
    """The fit that was asked for, its tables read and checked."""
    from observatory.analysis.fit.task import prepare, prepare_ratio, prepare_seeds

    given = _table_options(options)
    given["settings"] = settings(options.set)
    tables = [_open(name, options.tracking_uri) for name in names]
    if kind in TABLES:
        return prepare(kind, tables[0], options.estimator, **given)
    if options.plot is not None or options.estimator is not None:
        raise ConfigError(f"`--plot` and `--estimator` are not of `fit {kind}`: leave them out.")
    if kind == "ratio":
        return prepare_ratio(tables[0], tables[1], (names[0], names[1]), **given)
    if options.width_decades is None:
        raise ConfigError("`--width-decades` must be given: the width that you want.")
    share = ASSURANCE if options.assurance is None else options.assurance
    return prepare_seeds(tables[0], options.width_decades, share, **given)


def _table_options(options: argparse.Namespace) -> dict[str, Any]:
    """The options that a table takes, those that were given."""
    others = {*OWN, "what", "json", "set"}
    return {k: v for k, v in vars(options).items() if k not in others and v is not None}


def _refit(study: Path, options: argparse.Namespace) -> int:
    if study.is_file():
        raise ConfigError(
            f"`{study}` is a table: say what to fit, as in `observatory fit boundary {study}`."
        )
    given = sorted(_table_options(options))
    given += [name for name in OWN if getattr(options, name) is not None]
    if given:
        raise ConfigError(
            f"{given} are of a single fit: say which, as in `observatory fit boundary {study}`."
        )
    from observatory.analysis.stats.text import text_of
    from observatory.launch.compose import compose
    from observatory.pipeline import refit

    records = refit(study, compose("map", options.set)["fit"])
    if options.json:
        print(json.dumps(records, indent=2))
    else:
        print("\n".join(text_of(record, "weight decay") for record in records))
    if records and all(record["refused"] for record in records):
        raise FitRefusedError(f"every fit refused; the first: {records[0]['refused']}")
    return 0


def _tell(task: "Task", options: argparse.Namespace) -> int:
    try:
        fitted = task.run()
    except FitRefusedError as refusal:
        if options.json:
            print(json.dumps(task.refused(str(refusal)), indent=2, allow_nan=False))
        raise
    print(fitted.to_string() if options.json else fitted)
    if options.plot is not None:
        from observatory.analysis.fit.plot import save_plot

        save_plot(fitted.kind, fitted.to_json(), fitted.observations, options.plot)
    return 0


def _tell_curves(table: "pd.DataFrame | str", options: argparse.Namespace) -> int:
    found = fit_named_curves(table, settings(options.set), options)
    if options.json or found.refused is None:
        print(found.to_string() if options.json else found)
    if found.refused is not None:
        raise FitRefusedError(found.refused)
    if options.plot is not None:
        found.save_plot(options.plot)
    return 0


def _tell_task(
    task: "SizeTask | PairedTask | VarianceTask | AuditTask | LeadTask", options: argparse.Namespace
) -> int:
    try:
        found = task.run()
    except FitRefusedError as refusal:
        if options.json:
            print(json.dumps(task.refused(str(refusal)), indent=2, allow_nan=False))
        raise
    print(found.to_string() if options.json else found)
    if options.plot is not None:
        found.save_plot(options.plot)
    return 0


def settings(assignments: list[str]) -> dict[str, Any]:
    """`KEY=VALUE` as plain values.

    Example:
        >>> settings(["lapse=0.1", "guess=null", "beta=[1e-4, 1e3]"])
        {'lapse': 0.1, 'guess': None, 'beta': [0.0001, 1000]}

    Raises:
        ConfigError: If one is no such assignment.
    """
    from yaml import YAMLError

    found: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"`--set` must be KEY=VALUE, got {assignment!r}.")
        try:
            found[key] = _typed(value)
        except YAMLError as error:
            told = str(error).splitlines()[0]
            raise ConfigError(
                f"`--set` must be KEY=VALUE in YAML, got {assignment}: {told}."
            ) from error
    return found


def _typed(text: str) -> Any:
    """YAML, with 1e-3 a number, which YAML takes for text, and 1e6 a whole one."""
    import yaml

    class Loader(yaml.SafeLoader):
        """With numbers as they are typed."""

        def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
            value = float(super().construct_yaml_float(node))
            return int(value) if value.is_integer() and abs(value) < EXACT else value

    Loader.add_implicit_resolver(YAML_FLOAT, re.compile(EXPONENT), list("+-.0123456789"))
    Loader.add_constructor(YAML_FLOAT, Loader.construct_yaml_float)
    return yaml.load(text, Loader)


def _open(name: str, tracking_uri: str | None) -> "pd.DataFrame | str":
    """A path as it is, the runs of an MLflow experiment as a frame."""
    if not name.startswith(MLFLOW):
        if tracking_uri is not None:
            raise ConfigError(f"`--tracking-uri` is for {MLFLOW}EXPERIMENT, got {name}.")
        return name
    from observatory.mirror.connection import default_tracking_uri
    from observatory.mirror.read_table import experiment_table

    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    return experiment_table(name.removeprefix(MLFLOW), uri or default_tracking_uri(Path("results")))
