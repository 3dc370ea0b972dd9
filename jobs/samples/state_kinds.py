"""The kinds of fixtures that `states.py` makes: what runs leave behind, each in its own folder.

All is done by the command line, in processes of their own, and all pictures are drawn: nothing here
depends on how the package is built inside.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import drawings
import numpy as np
import pypdfium2
import slip

TABLE, STATE, DIGITS, SUMMARY = "results.csv", "results.csv.state", "digits.csv", "summary.json"
RUN = ["run", "inbox", "--out", TABLE]
WITH_DIGITS = [*RUN, "--digits-out", DIGITS]
FORM = [*RUN, "--template", "form.toml"]
TRIES = 10
"""How often a run is stopped, until it was in the middle of its long file."""
PAGES = 12
"""Of the long file: three times as many as are read at a time."""


LONG_AGO = 1_735_689_600
"""s since 1970: when the long file was changed last, for the state and for every copy of it."""


class Ending(NamedTuple):
    """How a run ended: its exit code and what --summary-json says."""

    code: int
    summary: dict[str, Any]


class Kind(NamedTuple):
    """A kind of fixture.

    Attributes:
        make: makes the state and all beside it in an empty folder.
        arguments: of the run that gives the table again.
        threshold: of the run that judges again.
        reason: what the fixture is for.
        timed: the files whose time of change has to be what it was.
    """

    make: Callable[[Path], None]
    arguments: list[str]
    threshold: str
    reason: str
    timed: tuple[str, ...] = ()


def start(folder: Path, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start the command line in a folder."""
    line = [sys.executable, "-m", "batchdigits", *arguments]
    return subprocess.Popen(line, cwd=folder, stderr=subprocess.PIPE)


def run(folder: Path, arguments: Sequence[str], *codes: int) -> Ending:
    """Run the command line in a folder; stops where the exit code is none of `codes`, or 0 or 3."""
    reads = arguments[0] == "run"
    more = ["--settle", "0", "--workers", "1", "--summary-json", SUMMARY] if reads else []
    process = start(folder, [*arguments, *more])
    said = process.communicate()[1].decode()
    if process.returncode not in (codes or (0, 3)):
        sys.exit(f"{' '.join(arguments)} ended with {process.returncode}: {said}")
    summary = json.loads((folder / SUMMARY).read_text()) if reads else {}
    (folder / SUMMARY).unlink(missing_ok=True)
    return Ending(process.returncode, summary)


def make_digits(folder: Path) -> None:
    """Crops of digits: read well and badly, none, and a broken file that is gone since."""
    inbox = folder / "inbox"
    for digit in range(10):
        drawings.save_png(inbox / f"digit-{digit}.png", drawings.draw_digit(digit, digit))
    drawings.save_png(inbox / "empty.png", np.full((28, 28), drawings.WHITE, np.uint8))
    drawings.save_png(inbox / "scribble.png", drawings.draw_scribble())
    both = np.minimum(drawings.draw_digit(3, 0), drawings.draw_digit(5, 0))
    drawings.save_png(inbox / "three-or-five.png", both)
    drawings.save_png(inbox / "too-small.png", drawings.draw_dot())
    broken = inbox / "broken.png"
    broken.write_bytes((inbox / "digit-1.png").read_bytes()[:-60])
    run(folder, WITH_DIGITS)
    broken.unlink()  # failures are read again as long as they are there
    run(folder, WITH_DIGITS)


def make_numbers(folder: Path) -> None:
    """Numbers of several digits: free, in boxes, with separators, and two that are unsure."""
    pictures = {
        "free.png": drawings.draw_number("40718"),
        "plain.png": drawings.draw_number("2596", drawings.FONTS[0], gap=6),
        "boxed.png": drawings.draw_comb("190386"),
        "thousands.png": drawings.draw_number("5.181", drawings.FONTS[0], gap=6),
        "cents.png": drawings.draw_number("12.50", drawings.FONTS[1], gap=6),
        "two-numbers.png": drawings.draw_number("325   71", drawings.FONTS[0]),
        "touching.png": drawings.draw_number("88036", gap=-5),
        "blank.png": np.full((56, 240), drawings.WHITE, np.uint8),
    }
    for name, picture in pictures.items():
        drawings.save_png(folder / "inbox" / name, picture)
    run(folder, WITH_DIGITS)


