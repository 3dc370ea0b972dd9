"""Crops of whole numbers become strips of one height: upright ink, light on dark, no ruled lines.

As for single digits the paper is taken away and the ink scaled, here to one height; the width is
kept in proportion. The box round the ink is found on a reduced picture first, so that digits which
are small in a large crop keep their pixels. Training and prediction both go through `strip`.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.normalize.paper import MIN_CONTRAST
from batchdigits.normalize.ruled import without_level_lines
from batchdigits.normalize.slant import slant
from batchdigits.options import Invert
from batchdigits.records import GreyImage

Box = tuple[int, int, int, int]

VERSION = 3
"""Goes into a card: a number reader is only good with the preprocessing it was trained with."""
HEIGHT = 40
"""Height of a strip, px."""
INK = 32
"""Height that the box round the ink is scaled to, px."""
MARGIN = 10
"""Columns of paper at both sides of the ink at least, px of the strip."""
WIDTHS = (96, 128, 160, 192, 256, 384, 512, 768, 1024, 1536)
"""Widths of strips, px: the next one that holds the ink and its margins."""
POLARITY = 32
"""Height at which it is decided whether ink is dark or light, px."""
SEARCH = 96
"""Height at which the ink is looked for, px."""
WORKING = 56
"""Height that the ink is worked on at, before it is reduced to `INK`."""
CLEAR = 2.5
"""How many times the paper's own spread ink differs from it, at least."""
MIN_RULED_HEIGHT = 12
"""Height of a crop from which lines are looked for in it, px."""
LOWER = 0.8
"""What is written beside an upright line is at most so high, as a share of the crop: a crop that is
cut to its ink may begin with a 1."""
TALL = 0.4
"""A part of the ink so tall, as a share of the tallest, is a digit, and no dot, dash or speck."""


MORE = 0.25
"""Ink above or below a number, so high as a share of the number's height, may be a correction."""


class Strip(NamedTuple):
    """A crop of a number as the reader of numbers takes it.

    Attributes:
        picture: uint8, shape (HEIGHT, W) with W one of `WIDTHS`, ink light on dark; W is 0 where
            there is nothing to read.
        origin: x, y in the crop of the picture's top left corner, px.
        scale: pixels of the crop that one of the picture covers.
        slant: columns that the writing in the crop leaned to the right for each row upwards; the
            picture is upright, and its middle row lies as in the crop.
        fault: why there is nothing to read, in plain words; empty where there is.
        more_ink: whether the crop holds writing above or below the number, whole in it, that the
            picture leaves out.
    """

    picture: GreyImage
    origin: tuple[float, float]
    scale: float
    slant: float = 0.0
    fault: str = ""
    more_ink: bool = False


EMPTY = "no ink"


def strip(crop: GreyImage, *, invert: Invert = "auto", straighten: bool = True) -> Strip:
    """Bring a crop of one number to a strip of one height.

    Args:
        crop: uint8, shape (height, width), both at least 1.
        invert: "yes" for dark ink on light paper, "no" for light on dark, "auto" decides.
        straighten: whether slanted writing is set upright.
    """
    small, shrunk = _reduced(crop, SEARCH / crop.shape[0])
    light = invert == "no" or (invert == "auto" and _light(crop))
    left, top = 0, 0
    lifted = _lifted(small if light else 255 - small)
    box = lifted and _box(lifted.mask)
    if not (lifted and box):
        return _nothing(EMPTY)
    more_ink = _has_more_ink(lifted.mask, box)
    tall = box[3] - box[1]
    if shrunk < 1 and tall < WORKING:  # look again at more pixels, near the ink alone
        by = 0.4 * tall
        left, top, right, bottom = _within(
            [box[0] - 2 * by, box[1] - by, box[2] + 2 * by, box[3] + by], shrunk, crop.shape
        )
        near, shrunk = _reduced(crop[top:bottom, left:right], WORKING * shrunk / tall)
        again = _lifted(near if light else 255 - near)
        found = again and _box(again.mask)
        if not (again and found):
            return _nothing(EMPTY)
        lifted, box = again, found
    lean = slant(lifted.mask[box[1] : box[3], box[0] : box[2]]) if straighten else 0.0
    if lean:
        box = _leaning(lifted.mask, box, lean)
    scaled = _scaled(lifted.levels, box, lean, (left, top), shrunk)
    return scaled._replace(more_ink=more_ink)


