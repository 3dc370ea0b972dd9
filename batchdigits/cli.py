"""The door: commands, their options, and the words and exit codes that come of errors.

Nothing heavy is imported at the top, so that `--help` answers at once; each command imports
what it needs when it is called.
"""

import errno
import logging
import os
import signal
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from batchdigits import __version__
from batchdigits.errors import BatchdigitsError, UsageError

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


def _from_file(context: typer.Context, path: str | None) -> str | None:
    """Take a configuration file's settings as defaults: command line and environment win."""
    if path is None:
        return None
    try:
        settings = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not TOML
        raise UsageError(f"--config '{path}': expected a TOML file; {error}") from None
    known = {_spelled(p.name): p for p in context.command.params if p.name != "_config"}
    defaults = {}
    for name, value in settings.items():
        parameter = known.get(_spelled(name))
        if parameter is None:
            from batchdigits.options import nearest  # noqa: PLC0415

            close = nearest(_spelled(name), list(known))
            raise UsageError(f"--config '{path}': unknown option '{name}'{close}")
        if parameter.name in defaults:
            raise UsageError(f"--config '{path}': '{name}' is given twice, in two spellings")
        single = parameter.name == "inputs" and isinstance(value, str)
        defaults[str(parameter.name)] = [value] if single else value
    context.default_map = {**defaults, **(context.default_map or {})}
    return path


def _spelled(name: str | None) -> str:
    """Spell an option as on the command line: `as_` → `as`, `min_confidence` → `min-confidence`."""
    return str(name).rstrip("_").replace("_", "-")


def _option(name: str, text: str, metavar: str | None = None, *names: str, **more: Any) -> Any:
    """Declare an option that also reads `BATCHDIGITS_` and its name from the environment."""
    variable = f"BATCHDIGITS_{name.upper().replace('-', '_')}"
    return typer.Option(f"--{name}", *names, metavar=metavar, envvar=variable, help=text, **more)


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Folders (read with all below them), files, or - for paths on standard input.",
        show_default=False,
    ),
]
Config = Annotated[
    str | None,
    _option(
        "config",
        "TOML file with these options by name; command line and environment win.",
        "FILE",
        callback=_from_file,
        is_eager=True,
    ),
]


@app.command()
def run(  # noqa: PLR0913, PLR0917  (one parameter an option is how Typer is told of them)
    inputs: Inputs,
    out: Annotated[
        str | None,
        _option(
            "out",
            "The table: .csv .tsv .parquet .jsonl .xlsx, or - for CSV on standard output.",
            "PATH",
        ),
    ] = None,
    as_: Annotated[
        str,
        _option(
            "as",
            "What an image holds; auto goes by its size. This version reads digits alone.",
            "auto|digit|number|form",
        ),
    ] = "auto",
    model: Annotated[
        str | None,
        _option(
            "model", "A model bundle or .keras file.  [default: the model in the package]", "PATH"
        ),
    ] = None,
    invert: Annotated[
        str,
        _option(
            "invert",
            "Whether ink is dark on light paper (yes) or light on dark (no).",
            "auto|yes|no",
        ),
    ] = "auto",
    null: Annotated[bool, _option("null", "Paths on standard input end with NUL.")] = False,
    max_pixels: Annotated[
        str | None,
        _option(
            "max-pixels", "Largest page that is decoded, in pixels.  [default: 100 million]", "N"
        ),
    ] = None,
    page_seconds: Annotated[
        str | None,
        _option("page-seconds", "Longest time that reading a file may take.  [default: 60]", "S"),
    ] = None,
    min_confidence: Annotated[
        str | None,
        _option(
            "min-confidence",
            "Values under it are for review, 0 to 1.  [default: the model's own]",
            "P",
        ),
    ] = None,
    excel: Annotated[
        bool, _option("excel", "CSV with a UTF-8 mark and ; for spreadsheets that need it.")
    ] = False,
    quiet: Annotated[
        bool, _option("quiet", "Print nothing while all goes well.", None, "-q")
    ] = False,
    batch_size: Annotated[
        str | None,
        _option(
            "batch-size",
            "Crops gathered before the model is called; changes no result.  [default: 2048]",
            "N",
        ),
    ] = None,
    workers: Annotated[
        str | None,
        _option(
            "workers",
            "Processes that decode; 0: none, and no limits.  [default: one a processor]",
            "N",
        ),
    ] = None,
    device: Annotated[
        str, _option("device", "Where the model runs.", "auto|cpu|gpu|gpu:N")
    ] = "auto",
    dry_run: Annotated[
        bool,
        _option(
            "dry-run", "List on standard output what would be read, as what and why; read nothing."
        ),
    ] = False,
    _config: Config = None,
) -> None:
    """Read folders of digit crops into a table, one row an image, whatever happens."""
    from batchdigits.options import RunOptions  # noqa: PLC0415

    options = RunOptions.of(
        {
            "as_": as_,
            "model": model,
            "invert": invert,
            "max_pixels": max_pixels,
            "page_seconds": page_seconds,
            "min_confidence": min_confidence,
            "excel": excel,
            "quiet": quiet,
            "batch_size": batch_size,
            "workers": workers,
            "device": device,
        }
    )
    _log_to_standard_error(quiet)
    from batchdigits import pipeline, report  # noqa: PLC0415

    paths, listed = _inputs(inputs, null)
    if dry_run:
        found = pipeline.find(paths, listed, out)
        with _reader_may_leave():
            report.plan(pipeline.plan(found.sources, options), found.skipped, quiet)
        return
    if out is None:
        raise UsageError("--out is missing: expected a path such as results.csv, or - (--help)")
    pipeline.check(out, options)
    found = pipeline.find(paths, listed, out)
    with _reader_may_leave(), report.progress(len(found.sources), quiet) as progress:
        summary = pipeline.run(found, out, options, progress)
    raise typer.Exit(report.summary(summary, out, quiet))


