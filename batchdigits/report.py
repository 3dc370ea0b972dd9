"""What commands print for people: a last line, lists and tables.

Only data goes to standard output; the rest goes to standard error.
"""

import csv
import logging
import math
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING, Any

from batchdigits.errors import OutputError
from batchdigits.options import RunOptions
from batchdigits.records import Status
from batchdigits.run import PlannedFile
from batchdigits.sources.archives import split_member
from batchdigits.summary import Summary, format_rate

if TYPE_CHECKING:
    import pandas as pd

MAX_NAMED = 10
"""Files that are named with their reasons at most."""
MANY_PAGES = 5
"""So many pages with the same fields are worth a template."""
MESSAGE_LOG = logging.getLogger("batchdigits.said")
"""The messages on standard error, for a log file."""
MESSAGE_LOG.propagate = False


def print_summary(summary: Summary, out: str, options: RunOptions) -> int:
    """Print how a run went, on one line.

    Returns:
        The exit code: 3 if too many files failed, else 0.
    """
    share = Fraction(options.fail_over).limit_denominator(10**9)  # as floats, 0.29 * 100 < 29
    bad = summary.failed > share * summary.files
    line = f"{_describe_counts(summary)}{_describe_unread(summary)} -> {_describe_output(out)}"
    if not options.quiet or bad:
        _print_failures(summary, options)
        _print_changes(summary, options)
        print_message(line)
    else:
        MESSAGE_LOG.info(format_line(line))
    return 3 if bad else 0


def _print_failures(summary: Summary, options: RunOptions) -> None:
    """Print the first files that could not be read, each with its reason."""
    lines = [
        f"{file}, page {page}: {detail}" if page > 1 else f"{file}: {detail}"
        for file, page, detail in summary.failures[:MAX_NAMED]
    ]
    _print_first("not read", lines, summary.failed, options)


def _print_changes(summary: Summary, options: RunOptions) -> None:
    """Print the first values that were `ok` and have changed."""
    lines = list(map(str, summary.changes[:MAX_NAMED]))
    _print_first("changed by reading again", lines, summary.changed, options)


def _print_first(what: str, lines: Sequence[str], count: int, options: RunOptions) -> None:
    """Print the first of so many lines; the log has had them all before."""
    for line in lines:
        _write_stderr(f"batchdigits: {what}: {format_line(line)}")
    if more := count - len(lines):
        rest = "the log has them all" if options.log_file else "--log-file keeps them all"
        _write_stderr(f"batchdigits: {what}: {more:,} more ({rest})")


def _describe_counts(summary: Summary) -> str:
    total = summary.statuses.total()
    if not total:
        return "no rows yet" if summary.left else "no images found"
    parts = [
        f"{summary.statuses[status]:,} {status}"
        for status in _STATUS_ORDER
        if summary.statuses[status]
    ]
    took = f"{summary.seconds:.1f} s ({_describe_read(summary)})"
    rows = f"{total:,} {'row' if total == 1 else 'rows'} in {took}: {', '.join(parts)}"
    return f"{rows}{_describe_residuals(summary.residuals)}{_describe_page_kinds(summary)}"


def _describe_read(summary: Summary) -> str:
    """Return how many files were read, and how many pages or crops a second."""
    files = f"{summary.read:,} {'file' if summary.read == 1 else 'files'} read"
    count = summary.crops + summary.pages
    if not count:
        return files
    unit = "page" if summary.pages else "crop"
    more = "" if count == summary.read else f", {count:,} {unit}{'' if count == 1 else 's'}"
    return f"{files}{more}, {format_rate(count / max(summary.seconds, 1e-9))} {unit}s a second"


def _describe_page_kinds(summary: Summary) -> str:
    """Return whether many pages look like one form, and the command that drafts its template."""
    kind = max(summary.page_kinds.values(), key=lambda one: one.count, default=None)
    if kind is None or kind.count < MANY_PAGES:
        return ""
    if split_member(kind.file)[1]:
        return (
            f"; {kind.count:,} pages look like one form (`form draft` takes one that is unpacked)"
        )
    page = f" --page {kind.page}" if kind.page > 1 else ""
    draft = f"batchdigits form draft {shlex.quote(kind.file)}{page} --out form.toml"
    return f"; {kind.count:,} pages look like one form (`{draft}` makes a template)"


