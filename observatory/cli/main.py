"""`observatory VERB ...`: composes configurations and calls one function per verb."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from observatory.core.errors import ConfigError, ObservatoryError

ABOUT = """observatory: train many small networks as one, map where they memorise, grok or collapse.

usage: observatory VERB ...

  plan      what runs would cost in steps, memory and time; writes nothing
  map       train, fit, report and mirror: from nothing to the report
  sweep     choose replicas as it goes, until the boundary is known well enough
  train     train alone (`a=1,2` is two runs, `-m a=1,2` an ordinary Hydra multirun)
  fit       fit a study anew from its store, or any table
  report    build a study's report.html anew
  browse    open MLflow's pages on all studies
  status    what is done, running, queued or failed
  retry     train the runs of a study that failed or were interrupted
  export    a study as one bundle that explains and checks itself, for others
  import    a bundle as a study among your own
  doctor    check this machine and installation

examples:
  observatory plan experiment=laptop_map
  observatory map experiment=laptop_map
  observatory map experiment=smoke results=/tmp/results
  observatory status results/laptop_map
  observatory VERB --help
"""

EXIT_CODES = "exit codes: 0 done, 2 bad input, 3 a fit refused, 4 another process owns the run"

COMPOSED = {
    "map": """Train a run, fit its study, write the report and mirror it to MLflow.

An experiment may consist of several runs (`hydra.sweeper.params` in its YAML, as in experiment=e5):
they are trained one after another into one study and reported once. So are the runs of a list,
model=small,medium; of a list in the YAML, model=small leaves that one.

usage: observatory map [OVERRIDE ...] [--quiet] [--config-dir DIR]

Overrides are Hydra's: GROUP=OPTION chooses a file of conf/GROUP, KEY=VALUE sets a number. The same
command again continues what is unfinished and returns what exists; it never overwrites. DIR may
hold YAML files of your own, laid out as conf/ is.

examples:
  observatory map experiment=laptop_map                      11 weight decays x 8 seeds, minutes
  observatory map experiment=smoke                           seconds
  observatory map experiment=laptop_map task=mul study=mul   another task, in a study of its own
  observatory map experiment=laptop_map 'sweep.nuisance.seed=[8,9,10]' study=more_seeds
  observatory map experiment=wd_canonical fleet.device=cuda
  observatory map experiment=e5 model=small                  one of the three runs of e5
  observatory map experiment=smoke --cfg job                 print the configuration, run nothing
""",
    "sweep": """Search for the critical weight decay, batch after batch, then fit and report.

Each batch is one fleet: the replicas that tell most about the boundary, given all outcomes so far,
per step that they cost. It stops where the interval is as narrow as asked, or at the budget. The
same command again continues.

usage: observatory sweep [OVERRIDE ...] [--quiet] [--config-dir DIR]

The experiment's own sweep block is replaced; conf/search/boundary.yaml has what is asked for.

examples:
  observatory sweep experiment=laptop_map study=searched
  observatory sweep experiment=laptop_map study=narrow search.width_decades=0.1 search.budget=200
  observatory sweep experiment=smoke study=tiny search.low=0.01 search.high=3 search.batch=8
""",
    "train": """Train the runs of an experiment into the store; no fit, no report.

usage: observatory train [OVERRIDE ...] [--quiet] [--config-dir DIR]

Without a sweep block it is one network, a fleet of one. Flags that are not listed here are Hydra's
(`-m`, `--cfg job`, `--info`, ...); `-m` with hydra/launcher=... queues the runs of a list.

examples:
  observatory train optimizer.weight_decay=0.3 seed=1 study=one
  observatory train experiment=smoke
  observatory train -m experiment=smoke optimizer.lr=0.003,0.01 study=rates
  observatory train task.p=23 model.d_mlp=64 horizon_steps=600 study=tiny
""",
}


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one verb and return the exit code."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(f"{ABOUT}\n{EXIT_CODES}")
        return 0
    verb, rest = arguments[0], list(arguments[1:])
    if verb == "--version":
        import observatory

        print(observatory.__version__)
        return 0
    try:
        if verb in COMPOSED:
            return _composed(verb, rest)
        if verb in VERBS:
            parser, action = VERBS[verb]
            return action(parser().parse_intermixed_args(rest))
        known = ", ".join([*COMPOSED, *VERBS])
        raise ConfigError(f"`VERB` must be one of {known}, got {verb!r}.")
    except ObservatoryError as error:
        print(f"observatory: {error}", file=sys.stderr)
        return error.exit_code


def _composed(verb: str, rest: list[str]) -> int:
    """`map` and `train`: plain overrides here, Hydra's own flags through Hydra's application."""
    if "-h" in rest or "--help" in rest:
        print(f"{COMPOSED[verb]}\n{EXIT_CODES}")
        return 0
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--config-dir", type=Path)
    options, overrides = parser.parse_known_args(rest)
    if any(argument.startswith("-") for argument in overrides):
        return _hydra_application(verb, [argument for argument in rest if argument != "--quiet"])
    _perform(verb, _runs(verb, overrides, options.config_dir), options.quiet)
    return 0


def _runs(name: str, overrides: list[str], config_dir: Path | None) -> dict[str, dict[str, Any]]:
    """See `compose_runs`; `config_dir` holds configurations of the user's own."""
    from observatory.launch.compose import compose_runs

    if config_dir is not None and not config_dir.is_dir():
        raise ConfigError(f"`--config-dir` must be a folder, got {config_dir}.")
    path = [] if config_dir is None else [f"hydra.searchpath=['file://{config_dir.resolve()}']"]
    return compose_runs(name, [*path, *overrides])


