"""Damaged images, PDFs, templates and states by the thousand: does every run end well?

    python jobs/bench/fuzz.py [--count 100000] [--seed 1] [--batch 4000] [--keep DIR]

Sound files of every kind are cut, flipped, stretched, swapped, spliced, and their numbers set to
extremes; of every second PNG the checksums are put right again, or nothing would get past them.

- Images and PDFs (95%) are read in batches, with sound files among them whose answers are known,
  and read again under other names, by another number of workers. Each run has to end by itself
  with 0 or 3 and one line, with rows for each file in order; the sound ones as they are read alone,
  and every other one as it is read under its other name.
- Templates (4%) are checked: taken, or refused in a line with 6.
- States (1%): what is damaged is found out: the table, which each run writes anew, is what it was.

Told are how many of each there were, and what was wrong; `--keep` gets a copy of such files.
"""

import argparse
import contextlib
import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from damage import Random, damaged, kinds

from batchdigits import cli, predict

SHARES = {"pages": 0.95, "templates": 0.04, "states": 0.01}
KNOWN = 20
"""Every so many files one is sound."""
SECONDS, PAGE_SECONDS = 1800, 20
"""s a run, and a page, may take."""
WRONG_SOUND = "WRONG: a sound file is not read as it is alone"
WRONG_NAME = "WRONG: a file is read otherwise under another name"
WRONG_TEMPLATE = "WRONG: a template is neither taken nor refused in a line"
WRONG_STATE = "WRONG: a damaged state costs a row, or the run"
TEMPLATE = """\
[form]
name = "membership"
size = [210, 297]
anchor = "markers"
[[field]]
name = "member_id"
box = [20, 40, 96, 12]
cells = 8
gap = 2
pattern = "[0-9]{8}|7(3|4)*1?"
check = "luhn"
[[field]]
name = "amount"
box = [20, 60, 60, 10]
decimals = 2
min = 1
max = 99999
optional = true
"""


def main() -> None:
    """Break things, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4000, help="files read in a run")
    parser.add_argument("--keep", type=Path, help="a folder for what went wrong")
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    keep = given.keep and given.keep.resolve()
    begin, counts = time.monotonic(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        left = round(given.count * SHARES["pages"])
        while left > 0:
            counts.update(pages(random, min(left, given.batch), keep))
            left -= given.batch
            print(dict(sorted(counts.items())), file=sys.stderr)
        counts.update(templates(random, round(given.count * SHARES["templates"]), keep))
        counts.update(states(random, round(given.count * SHARES["states"]), keep))
        os.chdir("/")
    for name, count in sorted(counts.items()):
        print(f"{count:>9,} {name}")
    print(f"{time.monotonic() - begin:>9,.0f} s")
    sys.exit(any(count for name, count in counts.items() if name.startswith("WRONG")))


def pages(random: Random, count: int, keep: Path | None) -> Counter[str]:
    """Read damaged files among sound ones; and read them again, under other names."""
    sound = [one for value in range(10) for one in kinds(value)]
    alone = answers(dict(sound_named(sound)), 2, keep)
    files, known = {}, {}
    for n in range(count):
        suffix, data = sound[random.integers(len(sound))]
        if n % KNOWN == 0:
            at = int(random.integers(len(sound)))
            suffix, data = sound[at]
            known[f"{n:06}.{suffix}"] = alone[f"sound{at:04}.{suffix}"]
        else:
            data = damaged(data, random, sound[random.integers(len(sound))][1])
        files[f"{n:06}.{suffix}"] = data
    first = answers(files, 2, keep)
    names = dict(zip(files, (f"{n:06}.png" for n in random.permutation(count)), strict=True))
    second = answers({names[name]: data for name, data in files.items()}, 1, keep)
    counts = Counter({"files read twice": count, "sound files among them": len(known)})
    counts.update({WRONG_SOUND: 0, WRONG_NAME: 0})
    for name, data in files.items():
        counts["files with an error row"] += any(row[4] == "error" for row in first[name])
        fault = ""
        if name in known and first[name] != known[name]:
            fault = WRONG_SOUND
        elif first[name] != second[names[name]]:
            fault = WRONG_NAME
        if fault:
            counts[fault] += 1
            print(fault, first[name], second[names[name]], known.get(name), file=sys.stderr)
            kept(keep, name, data)
    return counts


def sound_named(sound: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Name sound files."""
    for at, (suffix, data) in enumerate(sound):
        yield f"sound{at:04}.{suffix}", data


