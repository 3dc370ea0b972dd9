"""Does memory stay flat? Peaks of a run over many crops beside those of a run over few.

    python jobs/bench/memory.py mnist.npz [--few 10000] [--many 200000]

The crops are MNIST's, each a file of its own and no two alike, so that the state has a row for
each. For either number: a first run, which reads all; one where nothing changed; one with another
threshold, which judges all again from the state; and one to standard output, which keeps no state.
What counts is the proportional set size (what processes share is shared out among them), summed
over the main process and its workers, ten times a second. Exits with 1 where many take more than
1.2 times what few do, at the highest peak of all four.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

LIMIT = 1.2
EVERY = 0.1
"""s between two looks."""
RUNS = {
    "all read": ["--out", "results.csv"],
    "nothing changed": ["--out", "results.csv"],
    "judged again": ["--out", "results.csv", "--min-confidence", "0.5"],
    "without a state": ["--out", "-"],
}


def main() -> None:
    """Run few and many, and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help=".npz with x_train")
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=200_000)
    given = parser.parse_args()
    digits = np.load(given.mnist)["x_train"]
    peaks = [measured(digits, count) for count in (given.few, given.many)]
    print(f"{'MiB at the peak':>18}{given.few:>12,}{given.many:>12,}       ratio")
    for name in RUNS:
        few, many = (one[name] / 2**20 for one in peaks)
        print(f"{name:>18}{few:>12.0f}{many:>12.0f}{many / few:>12.2f}")
    few, many = (max(one.values()) for one in peaks)
    sys.exit(many > LIMIT * few)


def measured(digits: NDArray[np.uint8], count: int) -> dict[str, float]:
    """Run over so many crops in each way; gives the peaks, bytes."""
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder) / "in", digits, count)
        return {name: peak(folder, more) for name, more in RUNS.items()}


def written(folder: Path, digits: NDArray[np.uint8], count: int) -> None:
    """Write crops, no two of them alike: the rounds of MNIST differ in a pixel of the margin."""
    then = time.time() - 3600
    for n in range(count):
        place = folder / f"{n // 1000:03}"
        if n % 1000 == 0:
            place.mkdir(parents=True)
        paper = 255 - digits[n % len(digits)]
        paper[0, 0] -= n // len(digits)
        path = place / f"{n:06}.png"
        path.write_bytes(cv2.imencode(".png", paper)[1].tobytes())
        os.utime(path, (then, then))


def peak(folder: str, more: list[str]) -> float:
    """Run once; gives the most that all its processes took together, bytes."""
    command = [sys.executable, "-m", "batchdigits", "run", "in", *more, "--quiet"]
    begin, most, own = time.monotonic(), 0.0, 0.0
    with Path(os.devnull).open("w") as nowhere:
        run = subprocess.Popen(command, cwd=folder, stdout=nowhere)
        while run.poll() is None:
            main, *workers = map(taken, family(run.pid))
            most, own = max(most, main + sum(workers)), max(own, main)
            time.sleep(EVERY)
    if run.returncode not in (0, 3):
        sys.exit(f"expected a run to end well, got {run.returncode}: {command}")
    took = time.monotonic() - begin
    sizes = f"{most / 2**20:.0f} MiB, the main process alone {own / 2**20:.0f}"
    print(f"{' '.join(more)}: {took:.1f} s, {sizes}", file=sys.stderr)
    return most


def family(pid: int) -> list[int]:
    """List a process and all that it started."""
    children: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text("ascii").split())
    return [pid, *(below for child in children for below in family(child))]


def taken(pid: int) -> float:
    """Tell the proportional set size of a process, bytes; 0 where it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return 1024.0 * int(line.split()[1])
    return 0.0


if __name__ == "__main__":
    main()
