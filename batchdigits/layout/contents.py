"""What a box holds: print, a picture, or nothing of the kind."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.layout.lined import Cell
from batchdigits.layout.lines import Ink
from batchdigits.records import GreyImage

SPECK = 3
"""px that a letter is high at least."""
LETTERS, LOW, LEAST_LETTER = 9, 0.3, 0.4
"""A box alone with so many letters, half of them no higher than this share of it, is a frame round
text; what is lower than this share of the others is a speck or a dot."""
FEW, HALF = 3, 0.5
"""Least letters of a printed label; their greatest usual height, as a share of the cell's."""
LEVEL, MOST = 0.15, 0.6
"""By what share of their height letters may leave their line, and how many of them must not; of how
many cells of a first row or column that are not empty, if they are headings."""
BUSY, LETTERED, NARROW = 0.4, 0.22, 40
"""Share of what lies about a box that is ink in a square code; and about one with a side under so
many px, which may be the hole in a letter."""
LETTER = 42
"""px of its shorter side under which a box may be the hole in a letter, so that letters about it
tell; they stand so near, as a share of that side, and are so high, as a share of the box's height:
what is as high as the box is the side of another."""
BESIDE, HIGH = 0.58, (0.5, 0.95)
SOME, ALONE = 4, 20
"""More boxes than so many are boxes; one alone has no side under so many px."""
STRAIGHT, SLOPE = 70, 0.06
"""px of its shorter side under which a box alone has no side that slopes more: of 97 on made pages
none slopes more than 0.05, and none of five found in drawings less than 0.07."""
COMB, SHARED = 3, 2.5
"""Boxes that share their sides, at least; and px by which they differ at most."""
CORNER, ROUND = 2.0, 3
"""px from the lines of a box, within its corners, where there is paper; a letter's hole has ink
there in so many corners."""
FILLED, FULL = 0.38, 0.5
"""Usual share of ink in boxes from which on they are parts of a code; the same of boxes most of
which are well drawn."""
NIGHT = 0.5
"""Share of the page's light under which a box is no paper at all."""
MASS = 0.3
"""What is dark and so thick, as a share of the box's shorter side, was not written with a pen."""
BLOT, SOUND = 0.45, 0.97
"""The same in a box that is drawn so well: a 9 with a thick pen."""
SIGN, BROAD = 0.2, 1.3
"""A sign is so high at least, as a share of the paper in its box, and so broad at most, as a
share of its height."""
GREY = 0.82
"""A box is paper that has this share of the light about it, at least, in its middle."""


def group(grey: GreyImage, ink: Ink, cells: Sequence[Cell]) -> bool:
    """Tell whether a few boxes, or one, are such as to write in.

    Frames round text or a picture, parts of codes, and holes in letters are none.

    Args:
        grey: the view.
        ink: of it.
        cells: the boxes.
    """
    short = min(float(cell.size.min()) for cell in cells)
    if len(cells) > SOME:
        most = FILLED if np.median([cell.drawn for cell in cells]) < SOUND else FULL
        return float(np.median([measure_fill(ink, cell) for cell in cells])) <= most
    comb = _is_comb(cells)
    clear = [_clear(grey, ink, cell, lettered=not comb) for cell in cells]
    if 2 * sum(clear) < len(cells) or (len(cells) == 1 and not _is_sound_alone(cells[0])):
        return False
    if comb:
        return True
    if len(cells) < SOME and short < LETTER and _among_letters(ink, cells):
        return False
    if len(cells) < SOME and not have_corners(ink, cells):
        return False
    return len(cells) > 1 or not _text(ink, cells[0])


def _is_sound_alone(cell: Cell) -> bool:
    """Return whether a box alone is large and straight enough: in drawings lines cross too."""
    short = float(cell.size.min())
    sides = np.abs(cell.quad[[1, 2, 3, 0]] - cell.quad)
    slope = float((sides.min(axis=1) / np.maximum(sides.max(axis=1), 1.0)).max())
    return short >= ALONE and (short >= STRAIGHT or slope <= SLOPE)


def have_corners(ink: Ink, cells: Sequence[Cell]) -> bool:
    """Return whether most boxes have paper in their corners: what letters close in has not."""
    return 2 * sum(_round(ink, cell) for cell in cells) <= len(cells)