Answer = list[tuple[str, ...]]


def answers(files: dict[str, bytes], workers: int, keep: Path | None) -> dict[str, Answer]:
    """Read files; gives each one's rows: page, field, value, confidence and status."""
    shutil.rmtree("in", ignore_errors=True)
    Path("in").mkdir()
    for name, data in files.items():
        (Path("in") / name).write_bytes(data)
    command = [sys.executable, "-m", "batchdigits", "run", "in", "--out", "out.csv", "--fresh"]
    command += ["--settle", "0", "--workers", str(workers), "--page-seconds", str(PAGE_SECONDS)]
    command += ["--max-pixels", "2000000", "--state", "state"]
    Path("state").unlink(missing_ok=True)
    Path("out.csv").unlink(missing_ok=True)
    run = subprocess.run(
        command, stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False
    )  # a hang is a TimeoutExpired, which ends the bench
    if run.returncode not in (0, 3) or run.stderr.count("\n") != 1:
        if keep is not None:
            shutil.copytree("in", keep / "in", dirs_exist_ok=True)
        sys.exit(f"expected a run to end well, got {run.returncode}: {run.stderr}")
    found: dict[str, Answer] = {name: [] for name in files}
    with Path("out.csv").open(encoding="utf-8", newline="") as table:
        for file, *row in list(csv.reader(table))[1:]:
            found[file.removeprefix("in/")].append(tuple(row[:-1]))
    if any(not rows for rows in found.values()):
        sys.exit(f"files without a row: {[name for name, rows in found.items() if not rows]}")
    return found


def kept(keep: Path | None, name: str, data: bytes) -> None:
    """Keep a file that something went wrong with."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{zlib.crc32(data):08x}-{name}").write_bytes(data)


def templates(random: Random, count: int, keep: Path | None) -> Counter[str]:
    """Check damaged templates."""
    counts = Counter({"templates": count, WRONG_TEMPLATE: 0})
    for _ in range(count):
        data = damaged(TEMPLATE.encode(), random, TEMPLATE.encode())
        Path("form.toml").write_bytes(data)
        code, said = command("form", "check", "form.toml")
        if code not in (0, 6) or said.count("\n") > 1:
            counts[WRONG_TEMPLATE] += 1
            print(code, said, file=sys.stderr)
            kept(keep, "form.toml", data)
        counts["templates refused"] += code == 6
    return counts


def states(random: Random, count: int, keep: Path | None) -> Counter[str]:
    """Run with damaged states."""
    counts = Counter({"states": count, WRONG_STATE: 0})
    card = predict.load_card(None)  # loaded once, not once a run
    model = predict.load_classifier(card, device="cpu")
    reader = predict.load_number_reader(card, device="cpu")
    predict.load_classifier = lambda _card, **_device: model
    predict.load_number_reader = lambda _card, **_device: reader
    shutil.rmtree("in", ignore_errors=True)
    Path("in").mkdir()
    for name, data in sound_named([one for one in kinds(3) if one[0] != "pdf"]):
        (Path("in") / name).write_bytes(data)
    run = ["run", "in", "--out", "s.csv", "--workers", "0", "--settle", "0", "--quiet"]
    command(*run)
    table, sound = Path("s.csv").read_bytes(), Path("s.csv.state").read_bytes()
    for _ in range(count):
        state = damaged(sound, random, sound)
        Path("s.csv.state").write_bytes(state)
        Path("s.csv").unlink(missing_ok=True)  # one that stands would not be written again
        code, said = command(*run)
        if code != 0 or not Path("s.csv").exists() or Path("s.csv").read_bytes() != table:
            counts[WRONG_STATE] += 1
            print(code, said, file=sys.stderr)
            kept(keep, "state", state)
        for old in Path().glob("s*.kept-*"):
            counts["states set aside"] += old.suffix == ".state"
            old.unlink()
    return counts


def command(*words: str) -> tuple[int, str]:
    """Run a command in this process; gives its exit code, and what it said on standard error."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = cli._run_command_line(list(words))
    return code, said.getvalue()


if __name__ == "__main__":
    main()
