"""Runs killed at random moments and started again: is the table that of one undisturbed run?

    python jobs/bench/killed.py mnist.npz [--runs 200] [--files 2000] [--seed 1]

The folder holds crops as PNG, JPEG, BMP and WebP, TIFF of several pages, strips, pages with boxes,
a PDF of many such pages, and files of every kind that are damaged (see damage.py). Each run is
killed with SIGKILL, workers and all or the main process alone, at a moment between its start and
the end of an undisturbed one, and started again, and killed again with odds of a half, until it
ends by itself. With odds of a half the first of them begins with the table and the state of a run
over half of the files: after a kill that table may stand, or the whole new one, and nothing else.
Told are: how often it was killed, how many tables were torn (neither of the two after a kill,
or gone) or differed from that of the undisturbed run in the end, and how many files the last runs
had left to read. Exits with 1 where a table was torn or differed.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from damage import damaged, kinds
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

OUT, STATE = "results.csv", "results.csv.state"


def main() -> None:
    """Kill runs, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help=".npz with x_test")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    mnist = given.mnist.resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        made(np.load(mnist)["x_test"], given.files)
        begin = time.monotonic()
        read = ended(started())
        seconds = time.monotonic() - begin
        whole = Path(OUT).read_bytes()
        forget()
        ended(started())
        if Path(OUT).read_bytes() != whole:
            sys.exit("expected two undisturbed runs to give the same bytes")
        print(
            f"undisturbed: {read} files read in {seconds:.1f} s, {len(whole.splitlines()) - 1} rows"
        )
        older = half()
        counts = Counter[str]({"tables torn": 0, "tables differing": 0})
        try:
            for _ in tqdm(range(given.runs), unit="run", disable=None):
                forget()
                counts.update(killed(random, seconds, whole, older))  # `+=` leaves zeros out
        finally:  # what is known is told, should somebody have waited long enough
            print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
        forget()
        os.chdir("/")
    sys.exit(bool(counts["tables torn"] or counts["tables differing"]))


def half() -> bytes:
    """Read half of the files; leaves table and state in `older`, gives the table."""
    forget()
    Path("in").rename("all")
    for place in sorted(Path("all").rglob("*.*"))[::2]:
        here = "in" / place.relative_to("all")
        here.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(place, here)
    ended(started())
    Path("older").mkdir()
    for name in (OUT, STATE):
        shutil.move(name, "older")
    shutil.rmtree("in")
    Path("all").rename("in")
    return Path("older", OUT).read_bytes()


def made(digits: NDArray[np.uint8], count: int) -> None:
    """Write a folder of mixed files that look as if they were there for long."""
    paper = 255 - digits
    random = np.random.default_rng(0)
    sound = list(kinds(7))
    for n in range(count):
        place = Path("in") / f"{n % 9}"
        place.mkdir(parents=True, exist_ok=True)
        kind = n % 50
        if kind == 0:
            Image.fromarray(paper[n]).save(
                place / f"{n}.tif",
                save_all=True,
                append_images=list(map(Image.fromarray, paper[n : n + 3])),
            )
        elif kind == 1:
            cv2.imwrite(str(place / f"{n}.png"), np.hstack(list(paper[n : n + 5])))
        elif kind in (2, 3, 4):
            suffix, data = sound[n % len(sound)]
            (place / f"{n}.{suffix}").write_bytes(damaged(data, random, sound[0][1]))
        elif n % 500 == 5:
            cv2.imwrite(str(place / f"{n}.png"), boxes(paper[n:]))
        elif n % 2000 == 6:
            pages = [Image.fromarray(boxes(paper[n + page :])) for page in range(8)]
            pages[0].save(place / f"{n}.pdf", save_all=True, append_images=pages[1:])
        else:
            suffix = (".png", ".jpg", ".bmp", ".webp")[n % 4]
            cv2.imwrite(str(place / f"{n}{suffix}"), paper[n % len(paper)])
    then = time.time() - 3600
    for path in Path("in").rglob("*.*"):
        os.utime(path, (then, then))


def boxes(digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw a page with rows of boxes that have a digit each: uint8, (660, 500)."""
    page = np.full((660, 500), 255, np.uint8)
    for row in range(4):
        for column in range(6):
            top, left = 80 + 130 * row, 60 + 60 * column
            cv2.rectangle(page, (left, top), (left + 60, top + 60), 0, 2)
            digit = cv2.resize(digits[row * 6 + column], (44, 44), interpolation=cv2.INTER_AREA)
            page[top + 8 : top + 52, left + 8 : left + 52] = digit
    return page


def started() -> subprocess.Popen[str]:
    """Start a run in a process group of its own."""
    command = [sys.executable, "-m", "batchdigits", "run", "in", "--out", OUT, "--batch-size", "64"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def ended(run: subprocess.Popen[str]) -> int:
    """Wait for a run; gives how many files it read."""
    words = run.communicate()[1]
    found = re.search(r"\(([\d,]+) files? read", words)
    if run.returncode not in (0, 3) or not found:
        sys.exit(f"expected a run to end well, got {run.returncode}: {words}")
    return int(found[1].replace(",", ""))


def killed(random: np.random.Generator, seconds: float, whole: bytes, older: bytes) -> Counter[str]:
    """Kill a run and start it again until it ends by itself; compare its table."""
    counts = Counter[str](runs=1)
    stands = [b"", whole]  # what may be there
    if random.random() < 0.5:
        counts["begun from an older table"] += 1
        stands[0] = older
        for name in (OUT, STATE):
            shutil.copy2(f"older/{name}", name)
    while counts["kills"] == 0 or random.random() < 0.5:
        one = started()
        try:
            one.communicate(timeout=random.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            if random.random() < 0.5:
                os.killpg(one.pid, signal.SIGKILL)
            else:
                one.kill()
            one.communicate()
            counts["kills"] += 1
        found = Path(OUT).read_bytes() if Path(OUT).exists() else b""
        counts["tables torn"] += found not in stands
        counts["old tables seen after a kill"] += found == older
        if found == whole:  # it does not go back
            stands = [whole]
    counts["files left to the last run"] += ended(started())
    counts["tables differing"] += Path(OUT).read_bytes() != whole
    counts["tables kept aside"] += len(list(Path().glob("*.kept-*")))
    return counts


def forget() -> None:
    """Remove what a run left."""
    for path in (*Path().glob(f"{OUT}*"), *Path().glob("*.kept-*"), *Path().glob(".batchdigits-*")):
        path.unlink()


if __name__ == "__main__":
    main()
