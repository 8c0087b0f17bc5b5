"""Commands as click makes them, with help texts and complaints in our words."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, final

import click

from observatory.core.extras import require
from observatory.core.settings import did_you_mean

EXIT_CODES = (
    "exit codes: 0 done, 2 bad input, 3 a fit refused, 4 another process owns the run, 70 our fault"
)
WIDTH = 100
"""Columns of a help text, where the terminal has as many."""
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": WIDTH}


@final
class Option(click.Option):
    """An option with its place in the help text, and names that it had before.

    Attributes:
        group: Heading of the help text under which it stands.
        old_names: Further spellings, which no help text shows.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        group: str = "options",
        old_names: Sequence[str] = (),
        **attributes: Any,
    ) -> None:
        super().__init__([*names, *old_names], **attributes)
        self.group = group
        self.old_names = tuple(old_names)

    def get_help_spec(self, ctx: click.Context) -> str:
        """Its names that are shown, and what it takes."""
        shown = ", ".join([name for name in self.opts if name not in self.old_names])
        other = "".join(f" / {name}" for name in self.secondary_opts)
        return shown + other if self.is_flag else f"{shown} {self.make_metavar(ctx)}"


@final
class Command(click.Command):
    """A verb, or a question of `fit`.

    Its text is the docstring of its function: the first line stands in lists of commands.

    Attributes:
        examples: Whole command lines.
        call: What stands behind its name in the line of usage; None: its arguments.
        extras: Those of `core.extras` without which it cannot be done.
        explain: Makes a sentence of an option that it does not have and all that was typed; None
            where the usual sentence is right.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        call: str | None = None,
        extras: Sequence[str] = (),
        explain: Callable[[click.NoSuchOption, Sequence[str]], str | None] | None = None,
        **attributes: Any,
    ) -> None:
        settings = {**SETTINGS, "allow_extra_args": True}
        super().__init__(*args, context_settings=settings, **attributes)
        self.examples = tuple(examples)
        self.call = call
        self.extras = tuple(extras)
        self.explain = explain

    def invoke(self, ctx: click.Context) -> Any:
        """Do it; refuses first where a package that it needs is not installed."""
        require(*self.extras, by=f"`{ctx.command_path}`")
        return super().invoke(ctx)

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first line of its text."""
        return summary_of(self)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """How it is called."""
        formatter.write_usage(ctx.command_path, self.usage(ctx), prefix="usage: ")

    def usage(self, ctx: click.Context) -> str:
        """What stands behind its name."""
        arguments = [p for p in self.get_params(ctx) if isinstance(p, click.Argument)]
        names = [p.make_metavar(ctx) for p in arguments] if self.call is None else [self.call]
        return " ".join([*filter(None, names), "[OPTION ...]"])

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What it does."""
        write_text(formatter, inspect.cleandoc(self.help or ""))

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What it takes by position."""
        given = [p for p in self.get_params(ctx) if isinstance(p, click.Argument)]
        rows = [p.get_help_record(ctx) for p in given if p.help]
        if rows:
            with formatter.section("arguments"):
                formatter.write_dl(rows)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its options, under the heading of each."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                group = parameter.group if isinstance(parameter, Option) else "other options"
                sections.setdefault(group, []).append(record)
        if set(sections) == {"options", "other options"}:
            sections = {"options": [*sections["options"], *sections["other options"]]}
        for group, rows in sections.items():
            with formatter.section(group if len(sections) > 1 else "options"):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its examples, and the exit codes."""
        write_examples(formatter, self.examples)
        formatter.write(f"\n{EXIT_CODES}\n")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what was typed; refuses what it has no place for."""
        typed = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            said = None if self.explain is None else self.explain(error, typed)
            if said is None:
                raise
            raise click.UsageError(said, ctx) from error
        if rest and not ctx.resilient_parsing:
            call = f"{ctx.command_path} {self.usage(ctx)}".removesuffix("[OPTION ...]").strip()
            raise click.UsageError(f"`{call}` takes no further arguments, got {rest}.", ctx)
        return rest

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """What the shell offers: options by the names that help texts show."""
        old = {name for p in self.params if isinstance(p, Option) for name in p.old_names}
        return [item for item in super().shell_complete(ctx, incomplete) if item.value not in old]


def verb(*examples: str, **attributes: Any) -> Callable[[Callable[..., Any]], Command]:
    """A decorator that makes a verb of a function, with examples of how it is typed."""
    return click.command(cls=Command, examples=examples, **attributes)


option = partial(click.option, cls=Option)
JSON = option("--json", "as_json", is_flag=True, help="Print JSON.")
QUIET = option("--quiet", is_flag=True, help="Show no progress.")


def summary_of(command: click.Command) -> str:
    """The first line of a command's text, without its full stop."""
    return inspect.cleandoc(command.help or "").partition("\n")[0].removesuffix(".")


def write_text(formatter: click.HelpFormatter, text: str) -> None:
    """Paragraphs, each wrapped by itself."""
    for paragraph in text.split("\n\n"):
        formatter.write_paragraph()
        formatter.write_text(paragraph)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Command lines as they are typed, never wrapped."""
    if examples:
        lines = "".join(f"  {example}\n" for example in examples)
        formatter.write(f"\nexamples:\n{lines}")


def message_of(error: click.ClickException) -> str:
    """What is wrong with a command line, as a sentence."""
    if isinstance(error, click.NoSuchOption):
        return _no_such_option(error)
    parameter = error.param if isinstance(error, click.BadParameter) else None
    if isinstance(error, click.MissingParameter) and parameter is not None:
        return f"`{_name(parameter)}` must be given: {_help(parameter)}"
    if parameter is not None:
        joint = " " if error.message.startswith("must ") else ": "
        return f"`{_name(parameter)}`{joint}{error.message}"
    if isinstance(error, click.BadOptionUsage):
        rule = "takes no value" if "does not take" in error.message else "must be given a value"
        return f"`{error.option_name}` {rule}."
    return error.format_message()


def _no_such_option(error: click.NoSuchOption) -> str:
    context = error.ctx
    path = "" if context is None else f" of `{context.command_path}`"
    near = did_you_mean(error.option_name, error.possibilities or ())
    names = [] if context is None else _option_names(context.command, context)
    known = "" if near or not names else f" It has {', '.join(names)}."
    return f"There is no option `{error.option_name}`{path}.{near}{known}"


def _option_names(command: click.Command, context: click.Context) -> list[str]:
    """The long names of a command's options, those that help texts show."""
    shown = [p for p in command.get_params(context) if isinstance(p, click.Option) and not p.hidden]
    return [max(set(p.opts) - set(getattr(p, "old_names", ())), key=len) for p in shown]


def _name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return parameter.opts[0] if len(parameter.opts[0]) > 2 else parameter.opts[-1]
    return parameter.human_readable_name.removesuffix(" ...")


def _help(parameter: click.Parameter) -> str:
    return str(getattr(parameter, "help", "") or "").strip()
