"""Crops of single digits become pictures in MNIST's own geometry: the heart of the reading.

A network trained on MNIST reads strangers' digits only as well as they are brought into the form
it knows: ink light on dark paper, even paper at zero, the box round the ink 20 px on its longest
side, its centre of mass in the middle of 28 x 28 (LeCun, Cortes, Burges: "The MNIST database of
handwritten digits"). Training and prediction both go through `normalize`.

Crops of one size are worked on together, as arrays of shape (N, H, W). Where OpenCV needs a
picture they are laid out as a mosaic: the crops beside each other, with a margin, so that one call
serves them all. All sums are of integers and therefore exact: a crop's picture does
not depend on the crops beside it.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.normalize.account import measure_faint_ink
from batchdigits.normalize.components import find_boxes
from batchdigits.normalize.geometry import SIDE, measured, placed
from batchdigits.normalize.marks import find_printed, find_unmarked, has_marks, is_rough
from batchdigits.normalize.paper import find_shade, levelled, lift_off_paper, light_ink
from batchdigits.normalize.parts import only, select_digit_parts
from batchdigits.normalize.ruled import without_ruled_lines
from batchdigits.options import Invert
from batchdigits.records import GreyImage

VERSION = 2
"""Goes into a model's card: a model is only good with the preprocessing it was trained with."""

WORKING_SIDE = 96
"""Larger crops are first reduced to this longest side, px: five times what the picture holds."""
SIDES = np.array([4, 8, 12, 16, 20, 24, 28, 32, 48, 64, 96])
"""Heights and widths worked in, px: a crop is enlarged to the next ones, so that crops of many
sizes share a few and are worked on together. All are even, which `_paper` uses."""
RIM = 0.1
"""What a second look leaves off at each side, as a share of the crop."""
INKED, EMPTY, STRAY, BUSY, BARE = range(5)
"""States of a crop at the first look: a digit; no ink, or none but shade; marks at the very side
alone; a busy ground; ink without strokes."""
AT_ONCE = 256
"""Crops worked on together at most: their arrays fit into a processor's cache."""


class Normalized(NamedTuple):
    """What `normalize` returns: row n of each array belongs to crop n.

    Attributes:
        pictures: float32, shape (N, 28, 28, 1), in [0, 1] in steps of 1/255, ink light on dark;
            all zero where there is no ink.
        extent: float32, shape (N, 2), height and width of the box round the ink as a share of
            the crop's height and width, in [0, 1]; zero where there is no ink.
        unclear: bool, shape (N,), true where there is something on the paper but no single
            thing that stands out as a digit: a busy ground, marks at the very side of the crop
            alone, or faint marks.
            Where it is false and the extent is zero, the paper is empty.
        unused: float32, shape (N, 3), the ink that is not in the picture as a share of the ink
            that is: of things inside the crop, of things at its border, where a neighbour's strokes
            and the rests of boxes are, and of fainter things inside. Specks, full stops, ruled
            lines and printed boxes do not count.
    """

    pictures: NDArray[np.float32]
    extent: NDArray[np.float32]
    unclear: NDArray[np.bool_]
    unused: NDArray[np.float32]


class Levels(NamedTuple):
    """As `Normalized`, but for the pictures: uint8, shape (N, 28, 28, 1), 0 to 255."""

    pictures: NDArray[np.uint8]
    extent: NDArray[np.float32]
    unclear: NDArray[np.bool_]
    unused: NDArray[np.float32]


def normalize(crops: Sequence[GreyImage], *, invert: Invert = "auto") -> Normalized:
    """Bring crops of single digits into MNIST's geometry, as models take them.

    Arguments and errors are those of `grey_levels`.
    """
    found = grey_levels(crops, invert=invert)
    return Normalized(shares(found.pictures), *found[1:])


