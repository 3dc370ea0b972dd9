"""A table that a run wrote, opened with its state: what the machine read, and where."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

from batchdigits import outputs, state
from batchdigits.calibrate import Thresholds
from batchdigits.corrections import CorrectionBook, FieldPlace, load_book, place_fields
from batchdigits.errors import UsageError
from batchdigits.outputs import (
    FIELDS_LAYOUT,
    LONG_LAYOUT,
    RESULT_COLUMNS,
    TableLayout,
    make_page_layout,
)
from batchdigits.paths import make_corrections_path, make_main_path, make_state_path
from batchdigits.postprocess.judge import OutputRows, judge_findings
from batchdigits.predict.findings import Finding, decode_findings
from batchdigits.records import Row, Source, Status
from batchdigits.sources import inspection, unescape_path
from batchdigits.state import StateStore, TableRecord, tables
from batchdigits.state.lock import lock_outputs

if TYPE_CHECKING:
    import pandas as pd


class ReadFile(NamedTuple):
    """What the machine read in a file.

    Attributes:
        file: as the table spells it.
        rows: as the machine read them, without what people said.
        places: of each row, as corrections know it.
        findings: of each row; empty without a state.
    """

    file: str
    rows: OutputRows
    places: Sequence[FieldPlace]
    findings: Sequence[Finding] = ()


@dataclass
class OpenResults:
    """A table and what is known about it; the lock of the table is held.

    Attributes:
        path: of the table.
        corrections: path of what people said about it.
        book: what people said about it.
        store: its open state; None without one.
        record: how a run left it; None where the state does not know it.
        settings: what it was made with; empty where that is not known.
        columns: the names of the columns of each of its layouts.
    """

    path: str
    corrections: str
    book: CorrectionBook
    store: StateStore | None = None
    record: TableRecord | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    columns: list[list[str]] = field(default_factory=list)
    _table: "pd.DataFrame | None" = None

    @property
    def table(self) -> "pd.DataFrame":
        """The table as it stands, as text."""
        if self._table is None:
            self._table = read_results_table(self.path)
        return self._table

    @property
    def is_stale(self) -> bool:
        """Whether the state knows more than the table shows, so that only a run can write it."""
        return self.record is not None and not self.settings

    @property
    def layouts(self) -> list[TableLayout]:
        """The layouts that a run wrote it in, as `outputs.open_tables` takes them."""
        several = len(self.columns) > 1
        return [
            (FIELDS_LAYOUT if several else LONG_LAYOUT)
            if tuple(names) == RESULT_COLUMNS
            else make_page_layout(names[2:-3])
            for names in self.columns
        ]

    def read_files(self, *, with_digits: bool = False) -> Iterator[ReadFile]:
        """Yield what the machine read in each file of the table, in its order."""
        if self.store is None or self.record is None:
            yield from self._read_table_files()
            return
        shown = set(self.table["file"])
        own, forms = self.settings.get("min_confidence"), self.settings.get("forms", {})
        for one in self.store.list_file_records():
            if one.file not in shown:
                continue
            findings = decode_findings(one.findings)
            thresholds = Thresholds(**json.loads(one.thresholds))
            thresholds = thresholds if own is None else Thresholds(own, own)
            yield ReadFile(
                one.file,
                judge_findings(one.file, findings, thresholds, with_digits),
                place_fields(one.file, one.content, findings, forms),
                findings,
            )

    def _read_table_files(self) -> Iterator[ReadFile]:
        """Yield the rows of the table itself; a file is known by its content if it is there."""
        rows = parse_rows(self.table, self.path)
        for file, group in groupby(rows, lambda row: row.file):
            own = list(group)
            content = hash_file(file) or b""
            places = [
                FieldPlace(file, content.hex(), row.page, "", row.field, None, bool(row.field))
                for row in own
            ]
            read = [
                row if row.status != "verified" else restore_reading(row, self.book, place)
                for row, place in zip(own, places, strict=True)
            ]
            yield ReadFile(file, OutputRows(read, []), places)

    def count_rows(self) -> int | None:
        """Return how many rows a run left in it; None where that is not known."""
        if self.record is None or not self.record.summary:
            return None
        return int(sum(json.loads(self.record.summary).values()))


@contextmanager
def open_results(path: str, state_path: str | None, wait: float) -> Iterator[OpenResults]:
    """Open a table and its state; no run writes them meanwhile.

    Args:
        path: of the table.
        state_path: of its state; None for the one beside it, if there is one.
        wait: how long to wait for a run to end, s.

    Raises:
        UsageError: there is no such table, or its corrections cannot be read.
        BusyError: a run writes it.
        OutputError: the state cannot be used.
    """
    main = make_main_path(path)
    if main != path and not path.endswith("/"):
        path += "/"
    if not Path(main).is_file():
        raise UsageError(f"'{path}' does not exist: expected a results table of `batchdigits run`")
    if state_path is not None and not Path(state_path).is_file():
        raise UsageError(f"--state '{state_path}' does not exist: give the state of '{path}'")
    if outputs.find_format(path) is None:
        raise UsageError(f"'{path}' is no table: expected a results table of `batchdigits run`")
    corrections = make_corrections_path(path)
    beside = state_path or make_state_path(path)
    with ExitStack() as stack:
        stack.enter_context(lock_outputs([path], wait))
        found = OpenResults(path, corrections, load_book(corrections))
        if os.path.exists(beside):
            found.store = stack.enter_context(state.open_store(beside))
            found.record = found.store.load_table_record(tables.name_table(main, found.store))
        if found.record is not None and found.record.settings:
            _, found.settings, found.columns, _ = json.loads(found.record.settings)
        yield found


def read_results_table(path: str) -> "pd.DataFrame":
    """Read a table with a row a field or a row a page, as text.

    Raises:
        UsageError: it cannot be read, or has no column `file`.
    """
    table = outputs.read_table(path)
    if "file" not in table.columns:
        raise UsageError(
            f"'{path}' is no results table: expected a column 'file', got "
            f"{', '.join(table.columns)[:200]}"
        )
    return table


def parse_rows(table: "pd.DataFrame", path: str) -> list[Row]:
    """Turn a table with a row a field into rows.

    Raises:
        UsageError: it has a row a page, or a cell that no run writes.
    """
    if missing := [name for name in RESULT_COLUMNS if name not in table.columns]:
        raise UsageError(
            f"'{path}' lacks the column '{missing[0]}': without its state, expected a table with "
            f"the columns {', '.join(RESULT_COLUMNS)}"
        )
    rows = []
    for file, page, name, value, sure, status, detail in table[list(RESULT_COLUMNS)].itertuples(
        index=False
    ):
        try:
            rows.append(
                Row(
                    file, int(page or 1), name, value, float(sure) if sure else None, status, detail
                )
            )
        except ValueError:
            raise UsageError(
                f"'{path}': expected page and confidence as numbers, got {page!r} and {sure!r}: "
                "correct the table"
            ) from None
    return rows


def restore_reading(row: Row, book: CorrectionBook, place: FieldPlace) -> Row:
    """Return a row of a table that no state knows as the machine had read it."""
    said = book.find_latest(place)
    if said is None or said.read_status not in get_args(Status):
        return row
    sure = float(said.read_confidence) if said.read_confidence else None
    return row._replace(
        value=said.read_value, confidence=sure, status=cast("Status", said.read_status)
    )


def hash_file(file: str) -> bytes | None:
    """Return the digest of a file of the table; None if it is gone or too large."""
    return inspection.hash_source(Source(file, os.fsdecode(unescape_path(file)))).content
