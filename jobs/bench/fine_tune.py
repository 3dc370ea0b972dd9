"""Simulate an inbox, correct 300 of its values, fine-tune, and read the rest again.

    python jobs/bench/fine_tune.py data/ [--source usps --source "entry numbers" ...]
        [--pick random] [--corrections 300]

Each source is one that the shipped model did not learn from: digits (`jobs/train/sources.py`), or
numbers: of the hidden books of registers (`jobs/train/registers.py`), and as strokes of UNIPEN's
hidden writers. Its crops are an inbox, which is run; 300 values are corrected by the truth: those
for review, as `review` asks for them, and by chance among the others where they are fewer; or all
by chance (`--pick random`). A bundle learns from them, and reads the inbox again. What is counted
is the rest: values that nobody corrected.
"""

import argparse
import csv
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
sys.path.insert(0, str(Path(__file__).parent))
import reader
import registers
import sources

from batchdigits.labelled import is_digit
from batchdigits.predict import load_card
from batchdigits.training.pen import draw_set

BUNDLE_REFUSED = 6


class Values(NamedTuple):
    """Crops of a source, and what stands in each: all of them digits, or numbers."""

    crops: Sequence[np.ndarray]
    truth: Sequence[str]
    kind: str


def load_digits(read: sources.Reader, place: Path) -> Values:
    """Load the digits of a source."""
    found = draw_set(read(place))
    rows = np.flatnonzero(is_digit(found.labels)).tolist()
    crops = [np.asarray(found.crops[n]) for n in rows]
    return Values(crops, [str(found.labels[n]) for n in rows], "digit")


def load_register(place: Path) -> Values:
    """Load the numbers of the books that nothing is learned from."""
    found = registers.read(place, hidden=True)
    return Values(found.crops, found.digits, "number")


NUMBER_READERS: dict[str, tuple[str, Callable[[Path], Values]]] = {
    "entry numbers": (registers.FILES[0], load_register),
    "years": (registers.FILES[1], load_register),
    "numbers as strokes": (
        "unipen_number_strings.npz",
        lambda place: Values(*reader.draw_pen_strings(place), "number"),
    ),
}


class Rest(NamedTuple):
    """How the values that nobody corrected are read."""

    wrong: int
    wrong_ok: int
    review: int
    count: int


