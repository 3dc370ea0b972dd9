"""Real strings: the amounts of ORAND-CAR-A, and their split into five folds.

`orand_car_a_train.zip` holds 1,080 amounts cut from cheques, and `labels.csv` with the digits of
each (Diem and others, "ICFHR 2014 competition on handwritten digit string recognition in
challenging datasets"; the licence of the pictures is unknown). They stay outside the repository.
"""

import csv
import io
import zipfile
from pathlib import Path

import cv2
import numpy as np

from batchdigits.train.numbers import Real

ABOUT = (
    "ORAND-CAR-A, 1,080 amounts of cheques (ICFHR 2014 competition on handwritten digit strings)",
    "unknown for the pictures",
)
FOLDS = 5


def read(place: Path) -> Real:
    """Read all strings, in the order of `labels.csv`."""
    with zipfile.ZipFile(place) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
        crops = [
            cv2.imdecode(np.frombuffer(archive.read(row["file"]), np.uint8), cv2.IMREAD_GRAYSCALE)
            for row in rows
        ]
    return Real(crops, [row["digits"] for row in rows])


def folds(count: int) -> np.ndarray:
    """Tell in which fold each string is: always the same, shape (count,)."""
    return np.random.default_rng(0).permutation(count) % FOLDS


def taken(real: Real, chosen: np.ndarray) -> Real:
    """Take the strings at the places where `chosen` (N,) is true."""
    places = np.flatnonzero(chosen)
    return Real([real.crops[n] for n in places], [real.digits[n] for n in places])
