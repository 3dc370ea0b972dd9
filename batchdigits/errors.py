"""Every error that the user may meet, each with the exit code of the command.

The tree is flat on purpose: a class for each kind of fault. A message is one line that says what
was expected, what came, and what to do. Only `cli` prints an error and exits with its code.
"""


class BatchdigitsError(Exception):
    """Base of all errors with a plain message; on its own it means a bug (exit code 1)."""

    exit_code = 1


class UsageError(BatchdigitsError):
    """The command or an option is wrong, or an INPUT does not exist."""

    exit_code = 2


class BusyError(BatchdigitsError):
    """Another run is writing the same output."""

    exit_code = 4


class OutputError(BatchdigitsError):
    """The results cannot be written at the place, or in the form, that was asked for."""

    exit_code = 5


class ModelError(BatchdigitsError):
    """The model cannot be used: it is no model, or has another shape or unknown layers."""

    exit_code = 6


class TemplateError(BatchdigitsError):
    """The template cannot be used: it is no template, or contradicts itself."""

    exit_code = 6
