"""Alter digits as other hands, pens, papers and scanners would have made them.

A digit is laid on a canvas by one warp (turned, slanted, stretched, trembling), its strokes are
made thinner or bolder, gaps and neighbours' strokes and box lines are added, and the canvas is
scanned: coarser, one-bit, uneven, as JPEG. All by chance, from a generator the caller gives.
"""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.training.pen import PENS, Random, Strokes, add_tremor, draw_strokes

Ink = GreyImage | Strokes
"""A digit to learn from: a picture, ink light on dark, cut to the ink; or the strokes of a pen."""

SIDE = 64
"""Side of the canvas, pixels."""
REACH = 40
"""Longest side of a digit on the canvas, pixels, before chance has its say."""


class Hand(NamedTuple):
    """How far a digit written once more may be from what it was.

    Attributes:
        turn: standard deviation of the angle, degrees.
        slant: standard deviation of the shear, of at most 0.45.
        stretch: width and height change by a factor of at most its power of e.
        tremble: lowest and highest standard deviation of where the points of a grid, 6 by 6 over
            the canvas, are moved to; pixels of the canvas.
        trembling: share of the digits that tremble.
    """

    turn: float
    slant: float
    stretch: float
    tremble: tuple[float, float]
    trembling: float


ANOTHER = Hand(turn=7, slant=0.2, stretch=0.2, tremble=(0.4, 1.7), trembling=0.5)
THE_SAME = Hand(turn=6, slant=0.12, stretch=0.15, tremble=(0.4, 1.5), trembling=1)
"""Turned and slanted less, but trembling always: of 15,000 digits of MNIST held out, after 40
epochs on the others alone, as many were wrong as by a steadier hand (73 for 67), at a mean negative
log-likelihood of 0.0191 for 0.0251."""

NIBS = (2, 2, 3, 3, 4, 5)
"""Sides of what strokes are eaten or grown by, pixels of the canvas."""


def inked(crop: GreyImage) -> GreyImage:
    """Bring a crop, ink light, to no paper and full ink: uint8, its own shape."""
    paper = float(np.median(crop))
    full = max(float(np.quantile(crop, 0.995)), paper + 40)
    stretched: GreyImage = cv2.convertScaleAbs(
        np.maximum(crop.astype(np.float32) - paper, 0), alpha=255 / (full - paper)
    )
    return stretched


def alter(ink: Ink, random: Random, neighbour: Ink | None = None) -> GreyImage:
    """Alter a digit as another hand, pen and scanner would have made it, up to hard to read.

    Args:
        ink: a picture, uint8, any shape, filled by the digit; or strokes.
        random: where the chance comes from.
        neighbour: another digit, whose strokes may reach into the picture.

    Returns:
        uint8, shape (S, S) with S from 20 to 64, ink light on dark.
    """
    canvas = other_pen(laid(ink, random), random)
    if random.random() < 0.06:
        canvas = _broken(canvas, random)
    if neighbour is not None:
        canvas = np.maximum(canvas, _reaching_in(laid(neighbour, random), random))
    if random.random() < 0.15:
        canvas = _boxed(canvas, random)
    return scanned(canvas, random)


def again(ink: Ink, random: Random) -> GreyImage:
    """Write a digit once more by the same hand: a little turned, much trembling.

    Returns:
        uint8, shape (64, 64), ink light on dark.
    """
    canvas = laid(ink, random, THE_SAME)
    return other_pen(canvas, random) if random.random() < 0.25 else canvas


