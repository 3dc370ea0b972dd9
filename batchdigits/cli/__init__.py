"""The door: commands, their options, and the words and exit codes that come of errors.

Nothing heavy is imported at the top, so that `--help` answers at once; each command imports
what it needs when it is called.
"""

import gc
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Annotated

import typer

from batchdigits import __version__
from batchdigits.cli import evaluate, form, models, run, train
from batchdigits.cli.help import Command
from batchdigits.cli.words import Stopped, words
from batchdigits.errors import BatchdigitsError

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Read folders of scanned digits into a table of values and confidences.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"batchdigits {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Hold the options that stand before the command."""


app.command(cls=Command)(run.run)
app.command(cls=Command)(train.train)
app.command(cls=Command)(models.calibrate)
app.command(cls=Command)(evaluate.evaluate)
app.command(cls=Command)(evaluate.compare)
app.command(cls=Command)(models.info)
app.add_typer(form.app, name="form")


def _stop(number: int, _frame: FrameType | None) -> None:
    if run.stop.gentle and run.stop.asked is None:  # the chunk in hand is finished first
        run.stop.asked = Stopped(number, at_once=False)
        run.stop.asked.add_note(run.stop.left)
        return
    for one in _STOPPING:
        signal.signal(one, signal.SIG_DFL)  # one more ends the process at once
    run.stop.asked = Stopped(number, at_once=True)
    raise run.stop.asked


_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Run the command line and end the process with the contract's exit code."""
    for descriptor in range(3):  # a missing one would be taken by the next file opened
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for number in _STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _stop)
    try:
        code = _exit_code(sys.argv[1:])
        for number in _STOPPING:  # what is done is done: the interpreter's own end changes nothing
            signal.signal(number, signal.SIG_IGN)
    except Stopped as late:  # its last words were being said
        code = late.exit_code
    gc.freeze()  # else the interpreter walks through all that TensorFlow made before it ends: 0.5 s
    sys.exit(code)


def _exit_code(arguments: list[str]) -> int:
    """Run a command line; put every error into one line, and return the exit code."""
    run.stop.asked = None
    try:
        code = app(arguments or ["--help"], prog_name="batchdigits", standalone_mode=False)
    except (BatchdigitsError, typer.TyperException, Stopped) as error:
        return _say(error)
    except Exception as error:
        return _fault(error)
    if code == 1:  # that means a bug, and Typer means a shell for which it has no completion
        return 2
    return code if isinstance(code, int) else 0


def _fault(error: Exception) -> int:
    """Say what an error means that nobody expected."""
    if isinstance(run.stop.asked, Stopped) and run.stop.asked.at_once:
        return _say(run.stop.asked)
    _, code = words(error)
    if code == 1 and os.environ.get("BATCHDIGITS_DEBUG"):
        raise error
    return _say(error)


def _say(error: BaseException) -> int:
    """Print an error's line on standard error; return the exit code."""
    line, code = words(error)
    if isinstance(error, Stopped) and "batchdigits.report" not in sys.modules:
        # NumPy, which that imports, cannot be imported again once that was cut short
        with suppress(OSError, AttributeError):  # AttributeError: there is no standard error
            sys.stderr.write(f"batchdigits: {line}\n")
        return code
    from batchdigits.report import say  # noqa: PLC0415

    say(line)
    return code