def make_form(folder: Path) -> None:
    """A form that is there, and one of two pages, the second of another kind, that is gone."""
    blank = print_blank(folder, list(slip.FIELDS))
    drawings.save_pages(folder / "inbox/first.tif", [slip.fill(blank, slip.FIRST, 0)])
    pages = [slip.fill(blank, slip.SECOND, 1), drawings.draw_undescribed()]
    second = folder / "inbox/second.tif"
    drawings.save_pages(second, pages)
    arguments = [*FORM, "--digits-out", DIGITS]
    run(folder, arguments)
    second.unlink()
    run(folder, arguments)


def print_blank(folder: Path, names: Sequence[str]) -> drawings.Grey:
    """Write the template of a form with these fields, and draw it blank at `drawings.DPI`."""
    slip.write_template(folder / "form.toml", names)
    run(folder, ["form", "print", "form.toml", "--out", "blank.pdf", "--quiet"])
    with closing(pypdfium2.PdfDocument(folder / "blank.pdf")) as document:
        bitmap = document[0].render(scale=drawings.DPI / 72, grayscale=True)
        return np.array(bitmap.to_numpy()).reshape(bitmap.height, bitmap.width)


def make_undescribed(folder: Path) -> None:
    """A page without a template: boxes in a row, single ones, a table."""
    drawings.save_pages(folder / "inbox/page.tif", [drawings.draw_undescribed()])
    run(folder, WITH_DIGITS)


MOVING = [*RUN, "--move-done", "done", "--move-failed", "failed"]


def make_moved(folder: Path) -> None:
    """Two nights whose files were moved away, one of them as failed."""
    for night, digits in enumerate((range(5), range(5, 10))):
        for digit in digits:
            picture = drawings.draw_digit(digit, 20 + digit)
            drawings.save_png(folder / f"inbox/night-{night}-{digit}.png", picture)
        if night:
            (folder / "inbox/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        run(folder, MOVING)
    run(folder, MOVING)  # as every night: nothing new


def make_vanished(folder: Path) -> None:
    """Digits and a number that were deleted after they were read, beside one that is there."""
    inbox = folder / "inbox"
    for digit in range(6):
        drawings.save_png(inbox / f"digit-{digit}.png", drawings.draw_digit(digit, 30 + digit))
    drawings.save_png(inbox / "number.png", drawings.draw_number("70942", drawings.FONTS[0], gap=6))
    run(folder, WITH_DIGITS)
    for file in sorted(inbox.iterdir())[1:]:
        file.unlink()
    run(folder, WITH_DIGITS)


def make_half_read(folder: Path) -> None:
    """A form that was read, then a long file of which a stopped run kept some pages."""
    blank = print_blank(folder, ["room", "visits"])
    values = [{"room": str(1001 + 111 * page), "visits": str(10 + page)} for page in range(PAGES)]
    pages = [slip.fill(blank, one, page) for page, one in enumerate(values)]
    drawings.save_pages(folder / "inbox/first.tif", pages[:1])
    run(folder, FORM)
    long = folder / "inbox/long.pdf"
    drawings.save_pages(long, pages[::-1])
    os.utime(long, (LONG_AGO, LONG_AGO))
    before = folder.with_name(f"{folder.name}-before")
    shutil.copytree(folder, before)
    stop_in_time(folder, before)
    run(before, FORM)
    shutil.copy(before / TABLE, folder / "finished.csv")
    shutil.rmtree(before)


def stop_in_time(folder: Path, before: Path) -> None:
    """Stop a run in the middle of the long file; `before` holds what the folder held before it."""
    for _ in range(TRIES):
        code = stop_when_pages_are_kept(folder)
        table = (folder / TABLE).read_bytes()
        stands = code == 128 + signal.SIGTERM and table == (before / TABLE).read_bytes()
        if stands and 0 < count_kept_pages(folder / STATE) < PAGES - 1:
            return
        for name in (TABLE, STATE):
            shutil.copy(before / name, folder)
    sys.exit(f"refused: of {TRIES} runs none was stopped in the middle of the long file")


def stop_when_pages_are_kept(folder: Path) -> int:
    """Start a run, stop it as soon as it has kept pages, and give its exit code."""
    process = start(folder, [*FORM, "--settle", "0", "--workers", "1", "--batch-size", "1"])
    while process.poll() is None and not count_kept_pages(folder / STATE):
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    return process.returncode


def count_kept_pages(state: Path) -> int:
    """Count the pages that a state keeps of files that are not read to their end."""
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True, timeout=30)) as base:
        return int(base.execute("SELECT count(*) FROM pages").fetchone()[0])