def grey_levels(crops: Sequence[GreyImage], *, invert: Invert = "auto") -> Levels:
    """Bring crops of single digits into MNIST's geometry, in whole grey levels.

    A crop that is empty or whose ground is busy is looked at again without its rim: windows and
    frames, as of a meter's dial, have their edges there. It is empty only if no stroke at all is
    in it, however faint.

    Args:
        crops: N arrays, uint8, each of shape (height, width), both at least 1, of any sizes.
        invert: "auto" decides for each crop whether its ink is dark or light; "yes" takes all
            for dark ink on light paper, "no" for light ink on dark paper, as in MNIST.

    Returns:
        The pictures and the ink's extent in its cell, in the order of the crops.

    Raises:
        ValueError: a crop is not a two-dimensional uint8 array with at least one pixel.
    """
    found, state = _look(crops, invert)
    again = np.flatnonzero((state == BUSY) | (state == EMPTY)).tolist()
    inner = [_without_rim(crops[i]) for i in again]
    second, inner_state = _look(inner, invert)
    better = {i: n for n, i in enumerate(again) if inner_state[n] == INKED}
    for i in np.flatnonzero(state != INKED).tolist():
        if i in better:
            n = better[i]
            found.pictures[i], found.unused[i] = second.pictures[n], second.unused[n]
            found.extent[i] = second.extent[n] * np.divide(inner[n].shape, crops[i].shape)
        else:
            found.pictures[i], found.extent[i], found.unused[i] = 0, 0, 0
            rough = state[i] == BUSY and is_rough(crops[i])
            large = max(crops[i].shape) > LARGE * WORKING_SIDE
            found.unclear[i] = (
                rough
                or shows_marks(crops[i], invert, rests=state[i] == STRAY)
                or (large and shows_small_marks(crops[i], invert))
            )
    return found


LARGE, VERY_LARGE = 2, 8
"""In a crop so many times as large as it is worked on in, thin strokes vanish: its parts are looked
at too, and from the second on still smaller ones."""


def shows_marks(crop: GreyImage, invert: Invert, *, rests: bool = False) -> bool:
    """Return whether a crop shows marks, however faint, within its frame if it has one.

    Args:
        crop: uint8, shape (height, width).
        invert: as for `normalize`.
        rests: whether short strokes at the border count, which may be a neighbour's.
    """
    return has_marks(_resized(crop, _working_size(*crop.shape)), invert, rests=rests)


