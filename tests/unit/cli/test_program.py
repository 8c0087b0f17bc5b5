"""The program as a whole: its verbs, its complaints, what it imports, what documents show of it."""

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import observatory
from observatory.cli import main as cli
from observatory.cli.commands import Command
from observatory.cli.types import Folder
from observatory.launch import status as shown_status

ROOT = Path(observatory.__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SLOW = {"torch", "lightning", "mlflow", "pandas", "scipy", "numpy", "matplotlib", "hydra"}
PLACEHOLDERS = {"VERB", "NAME", "QUESTION", "STUDY", "SHELL"}


@pytest.fixture
def parsed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are parsed and do nothing; folders that documents name need not be there."""
    monkeypatch.setattr(click.Command, "invoke", lambda self, ctx: 0)
    monkeypatch.setattr(Folder, "convert", lambda self, value, param, ctx: Path(value))


def shown(page: Path) -> Iterator[tuple[str, bool]]:
    """Every command line of a page, and whether it is a line of a block of commands."""
    text = page.read_text()
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if typed := re.match(r"(?:\w+=\S+ )*((?:\.venv/bin/)?observatory .*)", line):
                yield typed[1], True
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for line in re.findall(r"`(observatory [^`]+)`", prose):
        yield line, False


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.usefixtures("parsed_only")
def test_every_command_of_a_page_is_one(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line, whole in shown(page):
        words = [word for word in shlex.split(line, comments=True)[1:] if word != "..."]
        if PLACEHOLDERS & set(words):
            continue
        code = cli.run(words)
        err = capsys.readouterr().err
        assert code == 0 or (not whole and "must be given" in err), (line, err)


@pytest.mark.usefixtures("parsed_only")
@pytest.mark.parametrize("verb", sorted(cli.program.commands))
def test_every_verb_has_a_line_a_text_and_examples_that_are_command_lines(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = cli.program.commands[verb]
    assert cli.run(["--help"]) == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert cli.run([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert "examples:\n" in text
    assert "exit codes: 0 done" in text
    if isinstance(command, Command):
        assert command.get_short_help_str() in listed
        assert command.examples
        for example in command.examples:
            words = shlex.split(example.partition("<(")[2].rstrip(")") or example, comments=True)
            words = words[: words.index("|")] if "|" in words else words
            assert cli.run(words[1:]) == 0, example


@pytest.mark.parametrize("verb", ["map", "sweep", "train", "plan"])
def test_overrides_have_no_dashes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    for typed in ("--experiment=smoke", "-experiment=smoke"):
        assert cli.run([verb, typed]) == 2
        assert "Write experiment=smoke." in capsys.readouterr().err
    for typed in ("--experiment", "--quie", "--multi"):
        assert cli.run([verb, typed, "experiment=smoke"]) == 2
        assert f"There is no option `{typed}`" in capsys.readouterr().err


@pytest.mark.slow
def test_hydras_flags_reach_its_application(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(
        "observatory.cli.runs.hydra_application",
        lambda verb, words: seen.append((verb, words)) or 0,
    )
    typed = ["-m", "seed=1,2", "--quiet", "--config-dir", str(tmp_path), "-p", "task"]
    assert cli.run(["train", *typed]) == 0
    folder = ["--config-dir", str(tmp_path)]
    assert seen == [("train", ["--multirun", "--package", "task", *folder, "seed=1,2"])]
    assert cli.run(["map", "experiment=smoke", "--cfg", "job", "--resolve"]) == 0
    assert seen[-1] == ("map", ["--cfg", "job", "--resolve", "experiment=smoke"])
    assert cli.run(["map", "--cfg", "jobs"]) == 2
    assert cli.run(["train", "-m", "--cfg", "job"]) == 2
    assert len(seen) == 2


def test_unknown_verbs_come_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["stauts"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("observatory: `VERB` must be one of plan, map,")
    assert "Did you mean status?" in err
    assert cli.run(["status"]) == 2
    assert capsys.readouterr().err == "observatory: `STUDY` must be given: Folder of the study.\n"
    assert cli.run([]) == cli.run(["help"]) == cli.run(["-h"]) == 0


@pytest.mark.slow
def test_help_and_mistakes_import_nothing_slow() -> None:
    code = (
        "import sys; from observatory.cli import main as cli\n"
        "from observatory.analysis.fit.questions import questions\n"
        "typed = [['--help'], ['map', '--help'], ['fit', '--help'], ['map', '--model=mlp']]\n"
        "typed += [['fit', name, '--help'] for name in questions()]\n"
        "typed += [['fit', 'boundary', 'x.csv', '--levle', '1'], ['fit', 'results/x', '--sets']]\n"
        "codes = {cli.run(words) for words in typed}\n"
        f"print(codes, sorted(set(sys.modules) & {SLOW!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "{0, 2} []"


def test_a_reader_that_leaves_is_no_error() -> None:
    python = f"{shlex.quote(sys.executable)} -m observatory.cli"
    done = subprocess.run(
        ["bash", "-c", f"{python} --help | true; {python} fit boundary --help | head -1"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == "usage: observatory fit boundary TABLE [OPTION ...]\n"


def codes(lines: str) -> list[str]:
    """What a shell prints, errors beside; `$O` is the program."""
    program = f"{shlex.quote(sys.executable)} -m observatory.cli"
    done = subprocess.run(["bash", "-c", f"O='{program}'\n{lines}"], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


@pytest.mark.slow
def test_a_closed_output_and_a_full_disk_have_codes_of_their_own() -> None:
    """A reader that never was: 141. No output at all is what was asked for."""
    gone = "(sleep 0.5; exec $O fit boundary --help 2>&1) | true; echo ${PIPESTATUS[0]}"
    assert codes(gone) == ["141"]
    assert codes("$O fit boundary --help >&- ; echo $?") == ["0"]
    assert codes("$O fit boundary --help <&- >&- 2>&- ; echo $?") == ["0"]
    code, said = codes("$O fit boundary --help >/dev/full; echo $?")
    assert (code, "No space left on device" in said) == ("2", True)


def test_a_fault_of_ours_leaves_a_file_to_report_it_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def broken(folder: Path) -> None:
        raise RuntimeError("nobody foresaw https://me:s3cr3t@host/x")

    monkeypatch.setattr(shown_status, "study_status", broken)
    assert cli.run(["status", "results/a"]) == 70
    said = capsys.readouterr()
    (file,) = tmp_path.iterdir()
    assert said.out == ""
    assert said.err.startswith("observatory: this is a fault of observatory, not yours (Runtime")
    assert str(file) in said.err
    text = file.read_text()
    assert f"observatory {observatory.__version__}, Python" in text
    assert "observatory status results/a" in text
    assert "RuntimeError: nobody foresaw https://me:***@host/x" in text
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert cli.run(["status", "results/a"]) == 70
    assert "nobody foresaw" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("observatory st", "status"),
        ("observatory fit bou", "boundary"),
        ("observatory fit boundary x.csv --lev", "--level"),
        ("observatory fit boundary x.csv --estimator lsq_", "lsq_smoothed"),
        ("observatory map experiment=smoke_m", "experiment=smoke_mse"),
        ("observatory completion z", "zsh"),
    ],
)
def test_the_shell_is_offered_what_there_is(typed: str, offered: str) -> None:
    from click.shell_completion import BashComplete

    *words, incomplete = typed.split()
    complete = BashComplete(cli.program, {}, "observatory", "_OBSERVATORY_COMPLETE")
    found = [item.value for item in complete.get_completions(words[1:], incomplete)]
    assert offered in found
    assert "--x" not in found