def _inputs(inputs: list[str], null: bool) -> tuple[list[str], list[str]]:
    """Part INPUTs into those typed and, for `-`, those listed on standard input."""
    if "-" not in inputs:
        return inputs, []
    from batchdigits.sources import listed  # noqa: PLC0415

    if sys.stdin is None:
        raise UsageError("INPUT - reads paths from standard input, which is closed: open it")
    paths = listed(sys.stdin.buffer.read(), null=null)
    return [path for path in inputs if path != "-"], paths


def _log_to_standard_error(quiet: bool) -> None:
    logging.basicConfig(
        format="batchdigits: %(levelname)s: %(message)s",
        level=logging.ERROR if quiet else logging.WARNING,
    )


@app.command()
def info(
    model: Annotated[str | None, _option("model", "A model bundle or .keras file.", "PATH")] = None,
) -> None:
    """Show versions, devices, and the model's card."""
    from batchdigits import report  # noqa: PLC0415

    with _reader_may_leave():
        for line in report.info(model):
            print(line)


class _Stopped(BaseException):
    """A signal came: unwinds all, so that nothing half-written and no worker stays."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        self.word = "interrupted" if number == signal.SIGINT else "terminated"


def _stop(number: int, _frame: FrameType | None) -> None:
    for one in _STOPPING:
        signal.signal(one, signal.SIG_DFL)  # a second one ends the process at once
    raise _Stopped(number)


_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """End quietly, as filters do, when nobody reads standard output any more."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for the interpreter's own last flush
        raise typer.Exit(0) from None


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
    code = _exit_code(sys.argv[1:])
    for number in _STOPPING:  # what is done is done: the interpreter's own end changes nothing
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _exit_code(arguments: list[str]) -> int:
    """Run a command line; put every error into one line, and return the exit code."""
    try:
        code = app(arguments or ["--help"], prog_name="batchdigits", standalone_mode=False)
    except BatchdigitsError as error:
        return _say(str(error), error.exit_code)
    except typer.TyperException as error:
        return _say(f"{error.format_message()} (see --help)", 2)
    except _Stopped as stopped:
        return _say(f"{stopped.word}: an earlier table still stands", stopped.exit_code)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            return _say(f"cannot write to standard output: {error.strerror}", 5)
        return _bug(error)
    return code if isinstance(code, int) else 0


def _bug(error: Exception) -> int:
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