def make_two_models(folder: Path) -> None:
    """Digits that another model read, which are gone like that model, and some of this model's."""
    labels = np.tile(np.arange(10, dtype=np.uint8), 24)
    pictures = np.stack([255 - drawings.draw_digit(int(d), 100 + n) for n, d in enumerate(labels)])
    np.savez(folder / "drawn.npz", x_train=pictures, y_train=labels, x_test=pictures, y_test=labels)
    train = ["train", "--recipe", "mlp", "--data", "drawn.npz", "--out", "other", "--epochs", "40"]
    run(folder, [*train, "--seed", "1", "--quiet"])
    inbox = folder / "inbox"
    for digit in range(10):
        drawings.save_png(inbox / f"other-{digit}.png", drawings.draw_digit(digit, 40 + digit))
    run(folder, [*WITH_DIGITS, "--model", "other/model.keras"])
    for file in inbox.iterdir():
        file.unlink()
    for digit in range(5):
        drawings.save_png(inbox / f"shipped-{digit}.png", drawings.draw_digit(digit, 50 + digit))
    run(folder, WITH_DIGITS)


KINDS = {
    "digits": Kind(
        make_digits,
        WITH_DIGITS,
        "0.9995",
        "Rows of single digits of every status, also of a mark too small and of a broken file that "
        "is gone: files that are there are not read again.",
    ),
    "numbers": Kind(
        make_numbers,
        WITH_DIGITS,
        "0.6",
        "Numbers are judged by candidates, signs and a threshold of their own, and each digit of "
        "them has its place.",
    ),
    "form": Kind(
        make_form,
        [*FORM, "--digits-out", DIGITS],
        "0.6",
        "The fields of a template with their rules are kept with what was read of them, as is a "
        "page that was an error.",
    ),
    "undescribed": Kind(
        make_undescribed,
        WITH_DIGITS,
        "0.6",
        "Boxes and table cells that were found without a template keep their names, and are judged "
        "together.",
    ),
    "moved": Kind(
        make_moved,
        MOVING,
        "0.9995",
        "Of files that runs have moved away the state is all there is, also of one that failed.",
    ),
    "vanished": Kind(
        make_vanished,
        WITH_DIGITS,
        "0.6",
        "Of files that were deleted after they were read the state is all there is.",
    ),
    "half-read": Kind(
        make_half_read,
        FORM,
        "0.995",
        "Of a long file that a stopped run read in part only the missing pages are read, and the "
        "table of the run before stands until then.",
        ("inbox/long.pdf",),
    ),
    "two-models": Kind(
        make_two_models,
        WITH_DIGITS,
        "0.6",
        "Rows of files that another model read, and that are gone, keep its values, and its "
        "threshold.",
    ),
}
"""By name, which is that of the folder."""
