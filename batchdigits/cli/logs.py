"""Where the log goes."""

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING

from batchdigits.errors import OutputError

if TYPE_CHECKING:
    from batchdigits.options import RunOptions

LOG_BYTES = 1_000_000
"""Of a log file, before it makes room for the next."""


class _Plain(logging.Formatter):
    """Puts a message on one line that steers no terminal, whatever a library has quoted in it."""

    def format(self, record: logging.LogRecord) -> str:
        from batchdigits.report import plain  # noqa: PLC0415

        return plain(super().format(record))


def send(options: "RunOptions") -> None:
    """Send the log to standard error, and to a file where one is given.

    Raises:
        OutputError: the file cannot be written.
    """
    told = logging.StreamHandler()
    told.setFormatter(_Plain("batchdigits: %(levelname)s: %(message)s"))
    level = logging.ERROR if options.quiet else logging.WARNING
    logging.basicConfig(handlers=[told], level=level)
    ours = logging.getLogger("batchdigits")  # how each page was laid straight, say
    ours.setLevel(logging.NOTSET if options.quiet else logging.INFO)
    if options.log_file is None:
        return
    from logging.handlers import RotatingFileHandler  # noqa: PLC0415

    try:
        file = RotatingFileHandler(
            options.log_file, maxBytes=LOG_BYTES, backupCount=3, encoding="utf-8"
        )
    except OSError as fault:
        raise OutputError(
            f"cannot write --log-file '{options.log_file}': {fault.strerror or fault}: choose "
            "another place"
        ) from fault
    file.setFormatter(_Plain("%(asctime)s %(levelname)s %(message)s"))
    file.handleError = partial(_let_go, file)  # type: ignore[method-assign]
    for logger in (ours, logging.getLogger("batchdigits.said")):
        logger.addHandler(file)
        logger.setLevel(logging.INFO)


def _let_go(file: logging.FileHandler, _: logging.LogRecord) -> None:
    """Leave a file that cannot be written any more, instead of a traceback for each line."""
    fault = sys.exc_info()[1]
    for name in ("batchdigits", "batchdigits.said"):
        logging.getLogger(name).removeHandler(file)
    logging.getLogger(__name__).error(
        "cannot write --log-file '%s' any more: %s: make room; the run goes on without",
        *(file.baseFilename, getattr(fault, "strerror", None) or fault),
    )
