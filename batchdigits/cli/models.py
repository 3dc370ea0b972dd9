"""`info`: what is known about a model and the machine."""

from typing import Annotated

from batchdigits.cli.options import option
from batchdigits.cli.output import reader_may_leave


def info(
    model: Annotated[str | None, option("model", "A model bundle or .keras file.", "PATH")] = None,
) -> None:
    """Show versions, devices, and the model's card."""
    from batchdigits import report  # noqa: PLC0415

    with reader_may_leave():
        for line in report.info(model):
            print(line)
