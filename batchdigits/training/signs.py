"""What stands beside digits: points, flourishes, lines that strike a number out."""

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.training.lines import HIGH, cut, laid_out, lay, sized
from batchdigits.training.pen import Random


def point(sign: str, pen: int, random: Random) -> GreyImage:
    """Draw a point, a comma or an apostrophe."""
    ink = np.zeros((40, 40), np.uint8)
    if sign == ".":
        axes = tuple(max(1, round(pen * random.uniform(0.5, most))) for most in (1.1, 1.0))
        cv2.ellipse(ink, (20, 20), axes, random.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    else:
        long = random.uniform(6, 15)
        half = np.array([random.uniform(-0.1, 0.4) * long, -long / 2])
        _through(ink, np.array([20 + half, 20 - half]), pen)
    return cut(ink)


def flourish(sign: str, pen: int, random: Random) -> GreyImage:
    """Draw what stands before and after amounts: one of - ~ = $ # * % /."""
    ink = np.zeros((64, 110), np.uint8)
    strokes: list[list[tuple[float, float]]] = []
    long = random.uniform(8, 64)
    if sign in "-=":
        tilt = random.normal(0, 0.12) * long
        apart = random.uniform(7, 14)
        levels = [28 + apart * row for row in range(len(sign) + (sign == "="))]
        strokes += [[(20, y), (20 + long / 2, y), (20 + long, y - tilt)] for y in levels]
    elif sign == "~":
        wave = random.uniform(2, 5)
        strokes.append([(20 + long * n / 7, 30 + wave * np.sin(n * 0.9)) for n in range(8)])
    elif sign == "/":
        strokes.append([(60, 8), (48, 32), (38, 56)])
    elif sign == "%":
        rings = [(34, 20), (58, 46)]
        around = np.linspace(0, 2 * np.pi, 9)
        strokes += [
            [(x + 7 * np.cos(at), y + 8 * np.sin(at)) for at in around.tolist()] for x, y in rings
        ]
        strokes.append([(62, 10), (46, 34), (32, 56)])
    elif sign == "$":
        strokes.append([(58, 22), (44, 18), (38, 26), (50, 32), (56, 40), (46, 48), (34, 44)])
        strokes.append([(50, 8), (46, 32), (42, 58)])
    else:
        for way in (-8, 8):
            strokes.append([(40 + way, 10), (38 + way, 31), (36 + way, 52)])
            strokes.append([(24, 31 + way), (40, 30 + way), (56, 28 + way)])
    for stroke in strokes:
        points = np.array(stroke)
        _through(ink, points + random.normal(0, 1.2, points.shape), pen)
    if sign == "*":
        ink = np.asarray(cv2.warpAffine(ink, np.array([[0.5, 0, 20], [0.25, 0.5, 5]]), (110, 64)))
    return cut(ink)


def _through(ink: GreyImage, points: NDArray[np.float64], pen: int) -> None:
    """Draw a line through points (N, 2), x before y, px."""
    fixed = np.rint(points * 8).astype(np.int32)
    cv2.polylines(ink, [fixed], False, 255, pen, cv2.LINE_AA, 3)


def struck(ink: GreyImage, random: Random) -> GreyImage:
    """Strike a string out: by lines through all of it, a cross, or a scribble."""
    out = np.pad(ink, ((6, 6), (10, 10)))
    height, width = out.shape
    pen = int(random.integers(2, 6))
    kind = random.random()
    if kind < 0.6:
        for _ in range(int(random.integers(1, 4))):
            ends = (random.uniform(0, 9), width - random.uniform(1, 9))
            _through(out, np.column_stack([ends, random.uniform(0.3, 0.7, 2) * height]), pen)
    elif kind < 0.8:
        for low in ((height - 3, 2), (2, height - 3))[: int(random.integers(1, 3))]:
            _through(out, np.column_stack([(4, width - 5), low]), pen)
    else:
        many = max(4, int(width / HIGH * random.uniform(3, 7)))
        x = np.linspace(4, width - 5, many) + random.normal(0, 2, many)
        y = np.where(np.arange(many) % 2, 0.15, 0.85) * height + random.normal(0, 4, many)
        _through(out, np.column_stack([x, y]), pen)
    return out


def underlined(ink: GreyImage, random: Random) -> GreyImage:
    """Draw a stroke, or two, under a string, or under a part of it."""
    below = int(HIGH * random.uniform(0.05, 0.35))
    out = np.pad(ink, ((0, below + 12), (8, 8)))
    pen = int(random.integers(2, 6))
    start, end = np.sort(random.uniform(0, out.shape[1], 2))
    if end - start < 0.3 * out.shape[1]:
        start, end = 4, out.shape[1] - 5
    tilt = random.normal(0, 3)
    for row in range(1 + int(random.random() < 0.15)):
        y = ink.shape[0] + below / 2 + 6 * row
        bend = y + random.normal(0, 1)
        points = np.array([[start, y], [(start + end) / 2, bend], [end, y + tilt]])
        _through(out, points, pen)
    return cut(out)


def crossed_beside(pen: int, random: Random) -> GreyImage:
    """Draw a cross, or a plus, as a clerk ticks off an entry."""
    ink = np.zeros((80, 80), np.uint8)
    turn = random.choice((0.0, 0.78)) + random.normal(0, 0.25)
    pen = max(1, pen + int(random.integers(-2, 1)))
    for angle in (turn, turn + np.pi / 2 + random.normal(0, 0.3)):
        way = np.array([np.cos(angle), np.sin(angle)]) * random.uniform(7, 24)
        middle = 40 + random.normal(0, 2, 2)
        bend = middle + random.normal(0, 1.5, 2)
        _through(ink, np.array([middle - way, bend, middle + way]), pen)
    if random.random() < 0.3:  # fainter than the number
        ink = np.asarray(ink * random.uniform(0.4, 0.8), np.uint8)
    return cut(ink)


def add_cross(crop: GreyImage, random: Random) -> GreyImage:
    """Draw a cross beside a scanned string: dark ink on light paper, both uint8 (height, width)."""
    height = crop.shape[0]
    cross = crossed_beside(int(random.integers(2, 6)), random)
    cross = sized(cross, height * random.uniform(0.25, 0.65), height)
    paper, dark = np.percentile(crop, (85, 2))
    apart = int(height * random.uniform(-0.15, 0.3))
    extra = max(0, apart + cross.shape[1] + int(height * random.uniform(0, 0.2)))
    out = cv2.copyMakeBorder(crop, 0, 0, 0, extra, cv2.BORDER_CONSTANT, value=float(paper))
    left = max(0, crop.shape[1] + apart)
    top = int(random.uniform(0.2, 1.0) * (height - cross.shape[0]))
    place = out[top : top + cross.shape[0], left : left + cross.shape[1]]
    shade = cross[: place.shape[0], : place.shape[1]] / 255 * random.uniform(0.5, 1.0)
    place[:] = np.minimum(place, paper - shade * (paper - dark))
    return np.asarray(out, np.uint8)


def strike_out(crop: GreyImage, random: Random) -> GreyImage:
    """Strike a scanned string out: dark ink on light paper, both uint8 (height, width)."""
    height, width = crop.shape
    strokes = np.zeros((height, width), np.uint8)
    pen = max(1, round(height * random.uniform(0.02, 0.07)))
    for _ in range(int(random.integers(1, 3))):
        ends = np.sort(random.uniform(0, 1, 2)) * width
        if ends[1] - ends[0] < 0.6 * width:
            ends = np.array([0.05, 0.95]) * width
        levels = height * (0.5 + random.normal(0, 0.08, 3))
        points = np.column_stack([(ends[0], ends.mean(), ends[1]), levels])
        _through(strokes, points, pen)
    paper, dark = np.percentile(crop, (85, 2))
    shade = strokes / 255 * random.uniform(0.6, 1.0)
    return np.asarray(np.minimum(crop, paper - shade * (paper - dark)), np.uint8)


def fraction(upper: GreyImage, lower: GreyImage, pen: int, random: Random) -> GreyImage:
    """Write a fraction: two small digits with a stroke between them."""
    high = HIGH * random.uniform(0.4, 0.55)
    first, second = (sized(one, high, high) for one in (upper, lower))
    canvas = np.zeros((90, 90), np.uint8)
    slanted = random.random() < 0.7
    right = 10 + first.shape[1] * (random.uniform(0.7, 1.3) if slanted else 0)
    low = 10 + high + (random.uniform(2, 8) if not slanted else random.uniform(-6, 6))
    lay(canvas, first, 10, 10)
    lay(canvas, second, int(right), int(low))
    middle = np.array([10 + first.shape[1], (10 + high + low) / 2])
    way = np.array([10, -14]) if slanted else np.array([12, random.normal(0, 2)])
    if not slanted:
        middle = np.array([10 + max(first.shape[1], second.shape[1]) / 2, middle[1]])
    _through(canvas, np.array([middle - way, middle + way]), pen)
    return cut(canvas)


def stacked(upper: GreyImage, lower: GreyImage, random: Random) -> GreyImage:
    """Write one string above another."""
    above = sized(upper, max(12, upper.shape[0] * random.uniform(0.6, 1.0)), 2000)
    y = above.shape[0] + HIGH * random.uniform(-0.15, 0.4)
    moved = random.uniform(-0.3, 0.3) * above.shape[1]
    return laid_out([(above, moved, 0.0), (lower, 0.0, y)])
