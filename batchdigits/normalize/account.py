"""The account of the ink: what of a crop's ink is not in its picture, and when that matters."""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.normalize.parts import SPECK, lay_mosaic

MAX_UNUSED_INSIDE, MAX_UNUSED_BORDER = 0.05, 1.0
"""Ink beside the digit, as a share of the digit's: with more than this inside the crop, or at its
border, a second sign may have been written. Of 50,000 clean digits of seven sources 0.03% have
more; of 1,000 pairs of digits cut out together 99%."""
FAINT_SHARE, FAINT_LEVELS = 0.15, 8
"""Least contrast of faint ink, as a share of the digit's and in grey levels."""
FAINT_GAP, FAINT_LENGTH = 7, 0.15
"""Side of the square round each pixel of sure ink in which faint ink is its soft edge, px; and the
least length of a faint part, as a share of the crop's height."""


def has_more_ink(unused: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which crops (N,) hold ink, beside what is read, that may be a second sign.

    Args:
        unused: as in `normalize.Normalized`, shape (N, 2).
    """
    inside, border = unused.T
    more: NDArray[np.bool_] = (inside > MAX_UNUSED_INSIDE) | (border > MAX_UNUSED_BORDER)
    return more


def measure_faint_ink(
    ink: NDArray[np.uint8], mask: NDArray[np.bool_], kept: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Measure ink that is fainter than the digit, and apart from all surer ink: (N,).

    Args:
        ink: uint8, shape (N, H, W), above the noise of the paper.
        mask: where ink surely is, shape (N, H, W).
        kept: where the digit is, shape (N, H, W).

    Returns:
        The area of the faint parts inside the crop, as a share of the digit's. Specks do not count.
    """
    count, height, width = ink.shape
    area = kept.reshape(count, -1).sum(1)
    full = np.where(kept, ink, 0).reshape(count, -1).sum(1) / np.maximum(area, 1)
    least = np.maximum(full * FAINT_SHARE, FAINT_LEVELS)
    faint = ink > least[:, None, None]
    near = cv2.dilate(
        lay_mosaic(mask.view(np.uint8), FAINT_GAP), np.ones((FAINT_GAP,) * 2, np.uint8)
    )
    faint &= ~near.reshape(count, height + FAINT_GAP, width)[:, :height].astype(bool)
    found = np.zeros(count)
    for n in np.flatnonzero(faint.reshape(count, -1).sum(1) * SPECK > area).tolist():
        _, _, stats, _ = cv2.connectedComponentsWithStats(faint[n].view(np.uint8), connectivity=8)
        left, top, wide, high, size = stats[1:].T
        inside = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
        large = (
            inside & (size * SPECK > area[n]) & (np.maximum(wide, high) >= FAINT_LENGTH * height)
        )
        found[n] = size[large].sum() / max(area[n], 1)
    return found
