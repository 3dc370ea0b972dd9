"""How clear the strokes of a crop are, however faint: lines between paper on both their sides.

The mean over a short straight line holds far less noise than a pixel does, so a faint stroke stands
out along its length. It counts only against the nearer in level of the paper on its two sides: the
edge of a shadow has paper on one side alone, and gives nothing.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

LEAST_SIDE, MOST_SIDE = 28, 56
"""The shorter side of a crop while strokes are looked for, px; from the second it is halved."""
DIRECTIONS = 8
"""Directions in which strokes are looked for, over half a turn."""
LENGTHS = 7, 5
"""Length of the lines, px: in the crop, for thin strokes, and in the crop halved, for bold ones."""
ACROSS = 0.7
"""Standard deviation of a line's weights across it, px."""
AWAY = 3
"""Distance of the paper on either side from the stroke's middle, px."""
LEAST_LEVELS = 3.2, 4.2
"""Least contrast of a stroke, grey levels, in the crop and in the crop halved: faint lines of 8
levels keep 4, what shows through from the back of the sheet as a soft shade keeps 3."""
QUIET, LEAST_SPREADS = 0.6, 7.0
"""Least contrast, as a multiple of this quantile of all answers: noise answers everywhere."""
BOLD = 2.1
"""A stroke answers in the crop halved by so many times its answer in the crop at most. The broad
ridge where light falls to both sides of it answers by four times."""
RINGING, REACH = 0.08, 9
"""Least contrast, as a share of the difference of levels within a square of this side, px. The
compression of images draws fainter lines beside strong edges."""


def measure_strokes(crop: GreyImage) -> NDArray[np.float32]:
    """Measure how clear dark and light strokes are, as a multiple of what a stroke must be.

    Args:
        crop: uint8, shape (height, width).

    Returns:
        Shape (2, H, W), dark before light, 0 or more; the crop is scaled so that H and W are at
        least `LEAST_SIDE`.
    """
    level = scale_to_look(crop)
    thin, noise = _measure_contrast(level, LENGTHS[0])
    size = level.shape[::-1]
    half = cv2.resize(level, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA)
    bold, bold_noise = _measure_contrast(half, LENGTHS[1])
    near = np.ones((REACH, REACH), np.uint8)
    edges = np.float32(RINGING) * (cv2.dilate(level, near) - cv2.erode(level, near))
    least = [
        np.maximum(edges, max(pair))
        for pair in ((LEAST_LEVELS[0], noise), (LEAST_LEVELS[1], bold_noise))
    ]
    clear = np.empty_like(thin)
    for n in (0, 1):
        most = np.float32(BOLD) * cv2.dilate(thin[n], np.ones((3, 3), np.uint8))
        large = cv2.resize(bold[n], size, interpolation=cv2.INTER_NEAREST)
        clear[n] = np.maximum(thin[n] / least[0], np.minimum(large, most) / least[1])
    return clear


def scale_to_look(crop: GreyImage) -> NDArray[np.float32]:
    """Scale a crop (H, W) so that its shorter side lies between `LEAST_SIDE` and `MOST_SIDE`."""
    level = crop.astype(np.float32)
    while min(level.shape) >= MOST_SIDE:
        size = level.shape[1] // 2, level.shape[0] // 2
        level = np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_AREA), np.float32)
    share = LEAST_SIDE / min(level.shape)
    if share > 1:
        size = round(level.shape[1] * share), round(level.shape[0] * share)
        level = np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return level


def _draw_lines(length: int) -> list[tuple[NDArray[np.float32], int, int]]:
    """Draw lines of a length, px, in all directions; with each, the way to its side: x, y, px."""
    reach = length // 2 + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    lines = []
    for angle in np.arange(DIRECTIONS) * np.pi / DIRECTIONS:
        along, across = np.cos(angle), np.sin(angle)
        ends = np.clip((length + 1) / 2 - np.abs(x * along + y * across), 0, 1)
        weights = ends * np.exp(-((y * along - x * across) ** 2) / (2 * ACROSS**2))
        aside = round(-across * AWAY), round(along * AWAY)
        lines.append(((weights / weights.sum()).astype(np.float32), *aside))
    return lines


_LINES = {length: _draw_lines(length) for length in LENGTHS}


def _measure_contrast(level: NDArray[np.float32], length: int) -> tuple[NDArray[np.float32], float]:
    """Measure the contrast of dark and light strokes, (2, H, W), and the least that is no noise.

    Light that falls off evenly bends the levels everywhere alike: that bend is taken away.
    """
    height, width = level.shape
    answers = np.zeros((2, height, width), np.float32)
    for line, x, y in _LINES[length]:
        mean = cv2.filter2D(level, cv2.CV_32F, line, borderType=cv2.BORDER_REPLICATE)
        down, across = slice(abs(y), height - abs(y)), slice(abs(x), width - abs(x))
        middle = mean[down, across]
        sides = [
            mean[down.start + dy : down.stop + dy, across.start + dx : across.stop + dx] - middle
            for dx, dy in ((x, y), (-x, -y))
        ]
        bend = np.float32(np.median((sides[0] + sides[1])[::2, ::2]) / 2)
        dark, light = (found[down, across] for found in answers)
        np.maximum(dark, np.minimum(*sides) - bend, out=dark)
        np.maximum(light, bend - np.maximum(*sides), out=light)
    inner = answers[:, AWAY:-AWAY, AWAY:-AWAY].reshape(2, -1)
    noise = float(np.quantile(inner, QUIET, axis=1).min())
    return answers, LEAST_SPREADS * noise
