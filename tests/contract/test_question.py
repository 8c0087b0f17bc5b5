"""What every question promises: a command, made from its function, that passes on what is typed."""

import functools
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from observatory.analysis.fit.contract import Question
from observatory.analysis.fit.questions import question_named, questions
from observatory.cli import main as cli
from observatory.cli.question import question_command
from observatory.cli.signature import Parameter, choices, holds, parameters
from observatory.core.errors import FitRefusedError


class Asked:
    """A question whose function records what reaches it, and answers as it is set."""

    def __init__(self, question: Question, patch: pytest.MonkeyPatch) -> None:
        self.name = question.name
        self.taken = parameters(question.ask)
        self.has_figure = bool(question.panel or question.figure)
        self.given: list[tuple[Any, ...]] = []
        self.options: list[dict[str, Any]] = []
        self.drawn: list[Path] = []
        self.refusal: FitRefusedError | None = None

        @functools.wraps(question.ask)
        def ask(*tables: Any, **options: Any) -> "Asked":
            self.given.append(tables)
            self.options.append(options)
            if self.refusal is not None:
                raise self.refusal
            return self

        patch.setattr(question, "ask", ask)

    def __str__(self) -> str:
        return "the answer in words"

    def to_string(self) -> str:
        return '{"answer": 1}'

    def save_plot(self, path: Path) -> None:
        self.drawn.append(path)

    def tables(self) -> list[str]:
        return [f"{parameter.name}.csv" for parameter in self.taken if parameter.is_table]

    def required(self) -> list[str]:
        """The least that has to be typed behind the tables."""
        named = [p for p in self.taken if p.required and not p.is_table]
        return [text for parameter in named for text in typed(parameter)[0]]


@pytest.fixture(params=sorted(questions()))
def asked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(question_named(request.param), monkeypatch)


def typed(parameter: Parameter, folder: str = ".") -> tuple[list[str], Any]:
    """An option as it may be typed, and the value that it means."""
    kinds = parameter.kinds
    flag = "--set" if parameter.name == "settings" else f"--{parameter.name.replace('_', '-')}"
    if bool in kinds:
        return [flag], True
    if holds(parameter, Mapping, dict):
        return [flag, "a=1e-3", flag, "b=[1,2]"], {"a": 1e-3, "b": [1, 2]}
    if holds(parameter, Sequence, list, tuple):
        return [flag, "one,two"], ["one", "two"]
    if named := choices(parameter):
        return [flag, named[0]], named[0]
    if float in kinds:
        return [flag, "2.5e-1"], 0.25
    if int in kinds:
        return [flag, "3e4"], 30_000
    if Path in kinds:
        return [flag, folder], Path(folder)
    assert str in kinds, f"{parameter.name} is of {kinds}"
    return [flag, "word"], "word"


def test_its_options_are_those_of_its_function_and_the_output(asked: Asked) -> None:
    command = question_command(question_named(asked.name))
    options = {p.name for p in command.params if isinstance(p, click.Option)}
    figure = {"plot"} if asked.has_figure else set()
    assert options == {p.name for p in asked.taken if not p.is_table} | {"as_json"} | figure
    arguments = [p.name for p in command.params if isinstance(p, click.Argument)]
    assert arguments == [p.name for p in asked.taken if p.is_table]
    assert all(getattr(parameter, "help", None) for parameter in command.params)


def test_its_help_names_every_option_and_no_old_name(asked: Asked, capsys) -> None:
    assert cli.run(["fit", asked.name, "--help"]) == 0
    text = capsys.readouterr().out
    for parameter in asked.taken:
        assert parameter.is_table or f"  {typed(parameter)[0][0]}" in text
    assert not {"--x", "--horizon", "--signal"} & set(text.split())
    assert text.count("observatory fit ") == 1 + len(question_named(asked.name).examples)


@pytest.mark.parametrize("name", sorted(questions()))
def test_its_parts_are_functions_of_its_folder(name: str) -> None:
    question = question_named(name)
    parts = [field.name for field in fields(question) if isinstance(field.default, str)]
    named = [part for part in parts if getattr(question, part)]
    assert all(callable(question.part(part)) for part in named)
    assert not question.size or question.panel


def test_every_option_reaches_the_function(asked: Asked) -> None:
    words: list[str] = []
    expected: dict[str, Any] = {}
    for parameter in asked.taken:
        if not parameter.is_table:
            text, expected[parameter.name] = typed(parameter)
            words += text
    assert cli.run(["fit", asked.name, *asked.tables(), *words]) == 0
    assert asked.options == [expected]
    several = any(p.several and not p.unpacked for p in asked.taken)
    assert list(asked.given[0]) == ([tuple(asked.tables())] if several else asked.tables())


def test_what_is_not_typed_does_not_reach_the_function(asked: Asked) -> None:
    assert cli.run(["fit", asked.name, *asked.tables(), *asked.required()]) == 0
    needed = {parameter.name for parameter in asked.taken if parameter.required}
    assert set(asked.options[0]) <= needed


def test_old_names_are_the_same_options(asked: Asked) -> None:
    before = {"control": "--x", "horizon_steps": "--horizon", "signals": "--signal"}
    for parameter in asked.taken:
        if parameter.name in before:
            (_, text), value = typed(parameter)
            words = [*asked.tables(), *asked.required(), before[parameter.name], text]
            assert cli.run(["fit", asked.name, *words]) == 0
            assert asked.options[-1][parameter.name] == value


@pytest.mark.slow
def test_it_answers_in_words_or_json_and_draws(asked: Asked, capsys) -> None:
    words = ["fit", asked.name, *asked.tables(), *asked.required()]
    assert cli.run(words) == 0
    assert capsys.readouterr().out == "the answer in words\n"
    assert cli.run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"answer": 1}
    drawn = cli.run([*words, "--plot", "a.pdf"])
    assert (drawn, asked.drawn) == ((0, [Path("a.pdf")]) if asked.has_figure else (2, []))


@pytest.mark.parametrize(
    ("file", "rule"),
    [("a.bmp", "must end in one of"), ("no-such-folder/a.pdf", "must be a file that can be")],
)
def test_a_picture_that_cannot_be_is_refused_before_the_question_is_asked(
    asked: Asked, file: str, rule: str, capsys
) -> None:
    words = [*asked.tables(), *asked.required(), "--plot", file]
    assert cli.run(["fit", asked.name, *words]) == 2
    assert asked.given == []
    if asked.has_figure:
        assert f"`--plot` {rule}" in capsys.readouterr().err


def test_a_refusal_is_a_record_an_exit_code_and_a_reason(asked: Asked, capsys) -> None:
    asked.refusal = FitRefusedError("too few runs. Add some.")
    asked.refusal.record = {"refused": "too few runs. Add some.", "critical": None}
    words = ["fit", asked.name, *asked.tables(), *asked.required()]
    assert cli.run([*words, "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out) == asked.refusal.record
    assert err == "observatory: too few runs. Add some.\n"
    assert cli.run(words) == 3
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_its_examples_are_command_lines(asked: Asked) -> None:
    shown = question_named(asked.name)
    for example in shown.examples:
        assert example.split()[0] == shown.name
        assert cli.run(["fit", *shlex.split(example)]) == 0, example
    for name in shown.aliases:
        assert cli.run(["fit", name, *asked.tables(), *asked.required()]) == 0
