"""`observatory fit`: every fit of a study anew, or one question put to a table."""

import json
from pathlib import Path
from typing import final

import click

from observatory.analysis.fit.questions import questions
from observatory.cli.commands import (
    EXIT_CODES,
    option,
    summary_of,
    verb,
    write_examples,
    write_text,
)
from observatory.cli.question import of_a_question, question_command
from observatory.cli.types import Folder
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.core.settings import did_you_mean

STUDY = "STUDY"
"""The name, never typed, of the command that fits a study."""
ABOUT = """Fit a study anew from its store, or put one question to any table.

A TABLE is a CSV or Parquet file, the folder of a study, or mlflow:EXPERIMENT; from columns and how
they are named to what the JSON holds, all is in docs/fits.md.
"""


@verb(
    "observatory fit results/laptop_map",
    "observatory fit results/laptop_map --set fit.boundary_lsq.smoothing=0.5 --json",
    "observatory fit results/laptop_map --set fit.study.lead=boundary_firth",
    call="",
    extras=("analysis",),
    explain=of_a_question,
)
@click.argument("study", type=click.Path(path_type=Path))
@option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Any setting of conf/fit, such as fit.boundary_lsq.level=0.9.",
)  # fmt: skip
@option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@option(
    "--config-dir", type=Folder(), metavar="DIR",
    help="Folder of configurations of your own, laid out as conf/ is.",
)  # fmt: skip
def refit(study: Path, overrides: tuple[str, ...], as_json: bool, config_dir: Path | None) -> int:
    """Make every fit of conf/fit anew: writes fits.json and replicas.csv of the study.

    One boundary, fit.study.lead, leads at every horizon: named before the fits.
    """
    if study.is_file():
        raise ConfigError(
            f"`{study}` is a table: say what to fit, as in `observatory fit boundary {study}`."
        )
    from observatory.analysis.fit.settings import classes_of
    from observatory.analysis.stats.text import text_of
    from observatory.analysis.tables.cells import CELLS
    from observatory.launch.compose import compose, search_path
    from observatory.pipeline import refit as fit_again

    settings = compose("map", [*search_path(config_dir), *overrides])["fit"]
    with classes_of(config_dir):
        records = fit_again(study, settings)
    fitted = [record for record in records if record["fit"] != CELLS]
    if as_json:
        print(json.dumps(records, indent=2))
    else:
        print("\n".join(text_of(record) for record in fitted))
    if fitted and all(record["refused"] for record in fitted):
        raise FitRefusedError(f"every fit refused; the first: {fitted[0]['refused']}")
    return 0


@final
class _FitGroup(click.Group):
    """The questions by their names; anything else is the folder of a study."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the questions."""
        return list(questions())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a question, by its name or one that it had before."""
        if cmd_name == STUDY:
            return refit
        named = cmd_name.replace("-", "_")
        for question in questions().values():
            if named in (question.name, *question.aliases):
                return question_command(question)
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what was typed: the name of a question may stand behind options."""
        names = [name for q in questions().values() for name in (q.name, *q.aliases)]
        names += [name.replace("_", "-") for name in names if "_" in name]
        if not args and not ctx.resilient_parsing:
            raise click.UsageError(f"`fit` must be followed by {_expected()}.", ctx)
        first = args[0] if args else ""
        if not first or first in names or first in ctx.help_option_names:
            return super().parse_args(ctx, args)
        if first.startswith("-"):
            place = next((i for i, typed in enumerate(args) if typed in names), None)
            if place is not None:
                return super().parse_args(ctx, [args[place], *args[:place], *args[place + 1 :]])
        elif not ("/" in first or Path(first).exists() or ctx.resilient_parsing):
            near = did_you_mean(first, names)
            raise click.UsageError(
                f"`fit` must be followed by {_expected()}, got {first!r}.{near}", ctx
            )
        return super().parse_args(ctx, [STUDY, *args])

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Both ways of calling it."""
        formatter.write_usage(ctx.command_path, f"{STUDY} [OPTION ...]", prefix="usage: ")
        formatter.write_usage(ctx.command_path, "QUESTION TABLE [OPTION ...]", prefix="       ")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What it does."""
        write_text(formatter, ABOUT.strip())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The questions, and the options of a study."""
        with formatter.section("questions"):
            formatter.write_dl([(q.name, q.summary) for q in questions().values()])
        with formatter.section("options of a study; those of a question: `fit QUESTION --help`"):
            records = [parameter.get_help_record(ctx) for parameter in refit.params]
            formatter.write_dl([r for r in records if r is not None and r[0].startswith("-")])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """An example of each, and the exit codes."""
        asked = [f"observatory fit {q.examples[0]}" for q in questions().values()]
        write_examples(formatter, [*refit.examples, *asked])
        formatter.write(f"\n{EXIT_CODES}\n")

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first line of its text."""
        return summary_of(self)


fit = _FitGroup(name="fit", help=ABOUT, no_args_is_help=False)


def _expected() -> str:
    return f"the folder of a study or one of {', '.join(questions())}"
