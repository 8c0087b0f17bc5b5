"""`observatory VERB ...`: the verbs, and one exit code for whatever happens."""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO, final

import click

import observatory
from observatory.cli.checkpoints import probe
from observatory.cli.commands import (
    EXIT_CODES,
    SETTINGS,
    message_of,
    summary_of,
    verb,
    write_examples,
    write_text,
)
from observatory.cli.compare import compare
from observatory.cli.fit import fit
from observatory.cli.formulas import formulas
from observatory.cli.runs import map_runs, plan, sweep, train
from observatory.cli.studies import (
    browse,
    doctor,
    export,
    figure,
    import_,
    report,
    retry,
    status,
)
from observatory.core.errors import ObservatoryError, StoreError
from observatory.core.secrets import without_secrets
from observatory.core.settings import did_you_mean
from observatory.store.files import refusal

NAME = "observatory"
INTERRUPTED, PIPE_CLOSED = 130, 141
"""Exit codes after Ctrl-C, and after `| head` has seen enough, as shells count them."""
_FAULT = 70
"""Exit code of a fault of ours."""
_STDOUT = 1
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_EXAMPLES = (
    "observatory plan experiment=laptop_map",
    "observatory map experiment=laptop_map",
    "observatory map experiment=smoke results=/tmp/results",
    "observatory status results/laptop_map",
    "observatory fit boundary results/laptop_map --plot rate.pdf",
    "observatory VERB --help",
)


@final
class _Program(click.Group):
    """All verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the verbs, in the order in which they are used."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that was typed; refuses what is none."""
        if args[0] not in self.commands and not ctx.resilient_parsing:
            near = did_you_mean(args[0], self.commands)
            known = ", ".join(self.commands)
            raise click.UsageError(f"`VERB` must be one of {known}, got {args[0]!r}.{near}", ctx)
        return super().resolve_command(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """How it is called."""
        formatter.write_usage(ctx.command_path, "VERB ...", prefix="usage: ")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What it does."""
        write_text(formatter, self.help or "")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with the first line of each."""
        with formatter.section("verbs"):
            formatter.write_dl([(name, summary_of(verb)) for name, verb in self.commands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples and exit codes."""
        write_examples(formatter, _EXAMPLES)
        formatter.write(f"\n{EXIT_CODES}\n")


@verb("source <(observatory completion bash)", "observatory completion fish | source")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
def completion(shell: str) -> int:
    """A script that completes verbs, questions and options in a shell: bash, zsh or fish."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    print(kind(program, {}, NAME, f"_{NAME.upper()}_COMPLETE").source())
    return 0


VERBS = (
    plan, map_runs, compare, sweep, formulas, train, fit, report, figure, browse, status, probe,
    retry, export, import_, doctor, completion,
)  # fmt: skip
program = _Program(
    name=NAME,
    commands={str(verb.name): verb for verb in VERBS},
    help="Train many small networks as one, and map where they memorise, grok or collapse.",
    context_settings=SETTINGS,
    no_args_is_help=False,
)


def main() -> None:
    """Entry point of the console script."""
    _open_standard_streams()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:  # as in `observatory ... | head`, or a full disk behind it
        code = _unwritten(error) if code == 0 else code
    sys.exit(code)


def _open_standard_streams() -> None:
    """Let closed ones lead nowhere: a file of ours would take the place, and what is printed."""
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _unwritten(error: OSError) -> int:
    """Say that what was printed did not arrive; a reader that has enough needs no word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
    if isinstance(error, BrokenPipeError):
        return PIPE_CLOSED
    print(
        f"observatory: not all could be written ({error.strerror}). Make room, then start the same "
        "command again.",
        file=sys.stderr,
    )
    return StoreError.exit_code


def run(arguments: Sequence[str]) -> int:
    """Run one verb and return the exit code."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    typed = list(arguments)
    if not typed or typed == ["help"]:
        typed = ["--help"]
    if typed == ["--version"]:
        print(observatory.__version__)
        return 0
    output = sys.stdout
    try:
        return int(program.main(typed, NAME, standalone_mode=False) or 0)
    except click.ClickException as error:
        print(f"observatory: {message_of(error)}", file=sys.stderr)
        return 2
    except click.Abort:
        print("observatory: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except ObservatoryError as error:
        print(f"observatory: {without_secrets(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError as error:  # whoever read the output wants no more of it
        return _unwritten(error)
    except SystemExit:
        if sys.stdout is output:
            raise
        return _unwritten(BrokenPipeError())  # which click has seen, and wrapped the output
    except OSError as error:
        if error.filename is None:
            return _unwritten(error) if error.errno in _FULL else _fault(error, typed)
        print(f"observatory: {refusal(Path(error.filename), error, action='use')}", file=sys.stderr)
        return StoreError.exit_code
    except Exception as error:  # noqa: BLE001 - the one place for what nobody foresaw
        return _fault(error, typed)


def _fault(error: Exception, typed: Sequence[str]) -> int:
    """Say that an error is not the user's, with a file to report it with."""
    lines = [f"observatory {observatory.__version__}, Python {sys.version}, {sys.platform}"]
    lines += [f"observatory {' '.join(typed)}", *traceback.format_exception(error)]
    text = without_secrets("\n".join(lines))
    try:
        handle, place = tempfile.mkstemp(prefix="observatory-fault-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:  # there is no room for it
        print(text, file=sys.stderr)
        place = "what stands above"
    print(
        f"observatory: this is a fault of observatory, not yours ({type(error).__name__}). What "
        f"was recorded is intact. Please report it with {place}: command, versions, traceback.",
        file=sys.stderr,
    )
    return _FAULT


if __name__ == "__main__":
    main()
