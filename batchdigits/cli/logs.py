"""Where the log goes. A log file that fails does not end a run."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from batchdigits.errors import OutputError

if TYPE_CHECKING:
    from batchdigits.options import RunOptions

MAX_LOG_BYTES = 1_000_000
"""Size of a log file before the next one is begun."""


class _PlainFormatter(logging.Formatter):
    """Puts a message on one line, without characters that could steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        from batchdigits.report import format_line  # noqa: PLC0415

        return format_line(super().format(record))


class _LogFile(RotatingFileHandler):
    """A log file, and three older ones; if it cannot be written any more, one line says so."""

    def __init__(self, path: str, *loggers: logging.Logger) -> None:
        """Open the file and add it to the loggers.

        Raises:
            OSError: the file cannot be opened.
        """
        if Path(path).is_fifo():  # opening it would wait for a reader
            raise OSError("it is a pipe")
        super().__init__(path, maxBytes=MAX_LOG_BYTES, backupCount=3, encoding="utf-8")
        self.setFormatter(_PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
        self._path, self._loggers = path, loggers
        for logger in loggers:
            logger.addHandler(self)
            logger.setLevel(logging.INFO)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        """Stop writing to the file, instead of printing a traceback for each line."""
        fault = sys.exc_info()[1]
        for logger in self._loggers:
            logger.removeHandler(self)
        logging.getLogger(__name__).error(
            "cannot write --log-file '%s' any more: %s: make room; the run goes on without",
            *(self._path, getattr(fault, "strerror", None) or fault),
        )


def configure_logging(options: "RunOptions") -> None:
    """Send the log to standard error, and to a file where one is given.

    Raises:
        OutputError: the file cannot be written.
    """
    console = logging.StreamHandler()
    console.setFormatter(_PlainFormatter("batchdigits: %(levelname)s: %(message)s"))
    level = logging.ERROR if options.quiet else logging.WARNING
    console.setLevel(level)  # a log file gets more
    logging.basicConfig(handlers=[console], level=level)
    ours = logging.getLogger("batchdigits")  # such as how each page was registered
    ours.setLevel(logging.NOTSET if options.quiet else logging.INFO)
    if options.log_file is None:
        return
    try:
        _LogFile(options.log_file, ours, logging.getLogger("batchdigits.said"))
    except OSError as fault:
        raise OutputError(
            f"cannot write --log-file '{options.log_file}': {fault.strerror or fault}: choose "
            "another place"
        ) from fault
