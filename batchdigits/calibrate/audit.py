"""Results that a person has checked become calibration data."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from batchdigits.calibrate.thresholds import group_by_confidence
from batchdigits.errors import UsageError
from batchdigits.records import CalibrationBin

REQUIRED_COLUMNS = ("confidence", "value", "truth")
AuditRow = dict[str | None, str | None]


def load_audit_table(path: str) -> list[CalibrationBin]:
    """Load calibration data from a table of audited results.

    Rows without a confidence (blank, error), without a value (never `ok`), and with the status
    `verified` (a person gave the value, not the model) are left out.

    Args:
        path: CSV, separated by `,`, `;` or tab, with the columns `confidence`, `value` and `truth`;
            other columns are ignored. `evaluate --out DIR` writes such a file as `readings.csv`. A
            value is right if it equals the truth digit by digit; an empty truth is a blank box.

    Raises:
        UsageError: the table cannot be read, a column is missing, a confidence is out of range, or
            no row is left.
    """
    name = f"--calibration '{path}'"
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            pairs = list(_parse_audit_rows(_read_audit_rows(file, name), name))
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from None
    except (ValueError, csv.Error) as error:  # ValueError: not UTF-8, or no possible name
        raise UsageError(f"{name}: expected a table in CSV; {error}") from None
    if not pairs:
        raise UsageError(f"{name}: expected rows with value and confidence, got none")
    confidence, right = zip(*pairs, strict=True)
    return group_by_confidence(np.array(confidence, np.float64), np.array(right, np.bool_))


def _read_audit_rows(file: Iterable[str], name: str) -> Iterator[AuditRow]:
    """Check the table's header; yield its rows by column."""
    lines = iter(file)
    head = next(lines, "")
    separator = max(",;\t", key=head.count)
    columns = next(csv.reader([head], delimiter=separator), [])
    missing = [column for column in REQUIRED_COLUMNS if column not in columns]
    if missing:
        raise UsageError(
            f"{name}: expected the columns {', '.join(REQUIRED_COLUMNS)}, "
            f"got {', '.join(columns)[:200]!r}: "
            "`batchdigits evaluate --out DIR` writes such a table as DIR/readings.csv"
        )
    yield from csv.DictReader(lines, columns, delimiter=separator)


def _parse_audit_rows(lines: Iterator[AuditRow], name: str) -> Iterator[tuple[float, bool]]:
    """Yield the confidence of each row that counts, and whether its value is right."""
    for number, line in enumerate(lines, 1):
        written, value, truth = ((line[column] or "").strip() for column in REQUIRED_COLUMNS)
        if not written or not value or line.get("status") == "verified":
            continue
        try:
            confidence = float(written)
        except ValueError:
            confidence = -1
        if not 0 <= confidence <= 1:
            raise UsageError(
                f"{name}: expected confidences from 0 to 1, got {written[:40]!r} in row {number}"
            )
        yield confidence, value == truth
