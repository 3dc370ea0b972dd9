"""`--summary-json`: how a run ended, for programs.

It is written at every end, so that nobody takes an old summary for a new one.
"""

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
from batchdigits.cli.words import describe_error
from batchdigits.errors import BusyError, ModelError

if TYPE_CHECKING:
    from batchdigits.options import RunOptions
    from batchdigits.run import Summary

SUMMARY_PREFIX = b'{\n  "exit_code"'
"""How each summary begins. A run that ends with an error replaces no other file."""


@contextmanager
def write_summary_at_end(options: "RunOptions") -> Iterator["Summary"]:
    """Write --summary-json, if it is given, when the block ends, also with an error.

    If another run holds the output, nothing is written: that run writes its own summary.

    Yields:
        The summary, which the block fills in.

    Raises:
        OutputError: the run ended well, and the summary cannot be written.
    """
    from batchdigits.run import Summary  # noqa: PLC0415

    summary = Summary()
    try:
        yield summary
    except BusyError:
        raise
    except typer.Exit as end:
        if options.summary_json is not None:
            _write_summary(options, summary, end.exit_code, None)
        raise
    except BaseException as fault:
        if options.summary_json is not None and _is_replaceable(Path(options.summary_json)):
            with suppress(Exception):  # the error that ended the run is the one to report
                _write_summary(options, summary, *_describe_ending(fault))
        raise


def _is_replaceable(path: Path) -> bool:
    """Return whether `path` is free, or holds the summary of an earlier run."""
    try:
        if not os.path.lexists(path):
            return True
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(SUMMARY_PREFIX)) in (SUMMARY_PREFIX, b"")
    except (OSError, ValueError):
        return False


def _describe_ending(fault: BaseException) -> tuple[int, str]:
    """Return the exit code of an error, and its line."""
    from batchdigits.report import format_line  # noqa: PLC0415

    line, code = describe_error(fault)
    return code, format_line(line)


def _write_summary(options: "RunOptions", summary: "Summary", code: int, error: str | None) -> None:
    from batchdigits import files  # noqa: PLC0415

    content = {
        "exit_code": code,
        "error": error,
        **_collect_counts(summary),
        **_collect_provenance(options, summary),
    }
    files.write_file(str(options.summary_json), json.dumps(content, indent=2).encode() + b"\n")


def _collect_counts(summary: "Summary") -> dict[str, Any]:
    from batchdigits.records import Status  # noqa: PLC0415

    return {
        "rows": {"total": summary.statuses.total()}
        | {one: summary.statuses[one] for one in get_args(Status)},
        "files": {
            "found": summary.files,
            "read": summary.read,
            "failed": summary.failed,
            "left": summary.left,
            "gone": summary.gone,
            "pruned": summary.pruned,
            "skipped": summary.skipped,
        },
        "failed_files": [one._asdict() for one in summary.failures],
        "changed_ok_values": {
            "count": summary.changed,
            "first": [one._asdict() for one in summary.changes],
        },
        "rows_of_other_inputs_left_out": summary.others,
        "moved": {"done": summary.moved["done"], "failed": summary.moved["failed"]},
        "table_unchanged": summary.unchanged,
        "pages_laid_straight": len(summary.residuals),
        "worst_residual_mm": max(summary.residuals, default=None),
        "seconds": {"total": round(summary.seconds, 3)}
        | {name: round(took, 3) for name, took in summary.stages.items()},
        "work_seconds": {name: round(took, 3) for name, took in summary.work.items()},
        "crops_read": summary.crops,
        "pages_read": summary.pages,
        "files_a_second": round(summary.read / max(summary.stages.get("read", 0.0), 1e-9), 1),
    }


def _collect_provenance(options: "RunOptions", summary: "Summary") -> dict[str, Any]:
    """Return model, versions and time; the model is None if it cannot be used."""
    from batchdigits import predict  # noqa: PLC0415
    from batchdigits.cli import installation  # noqa: PLC0415

    if summary.model is None:  # the run ended before it loaded the model
        with suppress(ModelError):
            card = predict.load_card(options.model)
            summary.model = {
                "name": card.name,
                "fingerprint": predict.fingerprint_model(options.model),
            }
    return {
        "model": summary.model,
        "versions": {"batchdigits": __version__, "python": platform.python_version()}
        | installation.list_library_versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
