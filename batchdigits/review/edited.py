"""A copy of the table in which somebody typed: its changed values become corrections."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from batchdigits.corrections import Answer, Correction
from batchdigits.errors import UsageError
from batchdigits.postprocess.rules import describe_broken_rule
from batchdigits.records import Row
from batchdigits.templates.field import Field

if TYPE_CHECKING:
    import pandas as pd

OWN_COLUMNS = ("file", "page", "field", "value", "status")
PAGE_COLUMNS = ("file", "page", "min_confidence", "status", "detail")
UNREADABLE_WORDS = ("x", "?", "unreadable")
BLANK_WORDS = ("blank", "b", "-")


class EditedCell(NamedTuple):
    """A value in somebody's copy of the table.

    Attributes:
        value: as it stands there.
        status: of its row; empty in a table with a row a page, where it is the page's.
        confidence: of its row, as text; None in a table with a row a page.
    """

    value: str
    status: str
    confidence: str | None


class EditedTable:
    """Somebody's copy of a results table."""

    def __init__(self, table: "pd.DataFrame", path: str) -> None:
        """Take the table as text.

        Raises:
            UsageError: it is no copy of a results table.
        """
        self._cells: dict[tuple[str, str, str], EditedCell] = {}
        self.path = path
        names = list(table.columns)
        if set(OWN_COLUMNS) <= set(names):
            self._add_rows(table)
        elif set(PAGE_COLUMNS) <= set(names):
            self._add_pages(table, [one for one in names if one not in PAGE_COLUMNS])
        else:
            raise UsageError(
                f"'{path}' holds neither corrections nor a results table: expected the column "
                f"'answer', or {', '.join(OWN_COLUMNS)}; got {', '.join(names)[:200]}"
            )

    def _add_rows(self, table: "pd.DataFrame") -> None:
        sure = table["confidence"] if "confidence" in table.columns else [None] * len(table)
        columns = [table[name] for name in OWN_COLUMNS]
        for file, page, field, value, status, one in zip(*columns, sure, strict=True):
            self._cells[file, _trim_number(page), field] = EditedCell(
                value.strip(), status.strip(), one
            )

    def _add_pages(self, table: "pd.DataFrame", fields: Sequence[str]) -> None:
        for line in table.to_dict("records"):
            for field in fields:
                key = str(line["file"]), _trim_number(str(line["page"])), field
                self._cells[key] = EditedCell(str(line[field]).strip(), "", None)

    def find_cell(self, row: Row) -> EditedCell | None:
        """Return what stands in the copy for a row; None if it has no such row."""
        cell = self._cells.pop((row.file, str(row.page), row.field), None)
        if cell is None and not row.field:  # in a table with a row a page, its column is `value`
            cell = self._cells.pop((row.file, str(row.page), "value"), None)
        return cell

    def list_unused(self) -> Iterator[str]:
        """Yield the rows of the copy that `find_cell` was not asked for, as text."""
        for (file, page, field), cell in self._cells.items():
            if cell.value:
                yield f"{file}, page {page}{f', {field}' if field else ''}"


class Change(NamedTuple):
    """What became of a row of a copy.

    Attributes:
        correction: what somebody said by it; None if nothing.
        doubt: why its other value was not taken; empty if it is taken, or the same.
    """

    correction: Correction | None = None
    doubt: str = ""


def compare_cell(row: Row, shown: Row, cell: EditedCell, field: Field | None) -> Change:
    """Compare what stands in a copy with a row.

    Args:
        row: as the machine read it.
        shown: as the table shows it, with what people said before.
        cell: what stands in the copy.
        field: its rules, if they are known.

    Returns:
        A correction where somebody typed another value, or set the status `verified`. A value that
        only lost its leading zeros, as spreadsheets do, is the same. Where the row of the copy has
        another confidence, it was read anew since, so that nobody may have typed the difference.
    """
    said = _parse_answer(cell.value, row, field)
    if said is None:
        return Change(doubt=f"'{cell.value[:40]}' is no value of digits")
    answer, value = said
    accepted = cell.status == "verified" and shown.status != "verified"
    if (answer, value) == _describe_shown(shown) or _is_same_number(value, shown.value):
        if not accepted:
            return Change()
        answer, value = ("value", shown.value) if shown.value else ("blank", "")
    elif cell.confidence is not None and not _is_same_confidence(cell.confidence, shown, row):
        return Change(doubt="it was read anew since the copy was made")
    return Change(
        Correction(
            file=row.file,
            page=row.page,
            field=row.field,
            answer=answer,
            value=value,
            how="table",
        )
    )


def _describe_shown(shown: Row) -> tuple[Answer, str]:
    return ("value", shown.value) if shown.value else ("blank", "")


def _parse_answer(text: str, row: Row, field: Field | None) -> tuple[Answer, str] | None:
    """Return the answer that a cell gives; None if it is none."""
    if not text or text.lower() in BLANK_WORDS:
        return "blank", ""
    if text.lower() in UNREADABLE_WORDS:
        return "unreadable", ""
    value = text.removeprefix("'")
    decimals = 0 if field is None else field.decimals
    if not decimals and "." not in row.value:
        value = value.removesuffix(".0")  # a number in a spreadsheet
    whole, dot, part = value.partition(".")
    if dot and part:
        value = f"{whole}.{part.ljust(decimals, '0')}"
    if not (whole + part).isascii() or not (whole + part).isdecimal() or (dot and not part):
        return None
    return "value", restore_zeros(value, field)


def restore_zeros(value: str, field: Field | None) -> str:
    """Return a value with the leading zeros that its field's rule wants, if it lacks only these."""
    if field is None or not field.cells or "." in value or len(value) >= field.cells:
        return value
    full = value.zfill(field.cells)
    if describe_broken_rule(field, value) and not describe_broken_rule(field, full):
        return full
    return value


def _is_same_number(one: str, other: str) -> bool:
    if not one or not other or one == other:
        return one == other
    return float(one) == float(other) and len(one) < len(other)  # zeros were lost, and no more


def _is_same_confidence(text: str, *rows: Row) -> bool:
    for row in rows:
        if row.confidence is None and not text:
            return True
        try:
            if row.confidence is not None and abs(float(text) - row.confidence) < 1e-4:
                return True
        except ValueError:
            continue
    return False


def _trim_number(text: str) -> str:
    return text.strip().removesuffix(".0") or "1"
