"""The sub-command of a question, made from its public function: nothing is listed twice."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.questions import questions
from observatory.cli.commands import Command, Option
from observatory.cli.signature import Parameter, choices, holds, parameters
from observatory.cli.types import PICTURES, Folder, Names, NewFile, Number, settings
from observatory.core.errors import FitRefusedError

if TYPE_CHECKING:
    from observatory.analysis.fit.result import Fitted

_OLD_NAMES = {
    "control": ("--x",),
    "horizon_steps": ("--horizon",),
    "estimator": ("--model",),
    "signals": ("--signal",),
}
"""Further names of options, by the parameter."""
SETTINGS = "settings"
COLUMNS, FITTED, NUMBERS, OTHER = "columns", "what is fitted", "numbers", "other options"
GROUPS = (COLUMNS, FITTED, NUMBERS, OTHER)
"""Headings of the help text, in their order."""
MAPPINGS, LISTS = (Mapping, dict), (Sequence, list, tuple)
PLACES = ("config_dir", "tracking_uri")
"""Parameters that say where something is."""


def question_command(question: Question) -> Command:
    """`observatory fit NAME`, with the options that its function takes.

    Raises:
        TypeError: If a parameter has no text, or a type that no option can have.
    """
    taken = parameters(question.ask)
    options = [option(parameter, question) for parameter in taken if not parameter.is_table]
    options += _output_options(question)
    words = {p.name: _flag(p) for p in taken if not p.is_table}
    for made in options:
        made.help = _in_flags(made.help or "", words)
    arguments = [_argument(parameter) for parameter in taken if parameter.is_table]

    def ask(*, as_json: bool, plot: Path | None = None, **given: Any) -> int:
        return answer(question, taken, given, as_json=as_json, plot=plot)

    return Command(
        name=question.name,
        params=[*arguments, *sorted(options, key=lambda made: GROUPS.index(made.group))],
        callback=ask,
        help=f"{question.summary[0].upper()}{question.summary[1:]}.",
        examples=[f"observatory fit {example}" for example in question.examples],
        extras=("analysis",),
        explain=of_a_question,
    )


def of_a_question(error: click.NoSuchOption, typed: Sequence[str]) -> str | None:
    """Which questions have an option that another one, or a study, does not have."""
    owners = [
        question.name
        for question in questions().values()
        for parameter in parameters(question.ask)
        if error.option_name in (_flag(parameter), *_OLD_NAMES.get(parameter.name, ()))
    ]
    if not owners or error.ctx is None:
        return None
    names = ", ".join(f"`fit {name}`" for name in owners)
    return (
        f"`{error.option_name}` is no option of `{error.ctx.command_path}`. It is one of {names}: "
        "put that name first, or leave the option out."
    )


def _output_options(question: Question) -> list[Option]:
    """What every question has: JSON, and a picture where it has a figure."""
    made = [
        Option(["--json", "as_json"], is_flag=True, group=OTHER, help="Print the record as JSON.")
    ]
    if question.panel or question.figure:
        text = "Draw it into a .pdf, .png or .svg."
        made.append(
            Option(["--plot"], type=NewFile(*PICTURES), metavar="FILE", group=OTHER, help=text)
        )
    return made


def answer(
    question: Question,
    taken: Sequence[Parameter],
    given: Mapping[str, Any],
    *,
    as_json: bool,
    plot: Path | None,
) -> int:
    """Ask a question, print its answer, and draw it where that was asked for.

    Raises:
        ConfigError: If a table or an option breaks a rule.
        FitRefusedError: If the tables cannot give an answer.
    """
    tables: list[Any] = []
    options: dict[str, Any] = {}
    for parameter in taken:
        value = given[parameter.name]
        if parameter.is_table:
            tables += value if parameter.unpacked else [value]
        elif value is not None and value != ():
            mapping = holds(parameter, *MAPPINGS)
            options[parameter.name] = settings(value) if mapping else value
    try:
        fitted: Fitted = question.ask(*tables, **options)
    except FitRefusedError as refusal:
        if as_json and refusal.record is not None:
            print(json.dumps(refusal.record, indent=2, allow_nan=False))
        raise
    print(fitted.to_string() if as_json else fitted)
    if plot is not None:
        fitted.save_plot(plot)
    return 0


def option(parameter: Parameter, question: Question) -> Option:
    """The option of a parameter.

    Raises:
        TypeError: If no option can have its type.
    """
    flag = _flag(parameter)
    attributes: dict[str, Any] = {"help": _with_default(parameter), "required": parameter.required}
    taken = set(_flags(question)) - {flag}
    old = [name for name in _OLD_NAMES.get(parameter.name, ()) if name not in taken]
    if bool in parameter.kinds:
        attributes |= {"type": bool, "default": None}
        flag = f"{flag}/--no-{flag[2:]}"
    elif holds(parameter, *MAPPINGS):
        attributes |= {"multiple": True, "metavar": "KEY=VALUE"}
    else:
        kind, metavar = _type(parameter)
        attributes |= {"type": kind, "metavar": metavar}
    if parameter.name == "estimator":
        attributes["shell_complete"] = lambda ctx, param, typed: _estimators(question, typed)
    return Option([flag, parameter.name], old_names=old, group=_group(parameter), **attributes)


def _type(parameter: Parameter) -> tuple[click.ParamType, str]:
    """How a value is read, and what help texts call it."""
    kinds, several = parameter.kinds, holds(parameter, *LISTS)
    if parameter.name == "config_dir":
        return Folder(), "DIR"
    if several:
        return Names(single=str in kinds), "COLUMNS" if _is_column(parameter) else "NAMES"
    if named := choices(parameter):
        return click.Choice(named), "|".join(named)
    if float in kinds or int in kinds:
        whole = float not in kinds
        limit = parameter.name.endswith("_max")
        return Number(whole=whole, limit=limit), "N" if whole else "X"
    if Path in kinds:
        return click.Path(path_type=Path), "PATH"
    if str in kinds:
        return click.STRING, "COLUMN" if _is_column(parameter) else "NAME"
    raise TypeError(f"`{parameter.name}` must have a type that can be typed, got {kinds}.")


def _argument(parameter: Parameter) -> click.Argument:
    name = parameter.name.removesuffix("s") if parameter.several else parameter.name
    return click.Argument(
        [parameter.name],
        nargs=-1 if parameter.several else 1,
        required=True,
        metavar=f"{name.upper()}{' ...' * parameter.several}",
        help=parameter.text,
        type=click.Path(),
    )


def _flag(parameter: Parameter) -> str:
    name = "set" if parameter.name == SETTINGS else parameter.name
    return f"--{name.replace('_', '-')}"


def _flags(question: Question) -> list[str]:
    return [_flag(parameter) for parameter in parameters(question.ask)]


def _is_column(parameter: Parameter) -> bool:
    return parameter.text.startswith("Column")


def _group(parameter: Parameter) -> str:
    """The heading under which it stands."""
    if _is_column(parameter):
        return COLUMNS
    if parameter.name in PLACES or Path in parameter.kinds:
        return OTHER
    return NUMBERS if {int, float} & set(parameter.kinds) else FITTED


def _with_default(parameter: Parameter) -> str:
    """Its text, and what holds without it."""
    default = parameter.default
    if default is None or isinstance(default, bool):
        return parameter.text
    return f"{parameter.text.removesuffix('.')} ({default})."


def _in_flags(text: str, words: Mapping[str, str]) -> str:
    """A text of the library with its parameters as they are typed in a command."""
    return re.sub(r"`(\w+)`", lambda found: words.get(found[1], found[0]), text)


def _estimators(question: Question, typed: str) -> list[str]:
    from observatory.analysis.fit.settings import estimators

    return [name for name in estimators(question.name) if name.startswith(typed)]
