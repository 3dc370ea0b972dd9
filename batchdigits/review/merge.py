"""`correct`: what people said goes beside the table for good, and into the table."""

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from batchdigits import outputs
from batchdigits.corrections import (
    Correction,
    CorrectionBook,
    FieldPlace,
    append_corrections,
    apply_corrections,
    is_corrections_file,
    list_problems,
    read_corrections,
)
from batchdigits.outputs import LONG_LAYOUT, open_results_table, open_tables
from batchdigits.outputs.delimited import Dialect, detect_dialect
from batchdigits.paths import is_part_folder, make_main_path
from batchdigits.postprocess.judge import OutputRows
from batchdigits.postprocess.rules import describe_broken_rule
from batchdigits.records import Row
from batchdigits.review.edited import EditedTable, compare_cell
from batchdigits.review.promise import Promise, count_promise
from batchdigits.review.results import OpenResults, ReadFile, open_results, read_results_table
from batchdigits.state import tables
from batchdigits.state.lock import lock_outputs
from batchdigits.templates.field import Field

log = logging.getLogger(__name__)


@dataclass
class MergeOutcome:
    """What became of corrections.

    Attributes:
        merged: how many are new and belong to a row of the table.
        known: how many were said before, to the letter.
        answers: of the merged ones, how many accept the reading, change it, and so on.
        unmatched: those that belong to no row; they are kept.
        problems: lines about two answers for one field, broken rules, and rows not taken.
        promise: how many of the values that the machine was sure of were wrong.
        statuses: rows of the table by status; empty if the next run writes it.
    """

    merged: int = 0
    known: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    unmatched: list[Correction] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    promise: Promise = field(default_factory=Promise)
    statuses: Counter[str] = field(default_factory=Counter)


def correct_table(
    path: str, said: str, *, by: str = "", state_path: str | None = None, wait: float = 0.0
) -> MergeOutcome:
    """Merge what people said into a table, and keep it for every later run.

    Args:
        path: of the table.
        said: corrections as `review` saves them, or a copy of the table in which somebody typed.
        by: who said it, where the file does not tell.
        state_path: of the table's state; None for the one beside it.
        wait: how long to wait for a run to end, s.

    Raises:
        UsageError: a file cannot be read, or is neither.
        BusyError: a run writes the table.
        OutputError: the corrections or the table cannot be written; both are as they were, or the
            corrections are kept and the next run writes the table.
    """
    with open_results(path, state_path, wait) as results:
        outcome = MergeOutcome()
        new = _read_said(results, said, outcome)
        full = _complete_corrections(results, new, outcome)
        fresh = _drop_known(results.book, new, full, by)
        outcome.unmatched = [one for at, one in fresh.items() if at not in full]
        outcome.merged, outcome.known = len(fresh) - len(outcome.unmatched), len(new) - len(fresh)
        outcome.answers = Counter(_classify_answer(one) for at, one in fresh.items() if at in full)
        append_corrections(results.corrections, [*fresh.values()], mode_of=make_main_path(path))
        results.book = CorrectionBook([*results.book.corrections, *fresh.values()])
        outcome.problems += list_problems(new)
        _write_table(results, outcome)
        outcome.promise = count_promise(results)
        return outcome


def _read_said(results: OpenResults, said: str, outcome: MergeOutcome) -> list[Correction]:
    """Read what was said: corrections, or the changed values of a copy of the table."""
    if outputs.find_format(said) is None or is_corrections_file(said):
        return read_corrections(said)
    copy = EditedTable(read_results_table(said), said)
    found: list[Correction] = []
    for one in results.read_files():
        shown = apply_corrections(one.rows, one.places, results.book).rows
        fields = _list_fields(one)
        for row, now, place, own in zip(one.rows.rows, shown, one.places, fields, strict=True):
            cell = copy.find_cell(row)
            if cell is None:
                continue
            change = compare_cell(row, now, cell, own)
            if change.correction is not None:
                found.append(change.correction)
            if change.doubt:
                outcome.problems.append(f"{_describe_place(place)}: not taken: {change.doubt}")
    outcome.problems += [f"{one}: not taken: no such row" for one in copy.list_unused()]
    return found


def _complete_corrections(
    results: OpenResults, said: list[Correction], outcome: MergeOutcome
) -> dict[int, Correction]:
    """Add to corrections what they belong to, and what the machine had read there.

    Returns:
        Those that belong to a row, by their index.
    """
    book, full = CorrectionBook(said), dict[int, Correction]()
    index = {id(one): at for at, one in enumerate(said)}
    for one in results.read_files():
        fields = _list_fields(one)
        for row, place, own in zip(one.rows.rows, one.places, fields, strict=True):
            for correction in book.find_matches(place):
                full[index[id(correction)]] = _complete_correction(correction, row, place)
                if fault := _describe_broken_rule(own, correction):
                    outcome.problems.append(f"{_describe_place(place)}: {fault}: taken as said")
    return full


