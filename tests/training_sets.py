"""Labelled digits and corpora that several test modules of the training share."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import drawn
from numpy.typing import NDArray

from batchdigits import cli
from batchdigits.labelled import LabelledCrops

Pictures = NDArray[np.uint8]


def light(count: int) -> Pictures:
    """Draw digits like those of MNIST: light ink on dark; 0 to 9 in turn."""
    return np.stack([255 - drawn(i % 10, seed=i // 10) for i in range(count)]).astype(np.uint8)


def labelled(count: int, *more: int, first: int = 0) -> LabelledCrops:
    """Drawn digits 0 to 9 in turn, then crosses under the labels `more`."""
    crops = [drawn(n % 10, seed=first + n // 10) for n in range(count)]
    for n, _ in enumerate(more):
        cross = np.full((28, 28), 255, np.uint8)
        cv2.drawMarker(cross, (14, 14 + n % 3), 0, cv2.MARKER_TILTED_CROSS, 12 + n % 5, 2)
        crops.append(cross)
    labels = np.array([*(np.arange(count) % 10), *more], np.int64)
    return LabelledCrops(crops, labels, [f"crop {n}" for n in range(len(crops))])


def command(*arguments: object) -> int:
    return cli._run_command_line([str(one) for one in arguments])


@pytest.fixture(name="told")
def told_fixture() -> list[str]:
    return []


def history(place: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((place / "history.csv").read_text().splitlines()))


class Stopped(BaseException):
    """Stands for the exception that a signal raises."""
