"""A log file that ends no run."""

import logging
import sys
from logging.handlers import RotatingFileHandler

LOG_BYTES = 1_000_000
"""Of a log file, before it makes room for the next."""


class LogFile(RotatingFileHandler):
    """A log file, and three older; where it cannot be written any more, a line says so, once."""

    def __init__(self, path: str, *loggers: logging.Logger) -> None:
        """Take what the loggers are told.

        Raises:
            OSError: the file cannot be opened.
        """
        super().__init__(path, maxBytes=LOG_BYTES, backupCount=3, encoding="utf-8")
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._path, self._loggers = path, loggers
        for logger in loggers:
            logger.addHandler(self)
            logger.setLevel(logging.INFO)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        """Let go of the file, instead of printing a traceback for each line."""
        fault = sys.exc_info()[1]
        for logger in self._loggers:
            logger.removeHandler(self)
        logging.getLogger(__name__).error(
            "cannot write --log-file '%s' any more: %s: make room; the run goes on without",
            *(self._path, getattr(fault, "strerror", None) or fault),
        )