def main() -> None:
    """Measure each source, and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders with the published sets")
    parser.add_argument("--source", action="append", help="of the test sources; else all")
    parser.add_argument("--count", type=int, default=1500, help="crops of a source")
    parser.add_argument("--corrections", type=int, default=300, help="values that are corrected")
    parser.add_argument("--pick", choices=("review", "random"), default="review")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    gains = []
    for name, (file, load) in list_sources().items():
        places = [folder / file for folder in given.data if (folder / file).is_file()]
        if not places or (given.source and name not in given.source):
            continue
        with TemporaryDirectory() as folder:
            gains.append(measure(name, load(places[0]), Path(folder), given))
    if not gains:
        parser.error("none of the sources is in these folders: jobs/train/sources.py names files")
    print(f"median of {len(gains)} sources: {median(gains):.0%} fewer errors on the rest")


def list_sources() -> dict[str, tuple[str, Callable[[Path], Values]]]:
    """Return the file of each source by its name, and what loads it."""
    digits = {
        name: (file, partial(load_digits, read))
        for name, (file, read) in sources.TEST_READERS.items()
    }
    return digits | NUMBER_READERS


def measure(name: str, found: Values, folder: Path, given: argparse.Namespace) -> float:
    """Run, correct, train and run again; return the share of errors that is gone."""
    random = np.random.default_rng(given.seed)
    truth = write_inbox(found, folder / "inbox", given.count, random)
    read = ("run", "inbox", "--as", found.kind, "--quiet")
    call(folder, *read, "--out", "before.csv")
    rows = read_table(folder / "before.csv")
    chosen = pick_values(rows, given, random)
    write_corrections(folder / "said.csv", chosen, truth)
    call(folder, "correct", "before.csv", "said.csv", "--quiet")
    start = time.monotonic()
    kept = call(
        *(folder, "train", "--fine-tune", "default", "--out", "tuned", "--quiet"),
        *("--from-corrections", "before.csv.corrections.csv"),
    )
    took = time.monotonic() - start
    if kept:
        call(folder, *read, "--out", "after.csv", "--model", "tuned")
    after_rows = read_table(folder / "after.csv") if kept else rows
    before, after = (count_rest(some, chosen, truth) for some in (rows, after_rows))
    gain = 1 - after.wrong / before.wrong if before.wrong else 0.0
    print(f"{name}: {describe(before, after)}; {took:.0f} s; {describe_bundle(folder, kept)}")
    return gain


def write_inbox(
    found: Values, folder: Path, count: int, random: np.random.Generator
) -> dict[str, str]:
    """Write crops as files; return the truth by file."""
    folder.mkdir(parents=True)
    truth = {}
    for n in np.sort(random.permutation(len(found.truth))[:count]).tolist():
        cv2.imwrite(str(folder / f"{n:06}.png"), found.crops[n])
        truth[f"inbox/{n:06}.png"] = found.truth[n]
    return truth


def call(folder: Path, *arguments: str) -> bool:
    """Call batchdigits in a folder; return whether it did what was asked."""
    done = subprocess.run(
        [sys.executable, "-m", "batchdigits", *arguments], cwd=folder, check=False
    )
    if done.returncode not in (0, 3, BUNDLE_REFUSED):
        sys.exit(f"batchdigits {' '.join(arguments)}: ended with {done.returncode}")
    return done.returncode != BUNDLE_REFUSED


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a table by file."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def pick_values(
    rows: dict[str, dict[str, str]], given: argparse.Namespace, random: np.random.Generator
) -> set[str]:
    """Choose the files that a person looks at."""
    files = np.array(sorted(rows))
    mixed = random.permutation(files)
    doubtful = [one for one in mixed if rows[one]["status"] == "review"]
    asked = doubtful if given.pick == "review" else []
    others = [one for one in mixed if one not in set(asked)]
    return set([*asked, *others][: given.corrections])


def write_corrections(path: Path, chosen: set[str], truth: dict[str, str]) -> None:
    """Write what the person said: the truth."""
    lines = [f"{file},value,{truth[file]}" for file in sorted(chosen)]
    path.write_text("\n".join(["file,answer,value", *lines]) + "\n", "utf-8")


def count_rest(rows: dict[str, dict[str, str]], chosen: set[str], truth: dict[str, str]) -> Rest:
    """Count what is wrong among the values that nobody corrected; a missing value is wrong."""
    rest = [row for file, row in rows.items() if file not in chosen]
    wrong = [row for row in rest if row["value"] != truth[row["file"]]]
    sure = sum(row["status"] == "ok" for row in wrong)
    return Rest(len(wrong), sure, sum(row["status"] == "review" for row in rest), len(rest))


def describe(before: Rest, after: Rest) -> str:
    """Return what changed."""
    return (
        f"{before.count} others: wrong {before.wrong} -> {after.wrong}, of these ok "
        f"{before.wrong_ok} -> {after.wrong_ok}, for review {before.review} -> {after.review}"
    )


def describe_bundle(folder: Path, kept: bool) -> str:
    """Return what its card says of the guard digits and numbers."""
    if not kept:
        return "not kept"
    card = load_card(str(folder / "tuned")).whole
    shares = card["fine-tuned"]["shares of the tuned weights"]
    measured = {"quick": card["measured"], "number": card["numbers"]["measured"]}
    guards = {"quick": "guard digits", "number": "guard numbers"}
    found = [(what, measured[kind][what]) for kind, what in guards.items() if kind in shares]
    wrong = [f"{what} wrong {one['wrong before']} -> {one['wrong']}" for what, one in found]
    return f"{', '.join(wrong)} (tuned weights: {shares})"


if __name__ == "__main__":
    main()
