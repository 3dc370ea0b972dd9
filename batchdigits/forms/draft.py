"""The picture of a blank form becomes a template to edit: its boxes, grouped into fields."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.template import Box
from batchdigits.records import Grey

LEAST, MOST = 3.0, 0.6
"""A box is so many mm wide and high, at least; at most this share of the page."""
THICK = 1.2
"""What is darker for longer than this, mm, is no line of a box."""
FULL = 0.92
"""Share of its frame that the white within a box fills, at least."""
ALIKE = 0.12
"""How much boxes of one field may differ in size, and their gaps from each other, as a share of
the box."""
APART = 1.0
"""Widest gap between boxes of one field, as a share of a box's width."""
WIDE = 1.8
"""A box alone that is so many times wider than high is for a number written freely."""


class Drafted(NamedTuple):
    """A field as it was found.

    Attributes:
        box: of the whole field, mm.
        cells: boxes in a row; None for a number written freely.
        gap: between them, mm.
    """

    box: Box
    cells: int | None
    gap: float


def fields(grey: Grey, per_mm: float) -> list[Drafted]:
    """Find boxes and group them into fields, in reading order.

    Args:
        grey: the blank form, upright and straight, dark lines on light paper.
        per_mm: pixels a millimetre.
    """
    found = boxes(grey, per_mm)
    return [_field(row) for row in _rows(found)]


def boxes(grey: Grey, per_mm: float) -> NDArray[np.float64]:
    """Find the boxes on a blank form: (N, 4), x, y, width, height, mm, to the middle of lines."""
    block = 2 * int(4 * per_mm) + 1
    light = cv2.adaptiveThreshold(grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, 20)
    _, _, stats, _ = cv2.connectedComponentsWithStats(light, connectivity=4)
    x, y, wide, high, area = stats[1:].T.astype(np.float64)
    most = MOST * np.array(grey.shape[::-1])
    large = (wide >= LEAST * per_mm) & (high >= LEAST * per_mm)
    small = (wide <= most[0]) & (high <= most[1])
    kept = large & small & (area >= FULL * wide * high)
    out = []
    for left, top, width, height in np.column_stack([x, y, wide, high])[kept].astype(int).tolist():
        lines = _lines(light, left, top, width, height, int(THICK * per_mm) + 1)
        if all(0 < thick <= THICK * per_mm for thick in lines):
            before, after, above, below = (thick / 2 for thick in lines)
            box = (left - before, top - above, width + before + after, height + above + below)
            out.append([side / per_mm for side in box])
    return np.array(out, np.float64).reshape(-1, 4)


def _lines(
    light: NDArray[np.uint8], left: int, top: int, width: int, height: int, reach: int
) -> list[float]:
    """Measure how thick the lines round a white frame are, px: left, right, top, bottom."""
    tall, flat = (
        slice(top + height // 4, top + height - height // 4),
        slice(left + width // 4, left + width - width // 4),
    )
    outward = (
        light[tall, max(left - reach - 1, 0) : left][:, ::-1],
        light[tall, left + width : left + width + reach + 1],
        light[max(top - reach - 1, 0) : top, flat].T[:, ::-1],
        light[top + height : top + height + reach + 1, flat].T,
    )
    return [_run(strips) for strips in outward]


def _run(strips: NDArray[np.uint8]) -> float:
    """Count the dark pixels that strips (N, M) begin with: the median; 0 where there is no room."""
    if not strips.size:
        return 0.0
    ends = np.concatenate([strips, np.ones((len(strips), 1), np.uint8)], axis=1)
    return float(np.median(ends.argmax(axis=1)))


def _rows(found: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Group boxes that stand in a row, alike and as far apart from each other."""
    left = list(found[np.lexsort((found[:, 0], found[:, 1]))])
    rows: list[NDArray[np.float64]] = []
    while left:
        row = [left.pop(0)]
        beside = sorted(
            (n for n, box in enumerate(left) if _level(row[0], box)), key=lambda n: left[n][0]
        )
        taken = []
        for n in beside:
            if left[n][0] > row[-1][0] and _joins(row, left[n]):
                row.append(left[n])
                taken.append(n)
        left = [box for n, box in enumerate(left) if n not in taken]
        rows.append(np.array(row))
    tall = float(np.median(found[:, 3])) if len(found) else 1.0
    return sorted(rows, key=lambda row: (round(row[0][1] / tall), row[0][0]))


def _level(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    near = ALIKE * one[3]
    return bool(abs(one[1] - other[1]) < near and abs(one[3] - other[3]) < near)


def _joins(row: list[NDArray[np.float64]], box: NDArray[np.float64]) -> bool:
    gap = box[0] - row[-1][0] - row[-1][2]
    if abs(box[2] - row[0][2]) > ALIKE * row[0][2] or gap > APART * row[0][2]:
        return False
    if len(row) == 1:
        return bool(row[0][2] < WIDE * row[0][3])
    before = row[1][0] - row[0][0] - row[0][2]
    return bool(abs(gap - before) < ALIKE * row[0][2])


def _field(row: NDArray[np.float64]) -> Drafted:
    x, y = row[:, 0].min(), float(np.median(row[:, 1]))
    end, high = (row[:, 0] + row[:, 2]).max(), float(np.median(row[:, 3]))
    box = (round(float(x), 2), round(y, 2), round(float(end - x), 2), round(high, 2))
    if len(row) == 1:
        free = row[0][2] >= WIDE * row[0][3]
        return Drafted(box, None if free else 1, 0.0)
    gaps = row[1:, 0] - row[:-1, 0] - row[:-1, 2]
    return Drafted(box, len(row), max(0.0, round(float(gaps.mean()), 2)))


def text(name: str, size: tuple[float, float], anchor: str, drafted: list[Drafted]) -> str:
    """Write a template as TOML, fields named by their order, for a person to edit."""
    lines = [
        "[form]",
        f'name = "{name}"',
        f"size = [{size[0]:g}, {size[1]:g}]",
        *anchor.splitlines(),
    ]
    for number, field in enumerate(drafted, 1):
        lines += ["", "[[field]]", f'name = "field_{number:03}"']
        lines.append(f"box = [{', '.join(f'{side:g}' for side in field.box)}]")
        if field.cells is not None:
            lines.append(f"cells = {field.cells}")
        if field.gap:
            lines.append(f"gap = {field.gap:g}")
    return "\n".join(lines) + "\n"