def _perform(verb: str, runs: dict[str, dict[str, Any]], quiet: bool) -> list[Path]:
    """Do what a verb does with configurations; prints and returns what it made."""
    from observatory.launch.display import live
    from observatory.pipeline import run_map, run_sweep, train_runs

    watch = None if quiet else live
    tell = (lambda text: None) if quiet else (lambda text: print(text, file=sys.stderr))
    if verb == "sweep":
        if len(runs) > 1:
            raise ConfigError("`sweep` searches one run's boundary at a time: name one of them.")
        made = [run_sweep(next(iter(runs.values())), watch, tell)]
    else:
        made = (run_map if verb == "map" else train_runs)(runs, watch, tell)
    for path in made:
        print(path)
    return made


def _hydra_application(verb: str, rest: list[str]) -> int:
    """Hydra's command line (multirun, --cfg, --info, ...) around the same function."""
    import hydra
    from hydra.core.plugins import Plugins
    from omegaconf import DictConfig

    from hydra_plugins.observatory_sweeper.sweeper import BoundarySweeper

    # Hydra finds it by itself in site-packages, but not where the package is installed as editable.
    Plugins.instance().register(BoundarySweeper)

    @hydra.main(version_base="1.3", config_path="pkg://observatory.conf", config_name=verb)
    def application(composed: DictConfig) -> str:
        from hydra.core.hydra_config import HydraConfig

        from observatory.launch.compose import ready

        config = ready(composed, HydraConfig.get().runtime.choices.get("experiment"))
        return str(_perform(verb, {"": config}, quiet=True)[0])

    sys.argv = [f"observatory {verb}", *rest]
    application()
    return 0


def _parser(verb: str, about: str, examples: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"observatory {verb}",
        description=about,
        epilog=f"examples:\n{examples}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _plan_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "plan",
        "Say what the runs of an experiment would cost, before anything is spent: replicas,\n"
        "steps, operations, memory and time on this machine. Measures a few real steps, which\n"
        "takes up to a minute; writes nothing. Times are upper bounds: nobody leaves early.",
        "  observatory plan experiment=laptop_map\n"
        "  observatory plan experiment=e5                         three runs and their sum\n"
        "  observatory plan experiment=e5 model=large fleet.size=2\n"
        "  observatory plan experiment=smoke task.p=31 --json\n",
    )
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as for `map`")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="as for `map`")
    parser.add_argument("--json", action="store_true", help="print JSON; keys carry their units")
    return parser


def _plan(options: argparse.Namespace) -> int:
    from observatory.plan.plan import plan
    from observatory.plan.text import text

    runs = _runs("map", options.overrides, options.config_dir)
    print("measuring a few steps ...", file=sys.stderr)
    told = plan(runs)
    print(json.dumps(told, indent=2) if options.json else text(told))
    return 0


def _fit_parser() -> argparse.ArgumentParser:
    from observatory.cli.fit import ABOUT as ABOUT_FIT
    from observatory.cli.fit import EXAMPLES, add_options

    parser = _parser("fit", ABOUT_FIT, EXAMPLES)
    add_options(parser)
    return parser


def _fit(options: argparse.Namespace) -> int:
    from observatory.cli.fit import perform

    return perform(options)


def _report_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "report",
        "Build a study's report.html anew from its store and fits.json; of several studies, one\n"
        "page that compares them, the first being the one that others are compared with.",
        "  observatory report results/laptop_map\n"
        "  observatory report results/mlp results/lstm --out comparison.html\n",
    )
    parser.add_argument("study", type=Path, nargs="+", help="folder of a study")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="page of a comparison (comparison.html)"
    )
    return parser


def _report(options: argparse.Namespace) -> int:
    from observatory.pipeline import rebuild_report

    if len(options.study) == 1 and options.out is None:
        print(rebuild_report(options.study[0]))
        return 0
    from observatory.analysis.report.compare import build_comparison

    print(build_comparison(options.study, options.out or Path("comparison.html")))
    return 0