def _is_comb(cells: Sequence[Cell]) -> bool:
    """Return whether boxes share their sides, all of one size and well drawn: no letter is so."""
    size = np.array([cell.size for cell in cells])
    step = np.diff([cell.middle[0] for cell in cells])
    off = np.abs(step - size[:-1, 0]).max(initial=0)
    drawn = min(cell.drawn for cell in cells)
    alike = off <= SHARED and np.ptp(size, axis=0).max() <= SHARED
    return bool(len(cells) >= COMB and alike and drawn >= SOUND)


def measure_fill(ink: Ink, cell: Cell) -> float:
    """Return what share of a box is ink."""
    inner = _inner(ink, cell)
    return float((inner > 0).mean()) if inner.size else 1.0


def count_signs(ink: Ink, cell: Cell) -> int:
    """Count the signs beside each other in a box: what is high in it."""
    inner = _inner(ink, cell)
    if not inner.size:
        return 0
    _, _, stats, _ = cv2.connectedComponentsWithStats(inner, connectivity=8)
    high = stats[1:][stats[1:, 3] >= SIGN * inner.shape[0]]
    count, last = 0, -1
    for left, _, wide, tall, _ in high[np.argsort(high[:, 0])].tolist():
        if left >= last:
            count += max(1, round(wide / (BROAD * tall)))  # letters may touch
        last = max(last, left + wide)
    return count


def _round(ink: Ink, cell: Cell) -> bool:
    """Tell whether a box has no corners, as the hole in an o."""
    inset = cell.thickness / 2 + CORNER
    spots = cell.quad + inset * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    x, y = (spots + 0.5).astype(int).clip(0).T
    high, wide = ink.shape
    return int((ink[np.minimum(y, high - 1), np.minimum(x, wide - 1)] > 0).sum()) >= ROUND


def _among_letters(ink: Ink, cells: Sequence[Cell]) -> bool:
    """Tell whether something as high stands right beside boxes, as letters do beside a letter."""
    quads = np.array([cell.quad for cell in cells])
    low, high = quads.min(axis=(0, 1)), quads.max(axis=(0, 1))
    near = BESIDE * float(cells[0].size.min())
    edge = cells[0].thickness / 2 + 1.5
    top, bottom = max(0, round(float(low[1]))), round(float(high[1])) + 1
    for left, right in (
        (low[0] - edge - near, low[0] - edge),
        (high[0] + edge, high[0] + edge + near),
    ):
        part = ink[top:bottom, max(0, round(float(left))) : max(0, round(float(right)))]
        if part.size and HIGH[0] <= (part > 0).any(axis=1).mean() <= HIGH[1]:
            return True
    return False


def _clear(grey: GreyImage, ink: Ink, cell: Cell, *, lettered: bool) -> bool:
    """Tell whether a box is paper, on paper; if it may be `lettered`, it is no hole in a letter."""
    inner = _inner(ink, cell)
    if not inner.size or _mass(inner, cell) or _shaded(grey, cell):
        return False
    about = _about(ink, cell)
    dark = np.median(_inner(grey, cell)) < NIGHT * np.quantile(grey[::16, ::16], 0.9)
    return not dark and about <= (LETTERED if lettered and cell.size.min() < NARROW else BUSY)


def _text(ink: Ink, cell: Cell) -> bool:
    """Tell whether a box is a frame round text: low letters, one beside the other."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(_inner(ink, cell), connectivity=8)
    signs = stats[1:][stats[1:, 3] >= SPECK]
    if not len(signs):
        return False
    wide, high = signs[:, 2], signs[:, 3]
    order = np.argsort(high)
    half = np.searchsorted(np.cumsum(wide[order]), wide.sum() / 2)
    usual = float(high[order][half])  # specks of a noisy page are many, but narrow
    letters = np.maximum(1, wide / (0.9 * high))[high >= LEAST_LETTER * usual].sum()
    return bool(letters >= LETTERS and usual <= LOW * cell.size[1])


def select_ink_inside(ink: Ink, cells: Sequence[Cell]) -> Ink:
    """Return the ink inside of cells, without their lines: 0 elsewhere."""
    out = np.zeros_like(ink)
    for cell in cells:
        within = _get_inner_area(cell)
        out[within] = ink[within]
    return out


def _inner(ink: Ink, cell: Cell) -> Ink:
    """Cut out the paper within a box."""
    return np.ascontiguousarray(ink[_get_inner_area(cell)])


def _get_inner_area(cell: Cell) -> tuple[slice, slice]:
    """Return the rows and columns within a box's lines."""
    x, y = np.sort(cell.quad[:, 0]), np.sort(cell.quad[:, 1])
    by = cell.thickness / 2 + 1.5
    left, right, top, bottom = (round(n) for n in (x[1] + by, x[2] - by, y[1] + by, y[2] - by))
    return slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right))


