"""What a table's lines hold: a row a field, a row a page, or a row a digit."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from batchdigits.records import Digit, Row, Status

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_FORMULA = tuple("=+-@＝＋－＠")  # noqa: RUF001 (some spreadsheets take the wide forms too)
WORST: tuple[Status, ...] = ("error", "review", "ok", "verified", "blank")
"""Statuses, the worst first: a blank beside values says nothing against them."""

Line = dict[str, Any]


class Column(NamedTuple):
    """One column.

    Attributes:
        name: in the first line.
        kind: what it holds: str, int, or float for a share in [0, 1].
        width: in a sheet, characters.
        text: whether a sheet shall take what is typed there for text: digits are no number.
    """

    name: str
    kind: type
    width: int
    text: bool = False


class Layout(NamedTuple):
    """One table.

    Attributes:
        sheet: its name in a spreadsheet.
        columns: in order.
        lines: turns records into lines, a value or None for each column.
    """

    sheet: str
    columns: tuple[Column, ...]
    lines: Callable[[Iterable[Any]], Iterator[Line]]

    @property
    def names(self) -> list[str]:
        """Give the columns' names."""
        return [column.name for column in self.columns]


def _long(rows: Iterable[Row]) -> Iterator[Line]:
    for row in rows:
        line = dict(zip(COLUMNS, _values(row), strict=True))
        line["detail"] = said(row.detail)
        yield line


def _digits(digits: Iterable[Digit]) -> Iterator[Line]:
    for digit in digits:
        yield digit._asdict()


def said(detail: str) -> str:
    """Keep a detail on its line, and no spreadsheet from taking it for a formula."""
    if not detail:
        return ""
    plain = _UNPRINTABLE.sub(" ", detail)
    return f"'{plain}" if plain.lstrip().startswith(_FORMULA) else plain


_FILE, _PAGE = Column("file", str, 48), Column("page", int, 6)
_STATUS, _DETAIL = Column("status", str, 9), Column("detail", str, 60)
LONG = Layout(
    "results",
    (
        _FILE,
        _PAGE,
        Column("field", str, 18),
        Column("value", str, 14, text=True),
        Column("confidence", float, 11),
        _STATUS,
        _DETAIL,
    ),
    _long,
)
COLUMNS: tuple[str, ...] = tuple(LONG.names)
_values = attrgetter(*COLUMNS)
FIELDS = LONG._replace(sheet="fields")
_KINDS = {"position": int, "confidence": float, "runner_up_confidence": float}
_KINDS |= dict.fromkeys(("page", "x", "y", "width", "height"), int)
DIGITS = Layout(
    "digits",
    tuple(Column(name, _KINDS.get(name, str), 12) for name in Digit._fields),
    _digits,
)


def pages(fields: Sequence[str]) -> Layout:
    """Lay out a row a page: a column for each field, then the least confidence and the worst.

    Args:
        fields: names, each once, none of them that of another column.
    """
    columns = (
        _FILE,
        _PAGE,
        *(Column(name, str, 14, text=True) for name in fields),
        Column("min_confidence", float, 11),
        _STATUS,
        _DETAIL,
    )

    def lines(rows: Iterable[Row]) -> Iterator[Line]:
        for (file, page), group in groupby(rows, lambda row: (row.file, row.page)):
            yield {"file": file, "page": page} | _page(list(group), fields)

    return Layout("pages", columns, lines)


def _page(rows: Sequence[Row], fields: Sequence[str]) -> Line:
    worst = min(rows, key=lambda row: WORST.index(row.status))
    detail = f"{worst.field}: {worst.detail}" if worst.field and worst.detail else worst.detail
    values = {row.field: row.value for row in rows}
    sure = [row.confidence for row in rows if row.confidence is not None]
    return {
        **{name: values.get(name, "") for name in fields},
        "min_confidence": min(sure, default=None),
        "status": worst.status,
        "detail": said(detail),
    }