def shows_small_marks(crop: GreyImage, invert: Invert) -> bool:
    """Return whether a crop, or a part of it of half its longer side, shows marks.

    Arguments are those of `shows_marks`. Digits of a long number are too small in the whole crop;
    of a very large crop parts of a quarter are looked at too.
    """
    longest = max(crop.shape)
    sides = (longest // 2, longest // 4)[: 2 if longest > VERY_LARGE * WORKING_SIDE else 1]
    return shows_marks(crop, invert) or any(
        shows_marks(part, invert) for side in sides for part in _cut_parts(crop, max(1, side))
    )


def _cut_parts(crop: GreyImage, side: int) -> Iterator[GreyImage]:
    """Cut a crop into squares of a side that overlap by half."""
    starts = [range(0, max(1, length - side // 2), max(1, side // 2)) for length in crop.shape]
    for y in starts[0]:
        for x in starts[1]:
            yield crop[y : y + side, x : x + side]


def light_inked(crops: Sequence[GreyImage]) -> NDArray[np.bool_]:
    """Tell which crops `normalize` takes for light ink on dark paper: shape (N,).

    Arguments and errors are those of `grey_levels`.
    """
    light = np.zeros(len(crops), bool)
    for at, stack in _stacks(crops):
        light[at] = light_ink(levelled(stack), "auto")
    return light


def _without_rim(crop: GreyImage) -> GreyImage:
    down, across = (int(side * RIM) for side in crop.shape)
    return crop[down : crop.shape[0] - down, across : crop.shape[1] - across]


def _look(crops: Sequence[GreyImage], invert: Invert) -> tuple[Levels, NDArray[np.uint8]]:
    """Normalise crops once; return also what state each is in, shape (N,)."""
    pictures = np.zeros((len(crops), SIDE, SIDE), np.uint8)
    extent = np.zeros((len(crops), 2), np.float32)
    unused = np.zeros((len(crops), 3), np.float32)
    state = np.zeros(len(crops), np.uint8)
    for at, stack in _stacks(crops):
        shapes = np.array([crops[i].shape for i in at])
        found = _normalize_stack(stack, shapes, invert)
        pictures[at], extent[at], unused[at], state[at] = found
    unclear = np.zeros(len(crops), bool)
    return Levels(pictures[..., np.newaxis], extent, unclear, unused), state


def shares(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn grey levels, uint8 of any shape, 0 to 255, into what models take: float32 in [0, 1]."""
    return pictures.astype(np.float32) / np.float32(255)


def _stacks(crops: Sequence[GreyImage]) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Bring crops to the sizes worked in and group them: indices, and crops as (N, H, W)."""
    groups: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for index, crop in enumerate(crops):
        if crop.ndim != 2 or crop.dtype != np.uint8 or crop.size == 0:
            raise ValueError(
                f"crop {index}: expected uint8 of shape (height, width), both at least 1, "
                f"got {crop.dtype} of shape {crop.shape}"
            )
        groups[crop.shape].append(index)
    by_size: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for shape, indices in groups.items():
        by_size[_working_size(*shape)] += indices
    for size, indices in by_size.items():
        for start in range(0, len(indices), AT_ONCE):
            part = indices[start : start + AT_ONCE]
            alike = [crops[i] if crops[i].shape == size else _resized(crops[i], size) for i in part]
            yield part, np.concatenate(alike).reshape(-1, *size)


def _working_size(height: int, width: int) -> tuple[int, int]:
    """Find the size (height, width) that a crop of this size is worked on in."""
    share = min(1.0, WORKING_SIDE / max(height, width))
    at = np.searchsorted(SIDES, [math.floor(height * share), math.floor(width * share)])
    return int(SIDES[at[0]]), int(SIDES[at[1]])


def _resized(crop: GreyImage, size: tuple[int, int]) -> GreyImage:
    """Resize a crop to (height, width); averaged over area where it shrinks."""
    if crop.shape == size:
        return crop
    method = cv2.INTER_AREA if max(crop.shape) > WORKING_SIDE else cv2.INTER_LINEAR
    resized: GreyImage = cv2.resize(crop, size[::-1], interpolation=method)
    return resized


def _normalize_stack(
    stack: NDArray[np.uint8], shapes: NDArray[np.int64], invert: Invert
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Normalise crops brought to one size.

    Args:
        stack: uint8, shape (N, H, W).
        shapes: the crops' heights and widths before that, shape (N, 2).
        invert: as for `normalize`.

    Returns:
        Pictures, uint8 (N, 28, 28); extents (N, 2); unused ink (N, 3); the state of the crops, of
        `INKED` to `BARE`, (N,).
    """
    stack = levelled(stack)
    light = light_ink(stack, invert)
    bright = stack ^ np.where(light, 0, 255).astype(np.uint8)[:, None, None]  # 255 - stack
    ink, mask, busy = lift_off_paper(bright)
    mask = without_ruled_lines(mask)
    parts = select_digit_parts(mask)
    unused = np.column_stack([parts.unused, measure_faint_ink(ink, mask, parts.kept)])
    ink = only(ink, parts.kept, mask)
    down, across = measured(ink)
    extent = np.stack([down.end - down.start, across.end - across.start], axis=1)
    extent = extent / stack.shape[1:]
    boxes = find_boxes(parts.kept)
    empty = (extent.max(1) == 0) | find_shade(bright, parts.kept, boxes)
    empty |= find_printed(parts.kept)
    state = np.select([parts.unclear, busy, empty], [STRAY, BUSY, EMPTY], INKED)
    state[find_unmarked(stack, parts.kept, boxes, invert, state == INKED)] = BARE
    return placed(ink, down, across, extent * shapes), extent, unused, state