def _describe_unread(summary: Summary) -> str:
    """Return how many pages are blank, and which files and rows are not in the counts, and why."""
    notes = {
        f"blank {'page' if summary.blank_pages == 1 else 'pages'}": summary.blank_pages,
        "known already": max(summary.files - summary.read - summary.left, 0),
        "left for next time, as they were just written to": summary.left,
        "gone or not asked for, their rows kept": summary.gone,
        "gone, their rows dropped": summary.pruned,
        f"{'row' if summary.others == 1 else 'rows'} of other INPUTs left out (--append keeps "
        f"{'it' if summary.others == 1 else 'them'})": summary.others,
        "moved as done": summary.moved["done"],
        "moved as failed": summary.moved["failed"],
        "ok before, changed by reading again": summary.changed,
    }
    said = [f"{count:,} {note}" for note, count in notes.items() if count]
    return "".join(f"; {one}" for one in said) + _describe_skipped(summary.skipped)


def _describe_skipped(skipped: dict[str, int]) -> str:
    parts = [f"{count:,} {reason}" for reason, count in sorted(skipped.items()) if count]
    return f"; skipped {', '.join(parts)}" if parts else ""


def _describe_residuals(residuals: Sequence[float]) -> str:
    """Return how well pages of forms were registered; residuals are in mm."""
    if not residuals:
        return ""
    pages = f"{len(residuals):,} {'page' if len(residuals) == 1 else 'pages'} laid straight"
    return f"; {pages}, {median(residuals):.2f} mm off ({max(residuals):.2f} at most)"


_STATUS_ORDER: tuple[Status, ...] = ("ok", "review", "blank", "error", "verified")


def _describe_output(out: str) -> str:
    return "standard output" if out == "-" else out


def print_tables(*several: "pd.DataFrame") -> None:
    """Print tables on standard output, aligned, with an empty line between them."""
    write_stdout("\n".join(_format_table(table) for table in several))


def _format_table(table: "pd.DataFrame") -> str:
    """Return a table as text: the first column aligned left, the others right."""
    columns = [[name, *map(_format_cell, table[name].tolist())] for name in table.columns]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for first, *rest in zip(*columns, strict=True):
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "".join(f"{line}\n" for line in lines)


def _format_cell(value: Any) -> str:
    """Return a cell as text: a float with four decimals, a missing value empty."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4f}"
    return "" if value is None or str(value) == "<NA>" else str(value)


def write_stdout(text: str) -> None:
    """Write text to standard output.

    Raises:
        OutputError: it is closed.
    """
    if sys.stdout is None:
        raise OutputError("the result goes to standard output, which is closed: open it")
    sys.stdout.write(text)


def print_plan(lines: Iterable[PlannedFile], skipped: dict[str, int], quiet: bool) -> None:
    """Print a dry run as CSV on standard output: file, as, pages, why.

    Raises:
        OutputError: standard output is closed.
    """
    if sys.stdout is None:
        raise OutputError("--dry-run writes to standard output, which is closed: open it")
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("file", "as", "pages", "why"))
    count = 0
    for line in lines:
        table.writerow(line)
        count += 1
    if not quiet:
        print_message(
            f"{count:,} files found{_describe_skipped(skipped)}; nothing was read or written"
        )


def print_calibration(card: dict[str, Any], out: str, quiet: bool) -> None:
    """Print what a calibration measured, on one line."""
    measured, threshold = card["measured"], card["threshold"]
    if not quiet:
        print_message(
            f"{measured['digits']:,} digits: {measured['right']:.2%} right, "
            f"{measured['for review']:.2%} for review, {measured['wrong among ok']} wrong among "
            f"ok; temperature {card['calibration']['temperature']:.3f}, "
            f"threshold {threshold:.4f} -> {out}"
        )
    if threshold >= 1:
        print_message(
            "no threshold keeps wrong values few: all are for review, unless --min-confidence"
        )


def format_line(message: str) -> str:
    """Return a message on one line, without characters that could steer a terminal."""
    return make_printable(" ".join(message.split()))


def make_printable(line: str) -> str:
    """Replace characters of a line that could steer a terminal."""
    shown = "".join(c if c.isprintable() else "?" for c in line)
    return shown.encode("utf-8", "backslashreplace").decode()


def print_text(text: str) -> None:
    """Print text on standard error as it is. A closed standard error is no fault."""
    _write_stderr(text)


def print_message(message: str) -> None:
    """Print a message on one line of standard error. A closed standard error is no fault."""
    MESSAGE_LOG.info(format_line(message))
    _write_stderr(f"batchdigits: {format_line(message)}")


def _write_stderr(text: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # AttributeError: sys.stderr is None
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
