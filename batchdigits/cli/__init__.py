"""The door: commands, their options, and the words and exit codes that come of errors.

Nothing heavy is imported at the top, so that `--help` answers at once; each command imports
what it needs when it is called.
"""

import errno
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Annotated

import typer

from batchdigits import __version__
from batchdigits.cli import evaluate, form, models, run, train
from batchdigits.errors import BatchdigitsError

app = typer.Typer(
    add_completion=False,
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


app.command()(run.run)
app.command()(train.train)
app.command()(models.calibrate)
app.command()(evaluate.evaluate)
app.command()(evaluate.compare)
app.command()(models.info)
app.add_typer(form.app, name="form")


class _Stopped(BaseException):
    """A signal came: unwinds all, so that nothing half-written and no worker stays.

    Attributes:
        at_once: whether it was raised wherever the program stood: what is being imported there may
            make another error of it.
    """

    def __init__(self, number: int, *, at_once: bool) -> None:
        self.at_once = at_once
        self.exit_code = 128 + number
        self.word = "interrupted" if number == signal.SIGINT else "terminated"


def _stop(number: int, _frame: FrameType | None) -> None:
    if run.stop.gentle and run.stop.asked is None:  # the chunk in hand is finished first
        run.stop.asked = _Stopped(number, at_once=False)
        run.stop.asked.add_note(run.stop.left)
        return
    for one in _STOPPING:
        signal.signal(one, signal.SIG_DFL)  # one more ends the process at once
    run.stop.asked = _Stopped(number, at_once=True)
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
    except _Stopped as late:  # its last words were being said
        code = late.exit_code
    sys.exit(code)


def _exit_code(arguments: list[str]) -> int:
    """Run a command line; put every error into one line, and return the exit code."""
    run.stop.asked = None
    try:
        code = app(arguments or ["--help"], prog_name="batchdigits", standalone_mode=False)
    except BatchdigitsError as error:
        return _say(str(error), error.exit_code)
    except typer.TyperException as error:
        return _say(f"{error.format_message()} (see --help)", 2)
    except _Stopped as stopped:
        return _say_stopped(stopped)
    except Exception as error:
        return _fault(error)
    return code if isinstance(code, int) else 0


def _say_stopped(stopped: _Stopped) -> int:
    """Say what is left, with what is imported: NumPy cannot be again, once that was cut short."""
    (left, *_) = getattr(stopped, "__notes__", ["an earlier table still stands"])
    line = f"{stopped.word}: {left}"
    if "batchdigits.report" in sys.modules:
        return _say(line, stopped.exit_code)
    with suppress(OSError, AttributeError):  # AttributeError: there is no standard error
        sys.stderr.write(f"batchdigits: {line}\n")
    return stopped.exit_code


def _fault(error: Exception) -> int:
    """Say what an error means that nobody expected."""
    if isinstance(run.stop.asked, _Stopped) and run.stop.asked.at_once:
        return _say_stopped(run.stop.asked)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return _say(f"cannot write to standard output: {error.strerror}", 5)
    if os.environ.get("BATCHDIGITS_DEBUG"):
        raise error
    return _say(
        f"a bug in batchdigits: {type(error).__name__}: {error} "
        "(BATCHDIGITS_DEBUG=1 shows where; please report it)",
        1,
    )


def _say(message: str, code: int) -> int:
    """Print one line on standard error; return the exit code."""
    from batchdigits.report import say  # noqa: PLC0415

    say(message)
    return code