def _drop_known(
    book: CorrectionBook, said: list[Correction], full: Mapping[int, Correction], by: str
) -> dict[int, Correction]:
    """Return the corrections that are new, by their index, with who said so and when.

    Those that do not tell when they were said are known if they end with what counts now.
    """
    known, now = set(book.corrections), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    complete = [full.get(at, one) for at, one in enumerate(said)]
    before, after = ({_identify(one): one for one in some} for some in (book.corrections, complete))
    fresh: dict[int, Correction] = {}
    for at, one in enumerate(complete):
        last, ends = before.get(_identify(one)), after[_identify(one)]
        repeated = last is not None and (last.answer, last.value) == (ends.answer, ends.value)
        if one in known or (repeated and not one.said_at):
            continue
        fresh[at] = replace(one, said_by=one.said_by or by, said_at=one.said_at or now)
        known.add(one)
    return fresh


def _identify(one: Correction) -> tuple[object, ...]:
    return one.content or one.file, one.page, one.template, one.field, one.box


def _classify_answer(one: Correction) -> str:
    if one.answer == "value":
        return "as read" if one.same_as_read else "changed"
    return one.answer


def _complete_correction(one: Correction, row: Row, place: FieldPlace) -> Correction:
    box = one.box or ("" if place.box is None else " ".join(map(str, place.box)))
    one = replace(one, box=box, content=one.content or place.content)
    one = replace(one, template=one.template or place.template)
    if one.read_status:
        return one
    sure = "" if row.confidence is None else f"{row.confidence:.4f}"
    return replace(one, read_value=row.value, read_confidence=sure, read_status=row.status)


def _list_fields(one: ReadFile) -> list[Field | None]:
    if not one.findings:
        return [None] * len(one.rows.rows)
    return [finding.item.field for finding in one.findings]


def _describe_broken_rule(own: Field | None, one: Correction) -> str:
    if own is None or one.answer != "value":
        return ""
    digits = one.value.replace(".", "")
    broken = describe_broken_rule(own, digits)
    return f"{one.value} {broken}" if broken else ""


def _describe_place(place: FieldPlace) -> str:
    return f"{place.file}, page {place.page}{f', {place.field}' if place.field else ''}"


def _write_table(results: OpenResults, outcome: MergeOutcome) -> None:
    """Write the table as a run would, with all corrections applied."""
    if results.store is None or results.record is None:
        _write_plain_table(results, outcome)
        return
    if results.is_stale or _count_missing_rows(results):
        outcome.problems.append(
            f"'{results.path}' does not show all that is known: the next run writes it, with "
            "these corrections"
        )
        return
    description = _describe_settings(results.record.settings, results.corrections)
    digits = _find_digits_table(results)
    if digits and not os.path.isdir(os.path.dirname(digits)):
        outcome.problems.append(
            f"the table of digits '{os.path.basename(digits)}' is not where it was beside "
            f"'{results.path}': the next run writes it, with these corrections"
        )
        digits = None
    with ExitStack() as stack:
        stack.enter_context(lock_outputs([digits] if digits else []))
        main = make_main_path(results.path)
        for table in filter(None, (main, digits)):
            stack.enter_context(
                tables.guard_table(
                    table,
                    results.store,
                    description,
                    lambda: json.dumps(outcome.statuses),
                    advise=table == main,
                )
            )
        settings = results.settings
        dialect = Dialect(bool(settings["excel"]), bool(settings.get("decimal_comma")))
        with open_tables(results.path, digits, results.layouts, dialect) as write:
            for rows in _correct_rows(results, with_digits=digits is not None):
                outcome.statuses.update(row.status for row in rows.rows)
                write([rows])


def _correct_rows(results: OpenResults, *, with_digits: bool = False) -> Iterator[OutputRows]:
    for one in results.read_files(with_digits=with_digits):
        yield apply_corrections(one.rows, one.places, results.book)


def _count_missing_rows(results: OpenResults) -> int:
    """Return how many rows the state lacks that a run left in the table."""
    left = results.count_rows()
    return 0 if left is None else left - sum(len(one.rows.rows) for one in results.read_files())


def _describe_settings(before: str, corrections: str) -> str:
    """Return what a table is made with when these corrections are in it, as a run describes it."""
    version, settings, columns, inputs = json.loads(before)
    settings.pop("corrections", None)
    if digest := tables.digest_corrections(corrections):
        settings["corrections"] = digest
    return json.dumps([version, settings, columns, inputs])


def _find_digits_table(results: OpenResults) -> str | None:
    """Return the path of the table of digits that was written with the table; None for none."""
    if results.store is None or results.record is None or not results.settings.get("digits_out"):
        return None
    own = tables.name_table(make_main_path(results.path), results.store)
    for name, record in results.store.load_table_records().items():
        if name != own and record.settings == results.record.settings:
            return os.path.join(results.store.folder, name)
    return None


def _write_plain_table(results: OpenResults, outcome: MergeOutcome) -> None:
    """Write a table that no state knows: its rows as they stand, and what people said."""
    found = [rows for one in _correct_rows(results) for rows in one.rows]
    outcome.statuses.update(row.status for row in found)
    is_text = results.path.lower().endswith((".csv", ".tsv"))
    dialect = detect_dialect(results.path) if is_text else Dialect()
    if is_part_folder(results.path):
        dialect = outputs.load_part_dialect(results.path)
    with open_results_table(results.path, [LONG_LAYOUT], dialect) as write:
        write(found)
