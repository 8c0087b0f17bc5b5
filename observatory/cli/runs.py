"""The verbs that compose runs from Hydra's overrides: plan, map, sweep and train."""

import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from observatory.cli.commands import QUIET, option, verb
from observatory.cli.types import Folder
from observatory.core.errors import ConfigError, ObservatoryError
from observatory.core.secrets import without_secrets

HYDRA = "Hydra's own, which show or queue runs"
_MODES = ("run", "multirun", "cfg", "info")
"""Of Hydra's flags, those that exclude each other."""
_OVERRIDES = (
    "Hydra's: GROUP=OPTION chooses a file of conf/GROUP, KEY=VALUE sets a number. "
    "KEY=A,B is a list: a run for each."
)


def without_dashes(error: click.NoSuchOption, typed: Sequence[str]) -> str | None:
    """How an override is written, where one was typed as an option."""
    for argument in typed:
        if argument.startswith(error.option_name) and "=" in argument:
            return (
                f"There is no option `{argument.partition('=')[0]}`. Overrides are written without "
                f"dashes. Write {argument.lstrip('-')}."
            )
    return None


def takes_overrides(function: Callable[..., int]) -> Callable[..., int]:
    """What every such verb takes."""
    for decorate in (
        option(
            "--config-dir", type=Folder(), metavar="DIR",
            help="Folder of configurations of your own, laid out as conf/ is. Classes that they "
            "name are found on PYTHONPATH.",
        ),
        QUIET,
        click.argument(
            "overrides", nargs=-1, metavar="[OVERRIDE ...]", help=_OVERRIDES,
            shell_complete=lambda ctx, param, typed: _offered(typed),
        ),
    ):  # fmt: skip
        function = decorate(function)
    return function


def _hydra(function: Callable[..., int]) -> Callable[..., int]:
    """The flags of Hydra's own command line."""
    flags: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
        (("-m", "--multirun"), {"is_flag": True, "help": "Run lists by a launcher of Hydra's."}),
        (
            ("-c", "--cfg"),
            {"type": click.Choice(["job", "hydra", "all"]), "metavar": "PART",
             "help": "Print the configuration (job, hydra or all), run nothing."},
        ),
        (("--resolve",), {"is_flag": True, "help": "With --cfg: references filled in."}),
        (("-p", "--package"), {"metavar": "KEY", "help": "With --cfg: only this part."}),
        (
            ("-i", "--info"),
            {"is_flag": False, "flag_value": "all", "metavar": "[WHAT]",
             "help": "Print what Hydra knows: all, config, defaults, defaults-tree, plugins or "
             "searchpath."},
        ),
        (("-r", "--run"), {"is_flag": True, "help": "Run one job, whatever the mode set."}),
        (("-cp", "--config-path"), {"metavar": "DIR", "help": "Instead of conf/."}),
        (("-cn", "--config-name"), {"metavar": "NAME", "help": "Instead of the verb's file."}),
        (("--experimental-rerun",), {"metavar": "FILE", "help": "A pickled job of Hydra."}),
        (("--hydra-help",), {"is_flag": True, "help": "Hydra's own help."}),
    )  # fmt: skip
    for names, attributes in reversed(flags):
        function = option(*names, group=HYDRA, **attributes)(function)
    return function


@verb(
    "observatory plan experiment=laptop_map",
    "observatory plan experiment=e5                         # three runs and their sum",
    "observatory plan experiment=e5 model=large fleet.size=2",
    "observatory plan experiment=smoke task.p=31 --json",
    extras=("train",),
    explain=without_dashes,
)
@takes_overrides
@option("--json", "as_json", is_flag=True, help="Print JSON; keys carry their units.")
def plan(overrides: tuple[str, ...], quiet: bool, config_dir: Path | None, as_json: bool) -> int:
    """What runs would cost in steps, memory and time; writes nothing.

    Replicas, steps, operations, memory and time on this machine, before anything is spent. Measures
    a few real steps, which takes up to a minute. Times are upper bounds: nobody leaves early.
    """
    from observatory.launch.compose import compose_runs, search_path
    from observatory.plan.plan import plan as measured
    from observatory.plan.text import text

    runs = compose_runs("map", [*search_path(config_dir), *overrides])
    if not quiet:
        print("measuring a few steps ...", file=sys.stderr)
    costs = measured(runs)
    print(json.dumps(costs, indent=2) if as_json else text(costs))
    return 0


@verb(
    "observatory map experiment=laptop_map                      # 11 weight decays x 8 seeds",
    "observatory map experiment=smoke                           # seconds",
    "observatory map experiment=laptop_map task=mul study=mul   # a study of its own",
    "observatory map experiment=laptop_map 'sweep.nuisance.seed=[8,9,10]' study=more_seeds",
    "observatory map experiment=wd_canonical fleet.device=cuda",
    "observatory map experiment=e5 model=small                  # one of the three runs of e5",
    "observatory map experiment=smoke --cfg job                 # print the configuration",
    name="map",
    extras=("train", "analysis"),
    explain=without_dashes,
)
@takes_overrides
@_hydra
def map_runs(**given: Any) -> int:
    """Train, fit, report and mirror: from nothing to the report.

    An experiment may consist of several runs (`hydra.sweeper.params` in its YAML, as in
    experiment=e5): they are trained one after another into one study and reported once. So are the
    runs of a list, model=small,medium; of a list in the YAML, model=small leaves that one.

    The same command again continues what is unfinished and returns what exists; it never
    overwrites.
    """
    return composed("map", **given)


