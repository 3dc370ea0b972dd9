"""What the lines of a table hold: a row per field, per page, or per digit."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from batchdigits.records import DigitRow, Row, Status

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_FORMULA_STARTS = tuple("=+-@＝＋－＠")  # noqa: RUF001 (some spreadsheets accept the wide forms too)
STATUSES_WORST_FIRST: tuple[Status, ...] = ("error", "review", "ok", "verified", "blank")
"""Statuses, worst first; `blank` is last, as a blank field beside values is no fault."""

TableLine = dict[str, Any]


class Column(NamedTuple):
    """One column of a table.

    Attributes:
        name: in the header.
        kind: type of its values: str, int, or float for a share in [0, 1].
        width: in a spreadsheet, in characters.
        text: whether a spreadsheet keeps what people type there as text, with leading zeros.
    """

    name: str
    kind: type
    width: int
    text: bool = False


class TableLayout(NamedTuple):
    """How records become the lines of a table.

    Attributes:
        sheet: name of its sheet in a spreadsheet.
        columns: in order.
        lines: turns records into lines; each has a value or None for each column.
    """

    sheet: str
    columns: tuple[Column, ...]
    lines: Callable[[Iterable[Any]], Iterator[TableLine]]

    @property
    def names(self) -> list[str]:
        """Return the names of the columns."""
        return [column.name for column in self.columns]


def _make_field_lines(rows: Iterable[Row]) -> Iterator[TableLine]:
    for row in rows:
        line = dict(zip(RESULT_COLUMNS, _get_values(row), strict=True))
        line["detail"] = sanitize_detail(row.detail)
        yield line


def _make_digit_lines(digits: Iterable[DigitRow]) -> Iterator[TableLine]:
    for digit in digits:
        yield digit._asdict()


def sanitize_detail(detail: str) -> str:
    """Return a detail as one line that no spreadsheet takes for a formula."""
    if not detail:
        return ""
    plain = _UNPRINTABLE.sub(" ", detail)
    return f"'{plain}" if plain.lstrip().startswith(_FORMULA_STARTS) else plain


_FILE_COLUMN, _PAGE_COLUMN = Column("file", str, 48), Column("page", int, 6)
_STATUS_COLUMN, _DETAIL_COLUMN = Column("status", str, 9), Column("detail", str, 60)
LONG_LAYOUT = TableLayout(
    "results",
    (
        _FILE_COLUMN,
        _PAGE_COLUMN,
        Column("field", str, 18),
        Column("value", str, 14, text=True),
        Column("confidence", float, 11),
        _STATUS_COLUMN,
        _DETAIL_COLUMN,
    ),
    _make_field_lines,
)
RESULT_COLUMNS: tuple[str, ...] = tuple(LONG_LAYOUT.names)
_get_values = attrgetter(*RESULT_COLUMNS)
FIELDS_LAYOUT = LONG_LAYOUT._replace(sheet="fields")
_DIGIT_COLUMN_TYPES = {"position": int, "confidence": float, "runner_up_confidence": float}
_DIGIT_COLUMN_TYPES |= dict.fromkeys(("page", "x", "y", "width", "height"), int)
DIGITS_LAYOUT = TableLayout(
    "digits",
    tuple(Column(name, _DIGIT_COLUMN_TYPES.get(name, str), 12) for name in DigitRow._fields),
    _make_digit_lines,
)


def make_page_layout(fields: Sequence[str]) -> TableLayout:
    """Return a layout with a row per page.

    It has a column for each field, then the least confidence and the worst status.

    Args:
        fields: their names, each once; none is the name of another column.
    """
    columns = (
        _FILE_COLUMN,
        _PAGE_COLUMN,
        *(Column(name, str, 14, text=True) for name in fields),
        Column("min_confidence", float, 11),
        _STATUS_COLUMN,
        _DETAIL_COLUMN,
    )

    def lines(rows: Iterable[Row]) -> Iterator[TableLine]:
        for (file, page), group in groupby(rows, lambda row: (row.file, row.page)):
            yield {"file": file, "page": page} | _make_page_line(list(group), fields)

    return TableLayout("pages", columns, lines)


def _make_page_line(rows: Sequence[Row], fields: Sequence[str]) -> TableLine:
    worst = min(rows, key=lambda row: STATUSES_WORST_FIRST.index(row.status))
    detail = f"{worst.field}: {worst.detail}" if worst.field and worst.detail else worst.detail
    values = {row.field: row.value for row in rows}
    confidences = [row.confidence for row in rows if row.confidence is not None]
    return {
        **{name: values.get(name, "") for name in fields},
        "min_confidence": min(confidences, default=None),
        "status": worst.status,
        "detail": sanitize_detail(detail),
    }
