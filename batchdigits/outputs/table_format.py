"""A table, whatever its format: what its lines hold, and what a file format does with them.

A line is a field, a page or a digit. The formats of plain text share `TextFormat`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from batchdigits.records import DigitRow, Row, Status

if TYPE_CHECKING:
    import pandas as pd

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_FORMULA_STARTS = tuple("=+-@＝＋－＠")  # noqa: RUF001 (some spreadsheets accept the wide forms too)
STATUSES_WORST_FIRST: tuple[Status, ...] = ("error", "review", "ok", "verified", "blank")
"""Statuses, worst first; `blank` is last, as a blank field beside values is no fault."""

TableLine = tuple[Any, ...]


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
        lines: turns records into lines: a value or None for each column, in order.
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
        yield (*row[:-1], sanitize_detail(row.detail)) if row.detail else row


def _make_digit_lines(digits: Iterable[DigitRow]) -> Iterator[TableLine]:
    return iter(digits)


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
            yield (file, page, *_make_page_line(list(group), fields))

    return TableLayout("pages", columns, lines)


def _make_page_line(rows: Sequence[Row], fields: Sequence[str]) -> TableLine:
    """Return the values of a page's line behind those of its file and page."""
    worst = min(rows, key=lambda row: STATUSES_WORST_FIRST.index(row.status))
    detail = f"{worst.field}: {worst.detail}" if worst.field and worst.detail else worst.detail
    values = {row.field: row.value for row in rows}
    confidences = [row.confidence for row in rows if row.confidence is not None]
    return (
        *(values.get(name, "") for name in fields),
        min(confidences, default=None),
        worst.status,
        sanitize_detail(detail),
    )


LineWriter = Callable[[list[TableLine]], object]


class TableFormat(ABC):
    """A file format of tables, which both writes and reads its files.

    Attributes:
        suffix: of its files, with the dot, in lower case; without the dot it names the extra of
            the package that installs its libraries.
        library: the module that writes it; empty where the standard library does.
        holds_sheets: whether a file holds several tables, or one.
    """

    suffix: str
    library: str = ""
    holds_sheets: bool = False

    @property
    def install_hint(self) -> str:
        """Return the command that installs the format's libraries."""
        return f"pip install 'batchdigits[{self.suffix[1:]}]'"

    @abstractmethod
    def open_writer(
        self, file: BinaryIO, layouts: Sequence[TableLayout]
    ) -> AbstractContextManager[list[LineWriter]]:
        """Open an empty file for writing; it is complete when the block ends.

        Args:
            file: open for writing, with a name in the file system where a library needs one.
            layouts: of the tables; exactly one, unless the format `holds_sheets`.

        Returns:
            A context manager that yields a function for each layout, which appends lines.
        """

    @abstractmethod
    def read(self, path: str) -> "pd.DataFrame":
        """Read a file, with cells of any type.

        Raises:
            ImportError: a library is missing.
            Exception: the file is damaged; each library has its own types for that.
        """


class TextFormat(TableFormat):
    """A format of lines of UTF-8 text."""

    @contextmanager
    def open_writer(
        self, file: BinaryIO, layouts: Sequence[TableLayout]
    ) -> Iterator[list[LineWriter]]:
        """Open an empty file for writing, as `TableFormat.open_writer`."""
        (layout,) = layouts

        def put(text: str) -> None:
            rest = text.encode()
            while rest:  # with PYTHONUNBUFFERED, standard output may take only a part
                rest = rest[file.write(rest) :]

        put(self.format_header(layout))
        yield [lambda lines: put(self.format_lines(lines, layout))]

    @abstractmethod
    def format_header(self, layout: TableLayout) -> str:
        """Return the text before the first line; empty where there is none."""

    @abstractmethod
    def format_lines(self, lines: list[TableLine], layout: TableLayout) -> str:
        """Return lines as text."""
