"""Every error the user may meet, each with the exit code it ends the command with.

The tree is flat on purpose: a class per exit code of the contract. The message is one line
that says what was expected, what came, and what to do. `cli` alone turns one into words and
an exit code.
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
    """The results cannot be written where, or in the form, that was asked for."""

    exit_code = 5


class ModelError(BatchdigitsError):
    """The model cannot be used for this: not a model, another shape, unknown layers."""

    exit_code = 6


class TemplateError(BatchdigitsError):
    """The template cannot be used for this: no template, or one that contradicts itself."""

    exit_code = 6
