"""Draw a part of a page at the scale of boxes, and erase what the form's printer put there."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.cells.ink import compute_darkness_on_paper, segment_ink
from batchdigits.records import GreyImage
from batchdigits.templates.boxes import project_box
from batchdigits.templates.hints import MAX_HINT_DARKNESS

BOX_PX_PER_MM = 10.0
"""Pixels a millimetre at which boxes are drawn: a digit 5 mm high has 50 px, of which the model
sees 20."""
PRINT_REACH_MM = 0.3
"""How far a form's words may lie from their place, mm."""
HINT_REACH_MM = 0.5
"""How far a printed hint may lie from its place, mm."""

Matrix = NDArray[np.float64]
"""Shape (3, 3): mm on paper, 1 → px in the page, up to a factor."""
Rect = tuple[float, float, float, float]
"""x, y of the top left corner, width, height."""


class PrintedForm(NamedTuple):
    """A blank form.

    Attributes:
        grey: its whole page, uint8, shape (height, width).
        size: width and height of the page, mm.
    """

    grey: GreyImage
    size: tuple[float, float]


def warp_page_part(
    grey: GreyImage,
    matrix: Matrix,
    size: tuple[int, int],
    fineness: float,
    scale: float = BOX_PX_PER_MM,
) -> GreyImage:
    """Draw a part of the page.

    Args:
        grey: the page.
        matrix: pixels of the picture → pixels of the page.
        size: width and height of the picture, px.
        fineness: pixels a millimetre that the page has there.
        scale: pixels a millimetre that the picture has.
    """
    shrinks = fineness / scale
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    if shrinks <= 1.5:
        return np.asarray(
            cv2.warpPerspective(grey, matrix, size, flags=flags, borderValue=255), np.uint8
        )
    times = round(shrinks)  # linear sampling would skip pixels, and thin strokes with them
    finer = matrix @ np.diag([1 / times, 1 / times, 1]) @ _make_equal_shift(0.5 * (1 - times))
    large = [times * side for side in size]
    drawn = cv2.warpPerspective(grey, finer, large, flags=flags, borderValue=255)
    return np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), np.uint8)


def _make_equal_shift(by: float) -> Matrix:
    return np.array([[1, 0, by], [0, 1, by], [0, 0, 1]], np.float64)


def erase_hint(dark: GreyImage, to_picture: Matrix, hint: Rect) -> None:
    """Erase what is as light as a hint from where it is printed.

    Args:
        dark: the picture of the box, as from `compute_darkness_on_paper`.
        to_picture: (3, 3), mm on paper, 1 → px in the picture.
        hint: where it is printed, mm.
    """
    low, high = project_box(hint, to_picture)[[0, 2]]
    left, top = np.maximum(0, np.floor(low - HINT_REACH_MM * BOX_PX_PER_MM)).astype(int)
    right, bottom = np.ceil(high + HINT_REACH_MM * BOX_PX_PER_MM).astype(int)
    part = dark[top:bottom, left:right]
    part[part < MAX_HINT_DARKNESS] = 0


def erase_print(dark: GreyImage, to_paper: Matrix, form: PrintedForm) -> None:
    """Erase the words of a form from the picture of a field; its lines stay."""
    high, wide = dark.shape
    scale = np.divide(form.grey.shape[::-1], form.size)
    to_form = np.array([[scale[0], 0, -0.5], [0, scale[1], -0.5], [0, 0, 1]])
    drawn = warp_page_part(form.grey, to_form @ to_paper, (wide, high), float(scale.mean()))
    ink, _ = segment_ink(compute_darkness_on_paper(drawn))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink.view(np.uint8), connectivity=8)
    words = (stats[:, cv2.CC_STAT_WIDTH] < 0.5 * wide) & (stats[:, cv2.CC_STAT_HEIGHT] < 0.6 * high)
    words[0] = False
    reach = np.ones((round(2 * PRINT_REACH_MM * BOX_PX_PER_MM) + 1,) * 2, np.uint8)
    dark[cv2.dilate(words[labels].view(np.uint8), reach) > 0] = 0
