"""Crops a second through `normalize`, in as many processes as there are processors.

    python jobs/bench/normalize.py [mnist.npz]

Without a file the digits are drawn. Each process takes chunks of 1024, as in a large folder;
the fastest of five rounds is told, and the median.
"""

import os
import sys
import time
from multiprocessing import get_context

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import cv2
import numpy as np

from batchdigits.normalize import normalize
from batchdigits.options import count_processors

CHUNK, CHUNKS, ROUNDS = 1024, 20, 5


def crops(kind: str):
    """Make one process's crops: of one size, or of many."""
    random = np.random.default_rng(0)
    if len(sys.argv) > 1:
        digits = list(np.load(sys.argv[1])["x_train"][: CHUNK * CHUNKS])
    else:
        digits = []
        for n in range(CHUNK * CHUNKS):
            digit = np.zeros((28, 28), np.uint8)
            cv2.putText(digit, str(n % 10), (6, 22), 0, 0.7, 255, 2, cv2.LINE_AA)
            digits.append(digit)
    if kind == "28 x 28":
        return digits
    sides = random.integers(24, 64, (len(digits), 2)).tolist()
    return [cv2.resize(d, tuple(side)) for d, side in zip(digits, sides, strict=True)]


def work(kind: str, barrier, seconds) -> None:
    """Normalise all chunks `ROUNDS` times, each round begun together."""
    cv2.setNumThreads(1)
    mine = crops(kind)
    normalize(mine[:CHUNK])
    for _ in range(ROUNDS):
        barrier.wait()
        begin = time.perf_counter()
        for start in range(0, len(mine), CHUNK):
            normalize(mine[start : start + CHUNK])
        seconds.put(time.perf_counter() - begin)


def main() -> None:
    """Print a line for each kind of crops."""
    context = get_context("spawn")
    count = count_processors()
    for kind in ("28 x 28", "24 to 63 px, any aspect"):
        barrier, seconds = context.Barrier(count), context.SimpleQueue()
        processes = [
            context.Process(target=work, args=(kind, barrier, seconds)) for _ in range(count)
        ]
        for process in processes:
            process.start()
        took = sorted(seconds.get() for _ in range(count * ROUNDS))
        for process in processes:
            process.join()
        each = CHUNK * CHUNKS * count
        print(
            f"{kind}: {each / took[0]:,.0f} crops a second at best, "
            f"{each / took[len(took) // 2]:,.0f} in the median, on {count} processors"
        )


if __name__ == "__main__":
    main()
