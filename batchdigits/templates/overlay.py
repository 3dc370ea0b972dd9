"""Draw a template over a page: a person sees whether its boxes are where they should be."""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.templates.boxes import Box, project_box
from batchdigits.templates.template import Template

FIELD_COLOUR, BOX_COLOUR, MARKER_COLOUR = (0, 0, 220), (220, 120, 0), (0, 160, 0)
"""Colours: blue, green, red."""
LINE_WIDTH_MM, LETTER_HEIGHT_MM = 0.25, 2.2
"""Width of a line, height of a letter, mm."""
_CAPITAL_HEIGHT_PX = 22.0
"""Height of a capital of OpenCV's plain font at scale 1, px."""


def draw_template(
    grey: GreyImage, template: Template, matrix: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Draw the markers, and every field with its name and its cells, over a page.

    Args:
        grey: the page, uint8, (height, width).
        template: of the form.
        matrix: (3, 3), mm on paper, 1 → px in the page, up to scale.

    Returns:
        uint8, (height, width, 3): blue, green, red.
    """
    picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    fine = _compute_px_per_mm(template, matrix)
    thick = max(1, round(LINE_WIDTH_MM * fine))
    for marker in template.form.effective_markers:
        _draw_box(picture, matrix, marker.box, MARKER_COLOUR, thick)
    for field in template.fields:
        ends = _draw_box(picture, matrix, field.box, FIELD_COLOUR, thick)
        for cell in field.boxes() if field.cells is not None else ():
            _draw_box(picture, matrix, cell, BOX_COLOUR, thick)
        left, bottom = ends.min(axis=0)[0], ends.max(axis=0)[1]
        below = bottom + 2 * thick + LETTER_HEIGHT_MM * fine  # above it stands what is printed
        place = (int(left), int(min(below, len(picture) - 2 * thick)))
        scale = LETTER_HEIGHT_MM * fine / _CAPITAL_HEIGHT_PX
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(picture, field.name, place, font, scale, FIELD_COLOUR, thick, cv2.LINE_AA)
    return picture


def compute_whole_page_matrix(grey: GreyImage, template: Template) -> NDArray[np.float64]:
    """Compute where a template lies on a page that shows the whole paper, upright.

    Returns:
        (3, 3), mm on paper, 1 → px in the page.
    """
    across, down = np.array(grey.shape[::-1]) / template.form.size
    return np.array([[across, 0, -0.5], [0, down, -0.5], [0, 0, 1.0]])


def _draw_box(
    picture: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    box: Box,
    colour: tuple[int, int, int],
    thick: int,
) -> NDArray[np.float64]:
    """Draw a box, and return its corners: (4, 2), px."""
    ends = project_box(box, matrix)
    cv2.polylines(
        picture, [np.rint(ends * 16).astype(np.int32)], True, colour, thick, cv2.LINE_AA, 4
    )
    return ends


def _compute_px_per_mm(template: Template, matrix: NDArray[np.float64]) -> float:
    """Return the pixels a millimetre along the page's diagonal."""
    ends = project_box((0.0, 0.0, *template.form.size), matrix)
    return float(np.linalg.norm(ends[2] - ends[0]) / np.hypot(*template.form.size))
