"""Labels of real strings that are wrong, by the name of the file, as a person read them.

`corrected_labels.csv` has the columns file, label and right. An empty `right` is for what is cut
off, struck out or no number: nothing is measured on it, and nothing learned from it.
"""

import csv
from pathlib import Path

FILE = Path(__file__).parent / "corrected_labels.csv"


def read_corrections() -> dict[str, str]:
    """Return the right number of each file whose label is wrong; empty for what is no number."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["right"] for row in csv.DictReader(file)}
