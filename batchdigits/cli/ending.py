"""How a run ended, for programs: told at every end, so that nobody takes an old story for new."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from batchdigits import __version__
from batchdigits.cli.words import words
from batchdigits.errors import BusyError, ModelError

if TYPE_CHECKING:
    from batchdigits.options import RunOptions
    from batchdigits.run import Summary

OURS = b'{\n  "exit_code"'
"""How each begins: a run that ends with an error takes the place of nothing else."""


@contextmanager
def told(options: "RunOptions") -> Iterator["Summary"]:
    """Write --summary-json, where it is wanted, when the block ends: well, or with an error.

    Not where another run is at work: that tells its own story. Gives what the block fills in.

    Raises:
        OutputError: the run ended well, and it cannot be written.
    """
    from batchdigits.run import Summary  # noqa: PLC0415

    known = Summary()
    try:
        yield known
    except BusyError:
        raise
    except typer.Exit as end:
        if options.summary_json is not None:
            _write(options, known, end.exit_code, None)
        raise
    except BaseException as fault:
        if options.summary_json is not None and _is_free(Path(options.summary_json)):
            with suppress(Exception):  # what ended the run is what is said
                _write(options, known, *_told(fault))
        raise


def _is_free(path: Path) -> bool:
    """Tell whether there is nothing, or the story of an earlier run."""
    try:
        if not os.path.lexists(path):
            return True
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(OURS)) in (OURS, b"")
    except (OSError, ValueError):
        return False


def _told(fault: BaseException) -> tuple[int, str]:
    """Give the exit code of an error, and what is said of it."""
    from batchdigits.report import plain  # noqa: PLC0415

    line, code = words(fault)
    return code, plain(line)


def _write(options: "RunOptions", summary: "Summary", code: int, error: str | None) -> None:
    from batchdigits import files  # noqa: PLC0415

    story = {"exit_code": code, "error": error, **_counts(summary), **_made(options, summary)}
    files.put(str(options.summary_json), json.dumps(story, indent=2).encode() + b"\n")


def _counts(found: "Summary") -> dict[str, Any]:
    from batchdigits.records import Status  # noqa: PLC0415

    return {
        "rows": {"total": found.statuses.total()}
        | {one: found.statuses[one] for one in get_args(Status)},
        "files": {
            "found": found.files,
            "read": found.read,
            "failed": found.failed,
            "left": found.left,
            "gone": found.gone,
            "pruned": found.pruned,
            "skipped": found.skipped,
        },
        "rows_of_other_inputs_left_out": found.others,
        "moved": {"done": found.moved["done"], "failed": found.moved["failed"]},
        "table_unchanged": found.unchanged,
        "pages_laid_straight": len(found.residuals),
        "worst_residual_mm": max(found.residuals, default=None),
        "seconds": {"total": round(found.seconds, 3)}
        | {name: round(took, 3) for name, took in found.stages.items()},
        "files_a_second": round(found.read / max(found.stages.get("read", 0.0), 1e-9), 1),
    }


def _made(options: "RunOptions", found: "Summary") -> dict[str, Any]:
    """Tell what made the readings, and when; the model is None where it cannot be used."""
    from batchdigits import predict, report  # noqa: PLC0415

    if found.model is None:  # the run ended before it came to the model
        with suppress(ModelError):
            card = predict.card(options.model)
            found.model = {"name": card.name, "fingerprint": predict.fingerprint(options.model)}
    return {
        "model": found.model,
        "versions": {"batchdigits": __version__, "python": platform.python_version()}
        | report.versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