def _light(crop: GreyImage) -> bool:
    """Tell whether the ink of a crop is light: it is the rarer, and lies further from the mean.

    Strokes are thin: against what is near they are a long tail to their side of the grey levels,
    whatever light falls on the paper, and more so than a pattern printed there.
    """
    small = cv2.GaussianBlur(_reduced(crop, POLARITY / crop.shape[0])[0], (3, 3), 0.8)
    near = small.shape[0] // 4 * 2 + 1
    levels = small.astype(np.float32)
    beyond = levels - cv2.blur(levels, (near, near), borderType=cv2.BORDER_REFLECT)
    return float((beyond**3).sum()) > 0


def _nothing(why: str) -> Strip:
    return Strip(np.zeros((HEIGHT, 0), np.uint8), (0.0, 0.0), 1.0, fault=why)


def _reduced(crop: GreyImage, share: float) -> tuple[GreyImage, float]:
    """Reduce a crop to a share of its size, if it is under 1; give that share too."""
    if share >= 1:
        return crop, 1.0
    height, width = (max(1, round(side * share)) for side in crop.shape)
    return np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)), share


def _within(box: list[float], shrunk: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Bring left, top, right, bottom from the reduced crop to whole pixels of the crop itself."""
    left, top, right, bottom = (round(side / shrunk) for side in box)
    return max(0, left), max(0, top), min(shape[1], right), min(shape[0], bottom)


class _Lifted(NamedTuple):
    """Ink off its paper: levels 0 to 255, and where it surely is; both (H, W)."""

    levels: GreyImage
    mask: NDArray[np.bool_]


def _lifted(bright: GreyImage) -> _Lifted | None:
    """Take paper, pattern and ruled lines away; None where no ink stands out.

    Args:
        bright: uint8, shape (H, W), light ink on dark paper.
    """
    reach = np.ones((max(3, bright.shape[0] // 3) | 1,) * 2, np.uint8)
    paper = cv2.morphologyEx(bright, cv2.MORPH_OPEN, reach, borderType=cv2.BORDER_REPLICATE)
    ink = bright - np.minimum(cv2.blur(paper, (reach.shape[0],) * 2), bright)
    ink = cv2.GaussianBlur(ink, (3, 3), 0.6)
    split, _ = cv2.threshold(ink, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    under, over = ink[ink <= split], ink[ink > split]
    if not over.size:
        return None
    ground, full = float(under.mean()), float(over.mean())
    spread = float(under.std())
    if full - ground < max(MIN_CONTRAST, CLEAR * spread):
        return None
    floor = ground + spread
    levels = np.clip((ink - np.float32(floor)) * np.float32(224 / (full - floor)), 0, 255)
    mask = ink > split
    left = _without_upright_lines(without_level_lines(mask[None])[0])
    lines = cv2.dilate((mask & ~left).view(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    levels[lines & ~left] = 0
    return _Lifted(levels.astype(np.uint8), left)


def _without_upright_lines(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove the lines of a table's columns from a mask (H, W); what is written beside them stays.

    Such a line goes through the crop from its first row to its last, straight, thin, and apart from
    what is written, which is lower.
    """
    height = len(mask)
    if height < MIN_RULED_HEIGHT:
        return mask
    flat = mask.view(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(flat, connectivity=8)
    whole = stats[:, cv2.CC_STAT_HEIGHT] == height
    whole[0] = False
    lines = [n for n in np.flatnonzero(whole).tolist() if _is_straight(labels == n)]
    if not lines:
        return mask
    rest = mask & ~np.isin(labels, lines)
    others = np.delete(stats, [0, *lines], axis=0)
    highest = others[:, cv2.CC_STAT_HEIGHT].max(initial=0)
    return rest if 0.2 * height <= highest <= LOWER * height else mask


def _is_straight(mask: NDArray[np.bool_]) -> bool:
    """Return whether the ink of a mask (H, W), in each row some, is one straight thin stroke."""
    height, width = mask.shape
    wide = mask.sum(axis=1)
    if wide.max() > max(4, 0.1 * height):
        return False
    centre = mask @ np.arange(width) / wide
    rows = np.arange(height)
    lean, start = np.polyfit(rows, centre, 1)
    return bool(np.abs(centre - lean * rows - start).max() <= max(0.8, 0.02 * height))


def _box(mask: NDArray[np.bool_]) -> Box | None:
    """Find the box round the digits: left, top, right, bottom, the last two lie one past.

    Its height is that of what is tall; to its sides also what is small at the same height.
    """
    height, width = mask.shape
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    parts = stats[1:].astype(np.int64)
    x, y, wide, tall, area = parts.T
    ends = (y <= 1) | (y + tall >= height - 1)
    beside = (x <= 1) | (x + wide >= width - 1)
    some = area >= max(6, 0.001 * height * height)
    some &= ~(
        (ends | beside)
        & (np.maximum(wide, tall) < TALL * height)  # the rest of a line
        & (np.minimum(wide, tall) <= 0.08 * height)
    )
    some &= ~((ends | beside) & (tall < 0.08 * wide))  # a level line
    frame = some & beside & (tall >= height - 2) & (wide < 0.12 * tall)
    if (some & ~frame).any() and tall[some & ~frame].max() < 0.85 * height:
        some &= ~frame  # and not a 1 in a crop that is cut to the ink
    if not some.any():
        return None
    parts = parts[some]
    x, y, wide, tall, area = parts.T
    digits = tall >= TALL * tall.max()
    top, bottom = int(y[digits].min()), int((y + tall)[digits].max())
    some = area >= 0.004 * (bottom - top) ** 2
    beside = digits | (some & (y < bottom) & (y + tall > top))
    return int(x[beside].min()), top, int((x + wide)[beside].max()), bottom


def _has_more_ink(mask: NDArray[np.bool_], box: Box) -> bool:
    """Return whether there is writing above or below a box that does not go on beyond the mask."""
    height, width = mask.shape
    tall = box[3] - box[1]
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    x, y, wide, high, area = stats[1:].astype(np.int64).T
    beyond = (y + high <= box[1]) | (y >= box[3])
    whole = (y > 0) & (y + high < height) & (x > 0) & (x + wide < width)
    written = (high >= MORE * tall) & (area >= (MORE * tall) ** 2 / 4)
    return bool((beyond & whole & written).any())


def _leaning(mask: NDArray[np.bool_], box: Box, lean: float) -> Box:
    """Find the columns between which the ink in a box lies once it is upright."""
    y, x = np.nonzero(mask[box[1] : box[3], box[0] : box[2]])
    across = x + box[0] + lean * (y - (box[3] - box[1] - 1) / 2)
    return int(np.floor(across.min())), box[1], int(np.ceil(across.max())) + 1, box[3]


def _scaled(
    levels: GreyImage, box: Box, lean: float, moved: tuple[int, int], shrunk: float
) -> Strip:
    """Scale the ink in a box to its height, set it upright, and lay it on a strip."""
    left, top, right, bottom = box
    share = INK / (bottom - top)
    needed = (right - left) * share + 2 * MARGIN
    wide = next((width for width in WIDTHS if width >= needed), 0)
    if not wide:
        return _nothing(f"too long for a number: {needed / INK:.0f} times as wide as high")
    x, y = left - MARGIN / share, (top + bottom) / 2 - HEIGHT / 2 / share
    origin = (x / shrunk + moved[0], y / shrunk + moved[1])
    half = (1 / share - 1) / 2  # pixels are told of by their centres
    middle = (HEIGHT - 1) / 2
    matrix = np.array(
        [[1 / share, -lean / share, x + half + lean * middle / share], [0, 1 / share, y + half]]
    )
    if share < 0.75:  # linear sampling would skip pixels
        size = [max(1, round(side * share)) for side in levels.shape[::-1]]
        reduced = cv2.resize(levels, size, interpolation=cv2.INTER_AREA)
        by = np.divide(reduced.shape[::-1], levels.shape[::-1])
        matrix = matrix * by[:, None]
        matrix[:, 2] += (by - 1) / 2
        levels = np.asarray(reduced, np.uint8)
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    picture = cv2.warpAffine(levels, matrix, (wide, HEIGHT), flags=flags)
    return Strip(np.asarray(picture, np.uint8), origin, 1 / share / shrunk, lean)
