"""Pages that nobody described, with truth: boxes of all kinds among text, codes and pictures.

For `jobs/bench` and tests: the same seed gives the same page. Ranges (`ranges.py`) were set once,
before the finder was written; what happens to a page on its way into a file is `paper.scanned`'s.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
import paper
from numpy.typing import NDArray
from pens import DPI, FINE, Digits, Grey
from ranges import RANGES, Corners, Group, Ranges
from sheets import Sheet

SCANS = paper.RANGES._replace(turns=1, scale=0, corner=0, crease=0.1)
"""What befalls the pages: 100 to 600 dpi, 10 degrees askew, a quarter photographed, and so on."""


class Made(NamedTuple):
    """A page as it was scanned: its picture, the groups on it (boxes in px), what was done."""

    grey: Grey
    groups: list[Group]
    done: dict[str, Any]


def made(
    digits: Digits, random: np.random.Generator, ranges: Ranges = RANGES, scans: Any = SCANS
) -> Made:
    """Make a page, and scan it."""
    low, high = np.log(scans.dpi)
    dpi = float(np.exp(random.uniform(low, high)))
    photograph = bool(random.random() < scans.photograph)
    one_bit = not photograph and bool(random.random() < scans.one_bit)
    sheet = Sheet(digits, random, ranges, dpi=dpi, one_bit=one_bit)
    sheet.fill()
    grey, groups = sheet.grey, sheet.groups
    bend = random.uniform(0.2, ranges.bent[1]) if random.random() < ranges.bent[0] else 0.0
    if bend:
        grey, groups = _bent(grey, groups, bend, random)
    settled = scans._replace(dpi=(dpi, dpi), photograph=photograph, one_bit=one_bit)
    if one_bit:  # a shadow would be black all over
        settled = settled._replace(shadow=0)
    scan, matrix, done = paper.scanned(grey, random, settled, dpi=DPI)
    there = [group._replace(boxes=_projected(group.boxes, matrix)) for group in groups]
    return Made(scan, there, done | {"bend": bend})


def _projected(boxes: Corners, matrix: NDArray[np.float64]) -> Corners:
    flat = cv2.perspectiveTransform(boxes.reshape(1, -1, 2), matrix)
    return np.asarray(flat, np.float64).reshape(-1, 4, 2)


def _bent(
    grey: Grey, groups: list[Group], by: float, random: np.random.Generator
) -> tuple[Grey, list[Group]]:
    """Bend a sheet, so that level lines curve."""
    high, wide = grey.shape
    turns, phase = random.uniform(0.5, 1.2), random.uniform(0, 2 * np.pi)

    def lift(x: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(by * np.sin(phase + 2 * np.pi * turns * x * FINE / wide))

    columns, rows = np.meshgrid(np.arange(wide, dtype=np.float32), np.arange(high))
    moved = (rows - lift(columns / FINE) * FINE).astype(np.float32)
    bent = cv2.remap(grey, columns, moved, cv2.INTER_LINEAR, borderValue=255)
    out = []
    for group in groups:
        boxes = group.boxes.copy()
        boxes[..., 1] += lift(boxes[..., 0])
        out.append(group._replace(boxes=boxes))
    return np.asarray(bent, np.uint8), out