def written_otherwise(ink: GreyImage, label: int, random: Random) -> GreyImage:
    """Give a 0 its slash, a 1 its upstroke, or a 7 its bar, in a pen as wide as the digit's own.

    Returns:
        uint8, larger than twice `ink`; `ink` itself where there is no place for the stroke: in a
        7 without ink at the height of the bar, in a 1 that is no plain stroke.
    """
    doubled = cv2.resize(ink, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    beside = len(ink) if label == 1 else 6
    big = cv2.copyMakeBorder(doubled, 6, 6, beside, 6, cv2.BORDER_CONSTANT)
    half = cv2.distanceTransform((big > 127).astype(np.uint8), cv2.DIST_L2, 3).max()
    stroke = {0: _slash, 1: _upstroke, 7: _bar}[label](np.asarray(big, np.uint8), random)
    if stroke is None:
        return ink
    pen = max(2, round(1.7 * float(half)))
    return np.asarray(cv2.line(big, *stroke, 255, pen, cv2.LINE_AA), np.uint8)


Stroke = tuple[tuple[int, int], tuple[int, int]]


def _slash(big: GreyImage, random: Random) -> Stroke:
    height, width = big.shape
    inset = 0.15 + random.uniform(-0.05, 0.12)
    left, right = round(width * inset), round(width * (1 - inset))
    return (left, round(height * (1 - inset))), (right, round(height * inset))


def _upstroke(big: GreyImage, random: Random) -> Stroke | None:
    """Lead up to the top, 35 degrees under level at least: a 7 has its stroke more level."""
    y, x = np.nonzero(big > 127)
    if not len(y) or np.ptp(x) > 0.5 * np.ptp(y):
        return None
    top = int(y.min())
    tip = int(x[y <= top + 1].min()), top
    angle, long = np.radians(random.uniform(35, 70)), random.uniform(0.2, 0.5) * np.ptp(y)
    left, low = tip[0] - long * np.cos(angle), tip[1] + long * np.sin(angle)
    return (round(left), round(low)), tip


def _bar(big: GreyImage, random: Random) -> Stroke | None:
    height, width = big.shape
    level = int(height * random.uniform(0.42, 0.6))
    stem = np.flatnonzero(big[level] > 127)
    if not len(stem):
        return None
    reach, lean = width * random.uniform(0.18, 0.4), random.uniform(-0.1, 0.1) * width
    left, right = (round(min(max(stem.mean() + r, 1), width - 2)) for r in (-reach, reach))
    return (left, round(level + lean)), (right, round(level - lean))


def laid(ink: Ink, random: Random, hand: Hand = ANOTHER) -> GreyImage:
    """Warp a digit, as for `alter`, onto the canvas: turned, slanted, stretched, trembling."""
    turn = np.radians(random.normal(0, hand.turn))
    slant = max(-0.45, min(0.45, random.normal(0, hand.slant)))
    reach = REACH * np.exp(random.uniform(-0.25, 0.1))
    if isinstance(ink, tuple):
        return _write_strokes(ink, reach, (turn, slant), random, hand)
    height, width = ink.shape
    scale = reach / max(height, width)
    across, down = scale * np.exp(random.uniform(-hand.stretch, hand.stretch, 2))
    cos, sin = np.cos(turn), np.sin(turn)
    unslant = np.array([[1 / across, -slant / across], [0, 1 / down]])
    back = unslant @ [[cos, sin], [-sin, cos]]  # from the canvas to the digit's own picture
    shift = [(width - 1) / 2, (height - 1) / 2] - back @ [(SIDE - 1) / 2, (SIDE - 1) / 2]
    if random.random() < hand.trembling:
        to_x, to_y = _grid()
        wave = random.normal(0, random.uniform(*hand.tremble), (2, 6, 6)).astype(np.float32)
        dx, dy = (cv2.resize(field, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for field in wave)
        x, y = to_x + dx, to_y + dy
        rows = np.column_stack([back, shift]).tolist()  # plain numbers leave float32 as it is
        map_x, map_y = (by_x * x + by_y * y + by for by_x, by_y, by in rows)
        return np.asarray(cv2.remap(ink, map_x, map_y, cv2.INTER_LINEAR), np.uint8)
    affine = np.column_stack([back, shift])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(ink, affine, (SIDE, SIDE), flags=flags), np.uint8)


def _write_strokes(
    strokes: Strokes, reach: float, bent: tuple[float, float], random: Random, hand: Hand
) -> GreyImage:
    """Write strokes on the canvas: `reach` px long, turned and slanted by `bent`."""
    turn, slant = bent
    across, down = reach * np.exp(random.uniform(-hand.stretch, hand.stretch, 2))
    cos, sin = np.cos(turn), np.sin(turn)
    bend = np.array([[across, 0], [slant * down, down]]) @ [[cos, sin], [-sin, cos]]
    points = np.concatenate(strokes) @ bend
    if random.random() < hand.trembling:
        points = add_tremor(points, random.uniform(*hand.tremble), random)
    points += (SIDE - 1) / 2 - (points.min(0) + points.max(0)) / 2
    ends = np.cumsum([len(one) for one in strokes])[:-1]
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    draw_strokes(canvas, tuple(np.split(points, ends)), int(random.choice(PENS)))
    return canvas


@cache
def _grid() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    return x, y


def other_pen(canvas: GreyImage, random: Random) -> GreyImage:
    """Make strokes thinner or bolder: from a hairline pen to a marker."""
    pen = random.random()
    if pen < 0.5:
        wide = NIBS[int(6 * random.random())]
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide))
        if pen < 0.28:
            return np.asarray(cv2.dilate(canvas, kernel), np.uint8)
        thin = np.asarray(cv2.erode(canvas, kernel[:3, :3]), np.uint8)
        if int(thin.max()) > 128:
            return thin
    return canvas


