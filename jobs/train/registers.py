"""Real strings: entry numbers and years of Danish parish registers, 1916 to 1960.

`danish_row_numbers.zip` and `danish_years.zip` hold 9,187 and 5,614 crops, and `labels.csv` with
the number and the source of each; the second part of the source is the book (coastalcph/
mgr-birthdates; cite Cabello Piqueras 2022; no licence is stated). They stay outside the repository.
"""

import csv
import io
import zipfile
from pathlib import Path

import corrections
import cv2
import numpy as np

from batchdigits.training.material import Real

FILES = ("danish_row_numbers.zip", "danish_years.zip")
ABOUT = (
    "Danish parish registers, entry numbers and years (Cabello Piqueras 2022)",
    "none stated",
)
HIDDEN_BOOKS = ("K2700", "K2714", "K2719", "K2731", "K2740")
"""Books that nothing is learned from."""


def read(place: Path, *, hidden: bool = False) -> Real:
    """Read the strings of the books that are learned from, or of the hidden ones.

    Labels are as `corrections.py` corrects them; what is no number, or cut off, is left out.
    """
    corrected = corrections.read_corrections()
    crops, digits = [], []
    with zipfile.ZipFile(place) as archive:
        for row in csv.DictReader(io.StringIO(archive.read("labels.csv").decode())):
            digit = corrected.get(row["file"], row["label"])
            if (row["source"].split("_")[1] in HIDDEN_BOOKS) == hidden and digit:
                data = np.frombuffer(archive.read(row["file"]), np.uint8)
                crops.append(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
                digits.append(digit)
    return Real(crops, digits)