def _browse_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "browse",
        "Mirror the studies below a folder to MLflow and open its pages; Ctrl-C ends it.",
        "  observatory browse\n  observatory browse results --study laptop_map --port 5055\n"
        "  observatory browse results --tracking-uri postgresql://me@host/mlflow --once\n",
    )
    parser.add_argument(
        "results", type=Path, nargs="?", default=Path("results"), help="folder of the studies"
    )
    parser.add_argument("--study", help="name of one study; all without it")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind")
    parser.add_argument("--port", type=int, default=5000, help="port to bind")
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="a database or server (mlflow.db in the folder)"
    )
    parser.add_argument(
        "--once", action="store_true", help="bring MLflow up to date and end, without a page"
    )
    return parser


def _browse(options: argparse.Namespace) -> int:
    from observatory.mirror.browse import browse
    from observatory.mirror.settings import default_settings

    settings = default_settings(options.results, options.tracking_uri)
    return browse(
        options.results, options.host, options.port, options.study, settings, once=options.once
    )


def _status_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "status",
        "Say of every run of a study what is done, running, queued or failed.",
        "  observatory status results/laptop_map\n  observatory status results/laptop_map --json\n",
    )
    parser.add_argument("study", type=Path, help="folder of the study")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _status(options: argparse.Namespace) -> int:
    from observatory.launch.status import study_status, text

    told = study_status(options.study)
    print(json.dumps(told, indent=2) if options.json else text(told))
    return 0


def _export_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "export",
        "Write a study as one bundle for others: tables, settings, report, figures, environment,\n"
        "citation, checksums, and a README that explains every file and column. Nothing in it\n"
        "names this machine or its paths. The same study gives the same bytes.",
        "  observatory export results/laptop_map --author 'Ada Lovelace'\n"
        "  observatory export results/laptop_map --out laptop_map.tar.gz\n"
        "  observatory export results/laptop_map --out published/laptop_map    a folder\n"
        "  observatory export results/laptop_map --weights\n"
        "  observatory export results/running --partial\n",
    )
    parser.add_argument("study", type=Path, help="folder of the study")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR_OR_TAR",
        help="a .tar, .tar.gz or .tgz, or a folder (NAME.tar in the present folder)",
    )
    parser.add_argument(
        "--weights",
        action="store_true",
        help="parameters of every network that has some, as safetensors: when it left, or at the "
        "last checkpoint",
    )
    parser.add_argument(
        "--partial", action="store_true", help="also a study whose runs are not all done"
    )
    parser.add_argument(
        "--author",
        action="append",
        default=[],
        metavar="NAME",
        help="whom CITATION.cff names; may be given again",
    )
    return parser


def _export(options: argparse.Namespace) -> int:
    from observatory.bundle.export import export_study

    print(
        export_study(
            options.study,
            options.out,
            weights=options.weights,
            partial=options.partial,
            authors=options.author,
        )
    )
    return 0


def _import_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "import",
        "Make a study of a bundle, once its checksums agree; then `report`, `fit`, `status` and\n"
        "`browse` work on it. A study that exists is never overwritten.",
        "  observatory import laptop_map.tar\n"
        "  observatory import published/laptop_map --results elsewhere\n",
    )
    parser.add_argument("bundle", type=Path, help="what `export` wrote, a tar or a folder")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder of the studies (results)",
    )
    return parser


def _import(options: argparse.Namespace) -> int:
    from observatory.bundle.unpack import import_bundle

    print(import_bundle(options.bundle, options.results))
    return 0


def _retry_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "retry",
        "Train the runs of a study that failed or were interrupted, each from its last\n"
        "checkpoint and with its own configuration. Runs that are done, or that another process\n"
        "owns, are left alone. A search is continued by its own command.",
        "  observatory retry results/laptop_map\n  observatory retry results/laptop_map --here\n",
    )
    parser.add_argument("study", type=Path, help="folder of the study")
    parser.add_argument(
        "--here", action="store_true", help="train on this machine what was queued as jobs"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


def _retry(options: argparse.Namespace) -> int:
    from observatory.launch.display import live
    from observatory.pipeline import retry

    def tell(text: str) -> None:
        if not options.quiet:
            print(text, file=sys.stderr)

    for folder in retry(options.study, options.here, None if options.quiet else live, tell):
        print(folder)
    return 0


def _doctor_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "doctor",
        "Check this machine and installation.",
        "  observatory doctor\n  observatory doctor --json\n",
    )
    parser.add_argument(
        "results", type=Path, nargs="?", default=Path("results"), help="where studies will go"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from observatory.cli.doctor import as_json, as_text, examine, healthy

    checks = examine(options.results)
    print(as_json(checks) if options.json else as_text(checks))
    return 0 if healthy(checks) else 2


VERBS: dict[
    str, tuple[Callable[[], argparse.ArgumentParser], Callable[[argparse.Namespace], int]]
] = {
    "fit": (_fit_parser, _fit),
    "report": (_report_parser, _report),
    "browse": (_browse_parser, _browse),
    "status": (_status_parser, _status),
    "retry": (_retry_parser, _retry),
    "doctor": (_doctor_parser, _doctor),
    "plan": (_plan_parser, _plan),
    "export": (_export_parser, _export),
    "import": (_import_parser, _import),
}
