"""Does `normalize` give the same as in another checkout, bit for bit, and how much faster?

    git worktree add ../before COMMIT
    python jobs/bench/same_pictures.py ../before digits.npz crops.zip... [--most 20000]

Each .npz has arrays of crops (N, height, width) under `x`, `x_train` or `x_test`; each .zip has
image files. Digits of .npz are also drawn in random sizes up to 63 px. Pictures, extents, what is
unclear and the account of the ink are compared; both checkouts take chunks of 1,024 by turns, in
one process, and their processor time is measured. Ends with 1 where anything differs.
"""

import argparse
import importlib
import json
import os
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np
from numpy.typing import NDArray

CHUNK = 1024
HERE = Path(__file__).resolve().parents[2]

Crops = list[NDArray[np.uint8]]


def main() -> None:
    """Print a line for each source."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="the other checkout")
    parser.add_argument("data", type=Path, nargs="+", help=".npz or .zip")
    parser.add_argument("--most", type=int, default=20_000, help="crops of each source")
    parser.add_argument("--json", type=Path, help="where the figures go too")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    rooms = [import_room(given.before.resolve()), import_room(HERE)]
    figures = {}
    print(f"{'source':34}{'crops':>8}{'before, us':>12}{'now, us':>10}{'ratio':>7}{'same':>7}")
    for path in given.data:
        for name, crops in list_sources(path, given.most):
            seconds, same = compare(rooms, crops)
            before, now = (1e6 * one / len(crops) for one in seconds)
            print(
                f"{name:34}{len(crops):8,}{before:12.1f}{now:10.1f}{before / now:7.2f}{same!s:>7}",
                flush=True,
            )
            figures[name] = {"crops": len(crops), "before_us": before, "now_us": now, "same": same}
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2))
    print(f"{sum(int(one['crops']) for one in figures.values()):,} crops")
    sys.exit(not all(one["same"] for one in figures.values()))


def import_room(checkout: Path) -> ModuleType:
    """Import `batchdigits.normalize` of a checkout, beside that of another one."""
    for name in [name for name in sys.modules if name.split(".")[0] == "batchdigits"]:
        del sys.modules[name]
    sys.path.insert(0, str(checkout))
    room = importlib.import_module("batchdigits.normalize")
    sys.path.pop(0)
    if not Path(str(room.__file__)).is_relative_to(checkout):
        sys.exit(f"expected batchdigits of {checkout}, got {room.__file__}")
    return room


def list_sources(path: Path, most: int):
    """Yield name and crops of each source in a file."""
    random = np.random.default_rng(0)
    if path.suffix == ".zip":
        yield path.name, load_zip(path, most)
        return
    data = np.load(path, allow_pickle=False)
    for key in ("x", "x_train", "x_test"):
        if key in data and data[key].ndim == 3:
            crops = list(data[key][:most])
            yield f"{path.name} {key}", crops
            sides = random.integers(8, 64, (len(crops), 2)).tolist()
            sized = [cv2.resize(one, tuple(side)) for one, side in zip(crops, sides, strict=True)]
            yield f"{path.name} {key}, sizes", sized


def load_zip(path: Path, most: int) -> Crops:
    """Load the images of a .zip in grey."""
    crops: Crops = []
    with zipfile.ZipFile(path) as whole:
        for name in sorted(whole.namelist()):
            if len(crops) < most and name.lower().endswith((".png", ".jpg", ".jpeg", ".bmp")):
                grey = cv2.imdecode(np.frombuffer(whole.read(name), np.uint8), 0)
                if grey is not None:
                    crops.append(np.asarray(grey, np.uint8))
    return crops


def compare(rooms: list[ModuleType], crops: Crops) -> tuple[list[float], bool]:
    """Normalise crops in both checkouts; return the seconds of each, and whether all agrees."""
    seconds, same = [0.0, 0.0], True
    for start in range(0, len(crops), CHUNK):
        found = []
        for n, room in enumerate(rooms):
            begin = time.process_time()
            found.append(room.grey_levels(crops[start : start + CHUNK]))
            seconds[n] += time.process_time() - begin
        same &= all(np.array_equal(*pair) for pair in zip(*found, strict=True))
    return seconds, same


if __name__ == "__main__":
    main()
