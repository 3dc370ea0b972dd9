"""Write the digits of MNIST that ship with the package, and guard what fine-tuning may forget.

    python jobs/train/guard.py data/mnist.npz

They are the last of each class of the training part: `default.held_out` keeps these from every
training of the shipped model. No digit of the test part is among them.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from batchdigits.labelled import load_labelled_crops
from batchdigits.training import default, guard


def main() -> None:
    """Write `batchdigits/training/guard_digits.png`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path)
    given = parser.parse_args()
    _, held = default.held_out(load_labelled_crops(str(given.mnist), part="train"))
    crops, count = np.asarray(held.crops), guard.CLASS_COUNT
    chosen = [np.flatnonzero(held.labels == n)[-guard.PER_CLASS :] for n in range(count)]
    digits = crops[np.concatenate(chosen)]
    rows = len(digits) // guard.ACROSS
    side = guard.SIDE
    sheet = digits.reshape(rows, guard.ACROSS, side, side).swapaxes(1, 2).reshape(rows * side, -1)
    cv2.imwrite(str(guard.FILE), sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{guard.FILE}: {len(digits)} digits, {guard.FILE.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
