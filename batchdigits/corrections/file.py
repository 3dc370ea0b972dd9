"""The file of corrections: CSV that people may write too, and that is only ever appended to."""

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import cast

from batchdigits.corrections.correction import ANSWERS, COLUMNS, Answer, Correction
from batchdigits.errors import UsageError
from batchdigits.files import write_file

VERSION = 1
"""Increased when an older batchdigits would misread the file; the last column has it."""
VERSION_COLUMN = "version"
NEEDED_COLUMNS = ("file", "answer")
VALUE_PATTERN = re.compile(r"[0-9]{1,64}(\.[0-9]{1,64})?")
MAX_FILE_BYTES = 1 << 28
"""Size of a file of corrections that is read, bytes."""
_BOX_PATTERN = re.compile(r"(-?[0-9]{1,7} ){2}[0-9]{1,7} [0-9]{1,7}")
_BOX_WORDS = "a box as 'x y width height'"
_DIGEST_PATTERN = re.compile("([0-9a-f]{2})*")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FORMULA_START = re.compile(r"\A\s*[=+\-@]")


def is_corrections_file(path: str) -> bool:
    """Return whether a file has the header of corrections; False if it cannot be read."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            head = file.readline(10_000)
    except (OSError, UnicodeError):
        return False
    names = {name.strip() for name in next(csv.reader([head], delimiter=_find_separator(head)), [])}
    return set(NEEDED_COLUMNS) <= names


def read_corrections(path: str) -> list[Correction]:
    """Read a file of corrections, in its order.

    Args:
        path: CSV, separated by `,`, `;` or tab. The columns `file` and `answer` are needed; a
            missing `page` is 1, and other columns may be missing or empty. More are ignored.

    Raises:
        UsageError: it cannot be read, a newer batchdigits wrote it, or a line is no correction.
    """
    try:
        if os.path.getsize(path) > MAX_FILE_BYTES:
            raise UsageError(f"'{path}' is over {MAX_FILE_BYTES >> 20} MiB: expected corrections")
        text = Path(path).read_text("utf-8-sig")
        lines = csv.DictReader(
            io.StringIO(text, newline=""), delimiter=_find_separator(text.partition("\n")[0])
        )
        names = [(name or "").strip() for name in lines.fieldnames or ()]
        lines.fieldnames = names
        if missing := [name for name in NEEDED_COLUMNS if name not in names]:
            raise UsageError(
                f"'{path}' lacks the column '{missing[0]}': expected corrections, as `review` "
                f"saves them, got {', '.join(names)[:200] or 'nothing'}"
            )
        return [parse_correction(line, f"'{path}', line {at}") for at, line in enumerate(lines, 2)]
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror}") from None
    except (UnicodeError, csv.Error) as error:
        raise UsageError(f"'{path}': expected corrections in CSV; {error}") from None


def _find_separator(head: str) -> str:
    return max(",;\t", key=head.count)


def parse_correction(line: Mapping[str, str | None], where: str) -> Correction:
    """Return a correction from the texts of its columns.

    Args:
        line: by column; missing ones are empty.
        where: what the line is called in messages.

    Raises:
        UsageError: it is no correction, or of a newer version.
    """
    cells = {name: (line.get(name) or "").strip() for name in (*COLUMNS, VERSION_COLUMN)}
    version = cells.pop(VERSION_COLUMN) or str(VERSION)
    if not version.isdecimal() or int(version) > VERSION:
        raise UsageError(
            f"{where}: corrections of version {version[:20]!r}, this batchdigits knows {VERSION}: "
            "install the version that wrote it"
        )
    if fault := _describe_fault(cells):
        raise UsageError(f"{where}: {fault}: correct or remove the line")
    texts = {name: cell for name, cell in cells.items() if name not in ("page", "answer")}
    return Correction(**texts, page=int(cells["page"] or 1), answer=cast("Answer", cells["answer"]))


def _describe_fault(cells: dict[str, str]) -> str:
    """Return what is wrong with a line; empty if nothing is."""
    answer, page, value = cells["answer"], cells["page"], cells["value"]
    is_value = VALUE_PATTERN.fullmatch(value) if answer == "value" else not value
    checks = (
        (answer in ANSWERS, f"an answer among {', '.join(ANSWERS)}", answer),
        (cells["file"], "the name of a file", ""),
        (not page or (page.isdecimal() and 1 <= int(page) < 1 << 31), "a page from 1", page),
        (is_value, "digits with the answer value, and else no value", value),
        (not cells["box"] or _BOX_PATTERN.fullmatch(cells["box"]), _BOX_WORDS, cells["box"]),
        (_DIGEST_PATTERN.fullmatch(cells["content"]), "a digest", cells["content"]),
    )
    faults = (
        f"expected {expected}, got {cell[:40]!r}" for fits, expected, cell in checks if not fits
    )
    return next(faults, "")


def append_corrections(
    path: str, corrections: Sequence[Correction], *, mode_of: str | None = None
) -> None:
    """Append corrections to a file, which is made if it is missing: all of them, or none.

    Args:
        path: of the file.
        corrections: in the order in which they were said.
        mode_of: a file whose mode it takes; None for its own, or that of a new file.

    Raises:
        OutputError: it cannot be written; what was there is unchanged.
    """
    if not corrections:
        return
    try:
        before = Path(path).read_bytes()
    except FileNotFoundError:
        before = b""
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror}") from None
    if before and not before.endswith(b"\n"):
        before += b"\n"
    added = format_corrections(corrections, header=not before).encode()
    write_file(path, before + added, mode_of=mode_of)


def format_corrections(corrections: Iterable[Correction], *, header: bool = True) -> str:
    """Return corrections as CSV."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    if header:
        table.writerow((*COLUMNS, VERSION_COLUMN))
    for one in corrections:
        table.writerow([*map(_make_safe, map(str, astuple(one))), VERSION])
    return text.getvalue()


def _make_safe(cell: str) -> str:
    """Return a cell as one line that no spreadsheet takes for a formula."""
    plain = _UNSAFE.sub(" ", cell)
    return f"'{plain}" if _FORMULA_START.match(plain) and not _BOX_PATTERN.match(plain) else plain


def list_problems(corrections: Sequence[Correction]) -> Iterator[str]:
    """Yield a line for each field that has two different answers, of which the last counts."""
    seen: dict[tuple[str, int, str, str], Correction] = {}
    for one in corrections:
        key = one.content or one.file, one.page, one.template, one.field or one.box
        before = seen.get(key)
        stands = before is not None and "withdrawn" not in (before.answer, one.answer)
        if before and stands and (before.answer, before.value) != (one.answer, one.value):
            yield (
                f"{one.file}, page {one.page}{f', {one.field}' if one.field else ''}: two answers, "
                f"{describe_answer(before)} and {describe_answer(one)}: the last counts"
            )
        seen[key] = one


def describe_answer(one: Correction) -> str:
    """Return an answer in words."""
    by = f" by {one.said_by}" if one.said_by else ""
    return f"{one.value if one.answer == 'value' else one.answer}{by}"
