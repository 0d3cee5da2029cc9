"""The command line: `init`, `run`, `preview`, `filter`, the commands that inspect, and `jicvqa`.

They stand in `datagen.commands` and `datagen.jicvqa.commands`.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup

from datagen.commands import inspecting, jobs, making, sharing, starting, surveying
from datagen.console import PlainConsole, on_one_line, open_streams
from datagen.errors import DatagenError, InterruptedRunError, system_error
from datagen.jicvqa.commands import app as jicvqa
from datagen.signals import exit_code, stop_on_signals


class _Commands(TyperGroup):
    """The commands; Ctrl-C in one that says nothing about it by itself is told in a sentence, too."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"Stopped before datagen {ctx.invoked_subcommand} had finished; run the same command again."
            ) from None


app = typer.Typer(
    name="datagen",
    cls=_Commands,
    help="Japanese visual-instruction data: images in, judged question-answer pairs out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(starting.app)
app.add_typer(surveying.app)
app.add_typer(making.app)
app.add_typer(sharing.app)
app.add_typer(inspecting.app)
app.add_typer(jobs.app)
app.add_typer(jicvqa, name="jicvqa")

_UsageError = cast("type[Exception]", typer.BadParameter.__base__)  # Typer has no public name for it


def _print_version(wanted: bool) -> None:
    if wanted:
        from datagen.version import VERSION

        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line; an error for the user is one line on standard error."""
    stop_on_signals()
    open_streams()
    _look_here_last()
    for argument in sys.argv[1:]:
        if any("\udc80" <= character <= "\udcff" for character in argument):  # how Python carries other bytes
            encoding = sys.getfilesystemencoding()
            _refuse(f"'{argument}' is no text in {encoding}; rename it, or set LANG to the locale of its name.", 2)
    try:
        sys.exit(app(prog_name="datagen", standalone_mode=False))
    except InterruptedRunError as error:
        _refuse(str(error), exit_code(error.exit_code))
    except DatagenError as error:
        _refuse(str(error), error.exit_code)
    except OSError as error:
        _refuse(system_error(error), DatagenError.exit_code)
    except _UsageError as error:
        _refuse(_told(error), 2)


def _look_here_last() -> None:
    """Find a rule of the user's own in the working directory, behind all else: no file there hides a library or us."""
    folders = [Path(__file__).parents[1]]  # of an editable installation; without it `prompts.py` here would be first
    with suppress(OSError):  # a working directory that was deleted
        folders.append(Path.cwd())
    sys.path += [folder for folder in map(str, folders) if folder not in sys.path]


def _refuse(message: str, exit_code: int) -> NoReturn:
    if message:
        PlainConsole(stderr=True).print(f"datagen: {on_one_line(message)}", soft_wrap=True)
    sys.exit(exit_code)


def _told(error: Any) -> str:
    """Return what was wrong with the options as a sentence; nothing when Typer has printed the help instead."""
    message: str = error.format_message()
    command = error.ctx.command_path if error.ctx else "datagen"
    return f"{message.rstrip('.')} (see {command} --help)." if message else ""
