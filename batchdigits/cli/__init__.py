"""The command line: commands, their options, and the lines and exit codes of errors.

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
from batchdigits.cli import compare, correct, evaluate, form, models, review, run, train
from batchdigits.cli.help import PanelCommand
from batchdigits.cli.words import StoppedBySignal, describe_error
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
    """Take the options that stand before the command."""


app.command(cls=PanelCommand)(run.run)
app.command(cls=PanelCommand)(train.train)
app.command(cls=PanelCommand)(models.calibrate)
app.command(cls=PanelCommand)(evaluate.evaluate)
app.command(cls=PanelCommand)(compare.compare)
app.command(cls=PanelCommand)(review.review)
app.command(cls=PanelCommand)(correct.correct)
app.command(cls=PanelCommand)(models.info)
app.add_typer(form.app, name="form")


def _handle_signal(number: int, _frame: FrameType | None) -> None:
    if run.stop.gentle and run.stop.asked is None:  # the run finishes its chunk first
        run.stop.asked = StoppedBySignal(number, at_once=False)
        run.stop.asked.add_note(run.stop.left)
        return
    for one in _STOP_SIGNALS:
        signal.signal(one, signal.SIG_DFL)  # another signal ends the process at once
    run.stop.asked = StoppedBySignal(number, at_once=True)
    raise run.stop.asked


_STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
WINDOWS_MESSAGE = "it needs Linux: on Windows, install it in WSL (docs/install.md)"


def main() -> None:
    """Run the command line and end the process with the contract's exit code."""
    if sys.platform == "win32":
        sys.exit(f"batchdigits: {WINDOWS_MESSAGE}")
    for descriptor in range(3):  # else the next file opened would take the number of a closed one
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for number in _STOP_SIGNALS:
        if number in _STOP_SIGNALS[:2] or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _handle_signal)
    try:
        code = _run_command_line(sys.argv[1:])
        for number in _STOP_SIGNALS:  # the work is done: a signal now must not change the code
            signal.signal(number, signal.SIG_IGN)
    except StoppedBySignal as late:  # a signal came while the last line was printed
        code = late.exit_code
    gc.freeze()  # else collecting what TensorFlow made takes 0.5 s at the end
    sys.exit(code)


def _run_command_line(arguments: list[str]) -> int:
    """Run a command line, print every error on one line, and return the exit code."""
    run.stop.asked = None
    try:
        code = app(arguments or ["--help"], prog_name="batchdigits", standalone_mode=False)
    except (BatchdigitsError, typer.TyperException, StoppedBySignal) as error:
        return _report_error(error)
    except Exception as error:
        return _report_unexpected_error(error)
    if code == 1:  # Typer's code for an unknown shell; ours for a bug
        return 2
    return code if isinstance(code, int) else 0


def _report_unexpected_error(error: Exception) -> int:
    """Report an error that is not one of ours, and return the exit code."""
    if isinstance(run.stop.asked, StoppedBySignal) and run.stop.asked.at_once:
        return _report_error(run.stop.asked)
    _, code = describe_error(error)
    if code == 1 and os.environ.get("BATCHDIGITS_DEBUG"):
        raise error
    return _report_error(error)


def _report_error(error: BaseException) -> int:
    """Print an error on standard error, and return the exit code."""
    line, code = describe_error(error)
    if isinstance(error, StoppedBySignal) and "batchdigits.report" not in sys.modules:
        # `report` imports NumPy, which cannot be imported again after an interrupted import
        with suppress(OSError, AttributeError):  # AttributeError: standard error is closed
            sys.stderr.write(f"batchdigits: {line}\n")
        return code
    from batchdigits.report import print_message  # noqa: PLC0415

    print_message(line)
    return code