def _broken(canvas: GreyImage, random: Random) -> GreyImage:
    """Press strokes unevenly, down to gaps, as a dry pen or a hard pencil does."""
    field = random.uniform(0.2, 1.7, (9, 9)).astype(np.float32)
    pressed = cv2.resize(field, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(canvas * np.clip(pressed, 0, 1), 0, 255), np.uint8)


def _reaching_in(other: GreyImage, random: Random) -> GreyImage:
    """Move a neighbour so that it reaches in at one side, seldom from above or below."""
    side = random.random()
    step = int(random.uniform(0.5, 0.8) * SIDE)
    across, down = (step if side < 0.45 else -step), int(random.normal(0, 5))
    if side > 0.85:
        across, down = down, (step if side > 0.93 else -step)
    matrix = np.array([[1, 0, across], [0, 1, down]], np.float32)
    return np.asarray(cv2.warpAffine(other, matrix, (SIDE, SIDE)), np.uint8)


def _boxed(canvas: GreyImage, random: Random) -> GreyImage:
    """Draw box lines, or pieces of them, near the canvas's sides."""
    light, thick = int(random.uniform(90, 256)), int(random.integers(1, 4))
    near = random.integers(0, 12, 4)
    tilt = random.normal(0, 1.2, 4)
    lean = SIDE - 1
    ends = (
        ((0, near[0]), (lean, near[0] + tilt[0])),
        ((0, lean - near[1]), (lean, lean - near[1] + tilt[1])),
        ((near[2], 0), (near[2] + tilt[2], lean)),
        ((lean - near[3], 0), (lean - near[3] + tilt[3], lean)),
    )
    out = canvas.copy()
    chosen = random.random(4) < (0.3, 0.5, 1.0)[int(3 * random.random())]
    for (start, end), wanted in zip(ends, chosen, strict=True):
        if wanted:
            from_, to = (np.rint(point).astype(int).tolist() for point in (start, end))
            cv2.line(out, from_, to, light, thick, cv2.LINE_AA)
    return np.maximum(canvas, out)


def scanned(canvas: GreyImage, random: Random) -> GreyImage:
    """Scan a canvas (64, 64): coarser, soft, one-bit, faint and grainy, as JPEG; each by chance."""
    out = canvas
    if random.random() < 0.35:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), random.uniform(0.5, 1.8)), np.uint8)
    if random.random() < 0.5:
        side = int(random.integers(22, 56))
        out = np.asarray(cv2.resize(out, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    way = random.random()
    if way < 0.2:
        limit = random.uniform(50, 170)
        out = np.where(out > limit, 255, 0).astype(np.uint8)
    elif way < 0.35:
        out = _papered(out, random)
    return out


def _papered(canvas: GreyImage, random: Random) -> GreyImage:
    """Lay ink on uneven, grainy paper, and compress it as JPEG at times."""
    contrast = random.uniform(0.35, 0.95)
    corners = random.uniform(0, 255 * (1 - contrast), (2, 2)).astype(np.float32)
    light = cv2.resize(corners, canvas.shape[::-1], interpolation=cv2.INTER_LINEAR)
    grain = random.normal(0, random.uniform(0, 9), canvas.shape)
    out = np.clip(canvas * contrast + light + grain, 0, 255).astype(np.uint8)
    if random.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 90))]
        out = cv2.imdecode(cv2.imencode(".jpg", out, quality)[1], cv2.IMREAD_GRAYSCALE)
    return np.asarray(out, np.uint8)
