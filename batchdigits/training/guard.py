"""Digits that ship with the package, so that a bundle that learns from an inbox forgets nothing.

They are from MNIST's training part, and the shipped networks learned from none of them: they are
among the last of each class, which `default.held_out` keeps from every training.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import ModelError
from batchdigits.labelled import LabelledCrops

FILE = Path(__file__).with_name("guard_digits.png")
"""All digits side by side, ordered by class, a hundred a row."""
SIDE, ACROSS, CLASS_COUNT = 28, 100, 10
PER_CLASS = 400
"""Digits of each class in the file: every second one is learned again, the others measure."""


class GuardDigits(NamedTuple):
    """Digits that are not of the inbox.

    Attributes:
        replayed: 2,000 that are mixed among those of an inbox.
        held: 2,000 that are never learned, and show whether something was forgotten.
    """

    replayed: LabelledCrops
    held: LabelledCrops


@cache
def load_guard_digits() -> GuardDigits:
    """Load the digits that ship with the package.

    Raises:
        ModelError: the file is missing or damaged.
    """
    sheet = cv2.imdecode(np.frombuffer(_read_file(), np.uint8), cv2.IMREAD_GRAYSCALE)
    expected = (CLASS_COUNT * PER_CLASS // ACROSS * SIDE, ACROSS * SIDE)
    if sheet is None or sheet.shape != expected:
        raise ModelError(f"'{FILE}' is damaged: install batchdigits again")
    digits = _cut_sheet(np.asarray(sheet, np.uint8))
    labels = np.repeat(np.arange(CLASS_COUNT), PER_CLASS)
    second = np.arange(len(labels)) % 2 == 1
    return GuardDigits(*(_name_digits(digits[part], labels[part]) for part in (second, ~second)))


def _read_file() -> bytes:
    try:
        return FILE.read_bytes()
    except OSError as error:
        raise ModelError(f"'{FILE}' cannot be read: {error.strerror}") from None


def _cut_sheet(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the digits of a sheet, shape (N, 28, 28), row by row."""
    rows = len(sheet) // SIDE
    return sheet.reshape(rows, SIDE, ACROSS, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)


def _name_digits(digits: NDArray[np.uint8], labels: NDArray[np.int64]) -> LabelledCrops:
    return LabelledCrops(digits, labels, ["MNIST, training part"] * len(labels))
