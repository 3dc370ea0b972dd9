"""A number written freely, cut out of its page once more: where it is, and whether it is the same.

A state knows where the strip of a number lies, though not how it was cut out of its form. So it is
cut by that place, and taken only if the strip that this gives lies where the first one did.
"""

import numpy as np

from batchdigits.corrections import Box
from batchdigits.extract.placement import StripPlacement, locate_in_page, place_strip
from batchdigits.normalize.strips import HEIGHT, INK, MARGIN, strip
from batchdigits.predict.decoding import SEPARATOR_CHARACTERS
from batchdigits.predict.findings import Finding
from batchdigits.records import GreyImage
from batchdigits.views import WHOLE_PAGE

MAX_SHIFT_PX, MAX_RATIO = 6.0, 1.2
"""How far a strip of the same number may begin elsewhere, px of the strip, and how much larger."""


def find_number_box(finding: Finding, placed: StripPlacement, count: int) -> Box:
    """Return where a number is in the page as scanned, px.

    Args:
        finding: of the number reader.
        placed: where its strip lies.
        count: digits that it has; those that the reader has not seen are on its right.
    """
    if finding.item.field is None:
        return WHOLE_PAGE
    assert finding.number is not None
    signs = finding.number.signs
    right = max((sign.middle_px + INK / 2 for sign in signs), default=float(MARGIN))
    missing = max(0, count - sum(sign.name not in SEPARATOR_CHARACTERS for sign in signs))
    lean = abs(placed.slant) * HEIGHT / 2
    over = HEIGHT - INK
    width = right + missing * INK + MARGIN + 2 * lean
    return locate_in_page((-lean, -over, width, HEIGHT + 2 * over), placed)


def is_same_number(crop: GreyImage, box: Box, placed: StripPlacement) -> bool:
    """Return whether a crop of a page gives the strip that was read.

    Args:
        crop: uint8, shape (height, width), upright.
        box: where it is in the page as scanned, px.
        placed: where the strip that was read lies.
    """
    if not crop.size:
        return False
    found = strip(crop)
    if found.fault:
        return False
    height, width = crop.shape
    place = (
        max(box[0], 0),
        max(box[1], 0),
        *((width, height)[:: -1 if placed.quarters % 2 else 1]),
    )
    again = place_strip(found, (height, width), place, placed.quarters)
    ratio = again.scale[1] / placed.scale[1]
    shift = np.subtract(again.origin, placed.origin) / placed.scale[1]
    return 1 / MAX_RATIO < ratio < MAX_RATIO and bool(np.abs(shift).max() <= MAX_SHIFT_PX)