@verb(
    "observatory sweep experiment=laptop_map study=searched",
    "observatory sweep experiment=laptop_map study=narrow search.width_decades=0.1",
    "observatory sweep experiment=smoke study=tiny search.low=0.01 search.high=3",
    extras=("train", "analysis"),
    explain=without_dashes,
)
@takes_overrides
@_hydra
def sweep(**given: Any) -> int:
    """Choose replicas as it goes, until the boundary is known well enough.

    A search for the critical weight decay, batch after batch, then fits and the report. Each batch
    is one fleet: the replicas that say most about the boundary, given all outcomes so far, per step
    that they cost. It stops where the interval is as narrow as asked, or at the budget. The same
    command again continues.

    The experiment's own sweep block is replaced; conf/search/boundary.yaml has what is asked for.
    """
    return composed("sweep", **given)


@verb(
    "observatory train optimizer.weight_decay=0.3 seed=1 study=one",
    "observatory train experiment=smoke",
    "observatory train -m experiment=smoke optimizer.lr=0.003,0.01 study=rates",
    "observatory train task.p=23 model.d_mlp=64 horizon_steps=600 study=tiny",
    extras=("train",),
    explain=without_dashes,
)
@takes_overrides
@_hydra
def train(**given: Any) -> int:
    """Train alone: no fit, no report.

    `a=1,2` is two runs, one after another; `-m a=1,2` an ordinary Hydra multirun, which
    hydra/launcher=... queues. Without a sweep block it is one network, a fleet of one.
    """
    return composed("train", **given)


def composed(
    verb: str, overrides: tuple[str, ...], quiet: bool, config_dir: Path | None, **hydra: Any
) -> int:
    """Do a verb: plain overrides here, Hydra's own flags through Hydra's application."""
    from observatory.analysis.fit.settings import classes_of

    flags = _typed(hydra)
    modes = [f"--{name}" for name in _MODES if hydra[name]]
    if len(modes) > 1:
        raise ConfigError(f"{' and '.join(modes)} exclude each other: give one of them.")
    from observatory.launch.compose import (
        changed_presets,
        check_overrides,
        compose_runs,
        search_path,
    )

    given = [*search_path(config_dir), *overrides]
    if flags:
        if not (hydra["info"] or hydra["config_path"] or hydra["config_name"]):
            check_overrides(verb, given)
        folder = [] if config_dir is None else ["--config-dir", str(config_dir.resolve())]
        with classes_of(config_dir):
            return hydra_application(verb, [*flags, *folder, *overrides])
    runs = compose_runs(verb, given)
    for sentence in [] if quiet else changed_presets(verb, given):
        print(sentence, file=sys.stderr)
    with classes_of(config_dir):
        perform(verb, runs, quiet=quiet)
    return 0


def _typed(given: Mapping[str, Any]) -> list[str]:
    """Hydra's flags as they were typed, those that were given."""
    found: list[str] = []
    for name, value in given.items():
        if value is not None and value is not False:
            flag = f"--{name.replace('_', '-')}"
            found += [flag] if value is True else [flag, str(value)]
    return found


def perform(verb: str, runs: dict[str, dict[str, Any]], *, quiet: bool) -> list[Path]:
    """Do what a verb does with configurations; prints and returns what it made."""
    from observatory.launch.many import train_runs
    from observatory.pipeline import run_map, run_sweep

    watch, say = reporting(quiet=quiet)
    if verb == "sweep":
        if len(runs) > 1:
            raise ConfigError("`sweep` searches one run's boundary at a time: name one of them.")
        made = [run_sweep(next(iter(runs.values())), watch, say)]
    else:
        made = (run_map if verb == "map" else train_runs)(runs, watch, say)
    for path in made:
        print(path)
    return made


def reporting(*, quiet: bool) -> tuple[Any, Callable[[str], None]]:
    """How progress is shown (None: not at all) and where sentences go, for the pipeline."""
    from observatory.launch.display import live

    if quiet:
        return None, lambda text: None
    return live, lambda text: print(text, file=sys.stderr)


def hydra_application(verb: str, arguments: list[str]) -> int:
    """Hydra's command line (multirun, --cfg, --info, ...) around the same function."""
    import hydra
    from hydra.core.plugins import Plugins
    from omegaconf import DictConfig

    from hydra_plugins.observatory_sweeper.sweeper import BoundarySweeper
    from observatory.launch.overrides import without_values

    # Hydra finds it by itself in site-packages, but not where the package is installed as editable.
    Plugins.instance().register(BoundarySweeper)

    @hydra.main(version_base="1.3", config_path="pkg://observatory.conf", config_name=verb)
    def application(composed: DictConfig) -> str:
        from hydra.core.hydra_config import HydraConfig

        from observatory.launch.compose import ready

        try:
            config = ready(composed, HydraConfig.get())
            return str(perform(verb, {"": config}, quiet=True)[0])
        except ObservatoryError as error:  # in one line, and with its exit code: not as Hydra would
            print(f"observatory: {without_secrets(str(error))}", file=sys.stderr)
            sys.exit(error.exit_code)

    sys.argv = [f"observatory {verb}", *without_values(arguments)]
    shown = io.StringIO()
    with redirect_stdout(shown) if {"--cfg", "--info"} & {*arguments} else nullcontext():
        application()
    print(without_secrets(shown.getvalue()), end="")
    return 0


def _offered(typed: str) -> list[CompletionItem]:
    """Groups of conf/, and the files of a group, for the shell."""
    from importlib.resources import files

    group, equals, start = typed.partition("=")
    folders = sorted(f.name for f in files("observatory.conf").iterdir() if f.is_dir())
    if not equals:
        return [CompletionItem(f"{name}=") for name in folders if name.startswith(group)]
    if group not in folders:
        return []
    names = sorted(f.name for f in files("observatory.conf").joinpath(group).iterdir())
    options = [name.removesuffix(".yaml") for name in names if name.endswith(".yaml")]
    return [CompletionItem(f"{group}={name}") for name in options if name.startswith(start)]
