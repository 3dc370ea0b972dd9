"""What is new in the tables of a run, and which values that were `ok` a new reading changes."""

import json
import logging
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from functools import cache
from itertools import islice

from batchdigits.calibrate import Thresholds
from batchdigits.job import Job
from batchdigits.postprocess.judge import judge_findings
from batchdigits.predict.findings import Finding
from batchdigits.predict.plain_digits import decode_file_findings
from batchdigits.records import Row
from batchdigits.state.known import FileFindings
from batchdigits.state.store import StateStore
from batchdigits.state.table_records import ReadingMark
from batchdigits.summary import ChangedValue, Summary

log = logging.getLogger(__name__)

FILES_PER_PART = 1024
"""Files that are recalled at a time."""


def select_new_rows(
    one: FileFindings, rows: Sequence[Row], *, whole_pages: bool, said: Collection[int] = ()
) -> list[Row]:
    """Select the rows of a file that the last table did not have.

    Args:
        one: the file's findings; they say whether it was read since, and what it was judged by.
        rows: of the file.
        whole_pages: whether all rows of a page go with one of them.
        said: indexes of the rows about which somebody said something since.
    """
    if one.is_new:
        return list(rows)
    changed = set(said)
    if one.earlier is not None:
        judged, before = (
            judge_findings(one.file, one.findings, by).rows for by in (one.thresholds, one.earlier)
        )
        pairs = zip(judged, before, strict=True)
        changed |= {at for at, (row, old) in enumerate(pairs) if row != old}
    if not whole_pages:
        return [row for at, row in enumerate(rows) if at in changed]
    pages = {rows[at].page for at in changed}
    return [row for row in rows if row.page in pages]


def choose_thresholds(threshold: float | None, text: str) -> Thresholds:
    """Return one threshold for all values, or for None those of a model, kept as `text`."""
    return Thresholds(**json.loads(text)) if threshold is None else Thresholds(threshold, threshold)


def load_or_make_mark(store: StateStore, threshold: float | None) -> ReadingMark:
    """Return what the last tables show; if that was never noted, note that they show all."""
    mark = store.load_mark()
    if mark is None:
        number = store.find_highest_reading() if store.has_table_records() else 0
        mark = ReadingMark(number, threshold)
        store.save_mark(mark)
    return mark


def move_mark(store: StateStore, mark: ReadingMark, threshold: float | None, said: int) -> None:
    """Note that the tables show all readings, unless some are of files that are left out.

    Args:
        store: the state.
        mark: what the tables before showed.
        threshold: what values are judged by.
        said: how many corrections were applied.
    """
    hidden = store.has_hidden_readings(mark.number)
    number = mark.number if hidden else store.find_highest_reading()
    store.save_mark(ReadingMark(number, threshold, said))


def count_changes(
    file: str, earlier: tuple[str, str], findings: Sequence[Finding], job: Job, summary: Summary
) -> None:
    """Count and log the values that were `ok`, and that a new reading of the same bytes changes.

    Args:
        file: its name as the table spells it.
        earlier: thresholds and findings of the last reading, as the state keeps them.
        findings: of the new reading.
        job: says what values are judged by.
        summary: gets the values.
    """
    text, before = earlier
    rows = judge_findings(file, findings, job.thresholds).rows
    new = {(row.page, row.field): row for row in rows}
    for old in judge_findings(
        file, decode_file_findings(before), choose_thresholds(job.threshold, text)
    ).rows:
        row = new.get((old.page, old.field))
        if old.status != "ok" or (row is not None and row.value == old.value):
            continue
        value, status = ("", "gone") if row is None else (row.value, row.status)
        change = ChangedValue(file, old.page, old.field, old.value, value, status)
        summary.count_change(change)
        log.info("changed by reading again: %s", change)


def recall_findings(
    store: StateStore, job: Job, mark: ReadingMark, reused: Container[str]
) -> Iterator[list[FileFindings]]:
    """Yield the findings of every file of the table, in its order.

    Args:
        store: has them.
        job: says what values are judged by.
        mark: what the last tables show.
        reused: files that got the findings of another since.
    """
    choose: Callable[[float | None, str], Thresholds] = cache(choose_thresholds)
    now, before = job.threshold, mark.threshold
    records = store.list_file_records()
    while part := list(islice(records, FILES_PER_PART)):
        yield [
            FileFindings(
                one.file,
                decode_file_findings(one.findings),
                choose(now, one.thresholds),
                one.here,
                one.reading > mark.number or one.file in reused,
                None if now == before else choose(before, one.thresholds),
                one.content,
            )
            for one in part
        ]