def _about(ink: Ink, cell: Cell) -> float:
    """Say what share of what lies about a box is ink."""
    inner = float(cell.thickness) / 2 + 2
    outer = inner + 0.7 * float(cell.size.min())
    low, high = cell.quad.min(axis=0), cell.quad.max(axis=0)
    x, y = np.rint(low - outer).astype(int).clip(0).tolist()
    right, bottom = np.rint(high + outer).astype(int).tolist()
    about = ink[y:bottom, x:right] > 0
    left, top = np.rint(low - inner).astype(int).clip(0).tolist()
    within = ink[top : round(high[1] + inner), left : round(high[0] + inner)] > 0
    return float((about.sum() - within.sum()) / max(1, about.size - within.size))


def _mass(inner: NDArray[np.uint8], cell: Cell) -> bool:
    share = BLOT if cell.drawn >= SOUND else MASS
    side = max(5, round(share * float(cell.size.min())))
    return bool(cv2.erode(inner, np.ones((side, side), np.uint8), borderValue=0).any())


def _shaded(grey: GreyImage, cell: Cell) -> bool:
    """Tell whether the middle of a box is darker than the paper on each side of it."""
    low, high = np.sort(cell.quad, axis=0)[0], np.sort(cell.quad, axis=0)[3]
    far = 0.3 * float(cell.size.min()) + cell.thickness
    left, top = np.floor(low - far).astype(int).clip(0).tolist()
    right, bottom = np.ceil(high + far).astype(int).tolist()
    by = int(cell.thickness + 2)
    x, y = low.astype(int).clip(0).tolist()
    sides = (
        grey[top : max(y - by, top + 1), left:right],
        grey[int(high[1]) + by : bottom, left:right],
        grey[top:bottom, left : max(x - by, left + 1)],
        grey[top:bottom, int(high[0]) + by : right],
    )
    about = min((float(np.median(side)) for side in sides if side.size), default=0.0)
    return bool(np.median(_inner(grey, cell)) < GREY * about)


def labels(ink: Ink, cells: Sequence[Cell], places: Sequence[tuple[int, int]]) -> list[bool]:
    """Tell which cells of a table hold a printed label: those of its first row and first column.

    They do where most of that row or column do: what stands elsewhere may be a number.

    Args:
        ink: of the view.
        cells: of the table.
        places: row and column of each, from 1.
    """
    print_ = [_printed(ink, cell) for cell in cells]
    out = [False] * len(cells)
    for axis in (0, 1):
        first = [n for n, place in enumerate(places) if place[axis] == 1]
        held = [print_[n] for n in first if print_[n] is not None]
        if held and np.mean([bool(one) for one in held]) >= MOST:
            for n in first:
                out[n] |= bool(print_[n])
    return out


def _printed(ink: Ink, cell: Cell) -> bool | None:
    """Tell whether a cell holds print: several letters on a line; None for nothing."""
    inner = _inner(ink, cell)
    if not inner.size:
        return None
    _, _, stats, _ = cv2.connectedComponentsWithStats(inner, connectivity=8)
    signs = stats[1:][stats[1:, 3] >= SPECK]
    if not len(signs):
        return None
    high = float(np.median(signs[:, 3]))
    letters = np.maximum(1, signs[:, 2] / (0.9 * signs[:, 3])).sum()  # they may touch
    if letters < FEW or high > HALF * cell.size[1]:
        return False
    base = signs[:, 1] + signs[:, 3]
    level = np.abs(base - np.median(base)) <= max(1.5, LEVEL * high)
    return bool(level.mean() >= MOST)
