"""Pages of forms as people fill them in, and as scanners and telephones take them, with truth.

For `jobs/bench`, `jobs/samples` and tests: the same seed gives the same page. What a millimetre on
the paper becomes in the picture is known, whatever was done to the page.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
import pypdfium2
from numpy.typing import NDArray

from batchdigits.postprocess import rules
from batchdigits.records import GreyImage
from batchdigits.templates import paper
from batchdigits.templates.field import Field
from batchdigits.templates.template import Template

Matrix = NDArray[np.float64]
"""(3, 3), mm on paper, 1 → px."""
Digits = Mapping[int, NDArray[np.uint8]]
"""Label → pictures (N, 28, 28), ink light."""
INCH = 25.4
"""mm."""


class Ranges(NamedTuple):
    """What may happen to a page, each value drawn evenly from its range, damage by its share.

    Attributes:
        dpi: pixels an inch, drawn evenly on a logarithmic scale.
        skew: degrees, either way.
        turns: how many of the four ways up there are.
        scale: how much larger or smaller than true, as a share.
        border: of scanner bed round the page, mm.
        photograph: share of pages taken by telephone, by perspective.
        tilt: how far a photograph moves each corner, as a share of the page's width.
        corner: share of pages that lack a corner or have one covered.
        leg: how much of either edge a corner that is missing takes, mm.
        one_bit: share of pages scanned in black and white.
        jpeg: share of the others saved as JPEG.
        quality: of JPEG.
        shadow: share of pages with a shadow.
        depth: how much light a shadow takes, at most.
        crease: share of pages with a crease.
        noise: standard deviation, in grey levels.
        blur: standard deviation, mm.
    """

    dpi: tuple[float, float] = (100, 600)
    skew: float = 10
    turns: int = 4
    scale: float = 0.2
    border: tuple[float, float] = (0, 15)
    photograph: float = 0.25
    tilt: float = 0.08
    corner: float = 0.2
    leg: tuple[float, float] = (5, 25)
    one_bit: float = 0.25
    jpeg: float = 0.6
    quality: tuple[int, int] = (30, 95)
    shadow: float = 0.25
    depth: float = 0.5
    crease: float = 0.2
    noise: tuple[float, float] = (0, 10)
    blur: tuple[float, float] = (0, 0.12)


RANGES = Ranges()
"""Issue 4's, set before the reader was tuned."""


def blank(template: Template, dpi: float, *, markers: bool = True, lines: float = 1.0) -> GreyImage:
    """Draw a form as `form print` prints it: uint8, (height, width), to scale.

    Args:
        template: the form's.
        dpi: pixels an inch.
        markers: whether to draw its markers.
        lines: how dark its boxes' lines are, from 0, dropped out by the scanner, to 1, black.
    """
    printed = template
    if not markers:
        bare = template.form.model_copy(update={"anchor": "page", "markers": ()})
        printed = template.model_copy(update={"form": bare})
    document = pypdfium2.PdfDocument(paper.draw_blank_form(printed))
    bitmap = document[0].render(scale=dpi / 72, grayscale=True)
    page = np.array(bitmap.to_numpy()).reshape(bitmap.height, bitmap.width)
    bitmap.close()
    document.close()
    if lines < 1:
        ink = np.zeros_like(page)
        width = int(np.ceil((paper.LINE_WIDTH_MM + 0.2) * dpi / INCH))
        for field in template.fields:
            for x, y, wide, high in field.boxes():
                ends = np.array([x, y, x + wide, y + high]) * dpi / INCH - 0.5
                left, top, right, bottom = np.rint(ends).astype(int).tolist()
                cv2.rectangle(ink, (left, top), (right, bottom), 1, width)
        page = np.where(ink > 0, 255 - (255 - page) * lines, page).astype(np.uint8)
    return page


def flat(dpi: float) -> Matrix:
    """Give the matrix of a page that lies true, whose top left pixel is the paper's corner."""
    fine = dpi / INCH
    return np.array([[fine, 0, -0.5], [0, fine, -0.5], [0, 0, 1]])


def filled(  # noqa: PLR0913 - each is said by its name
    template: Template,
    digits: Digits,
    random: np.random.Generator,
    *,
    page: GreyImage | None = None,
    dpi: float = 300,
    missing: float = 0.3,
) -> tuple[GreyImage, dict[str, str]]:
    """Fill in a form by hand: digits of varied size, place and pressure, some on a box's line.

    Args:
        template: the form's.
        digits: to write with.
        random: draws everything.
        page: to write on, at `dpi`; None for a blank form.
        dpi: pixels an inch.
        missing: share of the optional fields that stay blank.

    Returns:
        The page, and for each field its value; "" for blank.
    """
    grey = (blank(template, dpi) if page is None else page).copy()
    truth = {}
    for field in template.fields:
        stays = field.optional and random.random() < missing
        truth[field.name] = "" if stays else _value(field, random)
        if not stays:
            write_value(grey, field, truth[field.name], digits, random, dpi / INCH)
    return grey, truth


def _value(field: Field, random: np.random.Generator) -> str:
    """Draw a value that the field's own rules allow."""
    count = field.cells or max(1, min(8, int(field.box[2] / field.box[3] / 0.7)))
    for _ in range(20_000):
        value = "".join(map(str, random.integers(0, 10, count)))
        if not rules.describe_broken_rule(field, value):
            return value
    raise ValueError(f"no value of {count} digits was found that field '{field.name}' allows")


def punctuated(digits: str, decimals: int) -> str:
    """Write digits as the table has them, with the separator of an amount."""
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals and digits else digits


def write_value(  # noqa: PLR0913, PLR0917 - what it writes, where, with what
    grey: GreyImage,
    field: Field,
    value: str,
    digits: Digits,
    random: np.random.Generator,
    fine: float,
) -> None:
    """Write a value into a field by hand; `fine` is pixels a millimetre."""
    boxes = field.boxes()
    if field.cells is None:
        x, y, wide, high = field.box
        step = min(wide / len(value), 0.8 * high)
        boxes = [(x + 0.2 * step + n * step, y, step, high) for n in range(len(value))]
    darkness = random.uniform(0.45, 0.95)
    for (x, y, wide, high), digit in zip(boxes, value, strict=False):
        picture = digits[int(digit)][random.integers(len(digits[int(digit)]))]
        tall = min(high, 1.4 * wide) * random.uniform(0.55, 0.9)
        ink = cv2.resize(_trimmed(picture), None, fx=tall * fine / 20, fy=tall * fine / 20)
        ink = np.clip((ink.astype(np.float32) - 40) / 140, 0, 1)
        room = np.array([wide, high]) * fine - ink.shape[::-1]
        share = np.clip(random.normal(0.5, 0.16, 2), -0.05, 1.05)
        left, top = np.rint(np.array([x, y]) * fine + room * share).astype(int).tolist()
        if left < 0 or top < 0:
            continue
        part = grey[top : top + ink.shape[0], left : left + ink.shape[1]]
        part[:] = part * (1 - darkness * ink[: part.shape[0], : part.shape[1]])


def _trimmed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = (np.flatnonzero(picture.max(axis=axis) > 40) for axis in (1, 0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def scanned(
    page: GreyImage, random: np.random.Generator, ranges: Ranges = RANGES, *, dpi: float = 300
) -> tuple[GreyImage, Matrix, dict[str, Any]]:
    """Take a page as a scanner or a telephone might.

    Args:
        page: true to scale, at `dpi`.
        random: draws everything.
        ranges: to draw from.
        dpi: pixels an inch of `page`.

    Returns:
        The picture, uint8 (height, width); mm → px in it; what was done.
    """
    done: dict[str, Any] = {"photograph": bool(random.random() < ranges.photograph)}
    page = _torn(page, random, ranges, done, dpi / INCH)
    warp, size = _laid(page, random, ranges, done, dpi)
    ground = int(random.choice([10, 40, 90, 130] if done["photograph"] else [0, 20, 250, 255]))
    done["ground"] = ground
    small = float(np.sqrt(abs(np.linalg.det(warp[:2, :2]))))
    if small < 0.7:  # as a sensor does: each pixel sees all of its place
        page = cv2.GaussianBlur(page, (0, 0), 0.35 / small)
    grey = cv2.warpPerspective(page, warp, size, flags=cv2.INTER_LINEAR, borderValue=(ground,))
    grey = _worn(grey, random, ranges, done, done["dpi"] / INCH)
    return grey, warp @ flat(dpi), done


def _torn(
    page: GreyImage, random: np.random.Generator, ranges: Ranges, done: dict[str, Any], fine: float
) -> GreyImage:
    """Take a corner away, or cover it."""
    done["corner"] = ""
    if random.random() >= ranges.corner:
        return page
    high, wide = page.shape
    across, down = random.uniform(*ranges.leg, 2) * fine
    at = np.array([[0, 0], [wide, 0], [wide, high], [0, high]])[random.integers(4)]
    inward = np.where(at > 0, -1, 1)
    points = np.array([at, at + inward * [across, 0], at + inward * [0, down]])
    done["corner"] = str(random.choice(["missing", "covered"]))
    colour = 128 if done["corner"] == "missing" else int(random.choice([60, 200, 255]))
    return np.asarray(cv2.fillConvexPoly(page.copy(), points.astype(np.int32), colour))


def _laid(
    page: GreyImage, random: np.random.Generator, ranges: Ranges, done: dict[str, Any], dpi: float
) -> tuple[Matrix, tuple[int, int]]:
    """Draw how the page lies: page px → picture px, and the picture's (width, height)."""
    low, high = np.log(ranges.dpi)
    fine = float(np.exp(random.uniform(low, high)))
    scale = float(random.uniform(1 - ranges.scale, 1 + ranges.scale))
    turn = int(random.integers(ranges.turns)) * 90
    skew = float(random.uniform(-ranges.skew, ranges.skew))
    done |= {"dpi": fine * scale, "scale": scale, "turn": turn, "skew": skew}
    angle = np.radians(turn + skew)
    stretch = fine * scale / dpi * np.diag(random.uniform(0.995, 1.005, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    tall, wide = page.shape
    edges = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]], np.float64) - 0.5
    ends = edges @ (np.array([[cos, -sin], [sin, cos]]) @ stretch).T
    if done["photograph"]:
        most = ranges.tilt * wide * fine * scale / dpi
        ends += random.uniform(-most, most, (4, 2))
    border = random.uniform(*ranges.border, 4) * fine * scale / INCH
    ends += border[:2] - ends.min(axis=0)
    size = np.ceil(ends.max(axis=0) + border[2:]).astype(int)
    warp = cv2.getPerspectiveTransform(edges.astype(np.float32), ends.astype(np.float32))
    return np.asarray(warp, np.float64), (int(size[0]), int(size[1]))


def _worn(
    grey: GreyImage, random: np.random.Generator, ranges: Ranges, done: dict[str, Any], fine: float
) -> GreyImage:
    """Crease, shade, blur, grain, and what a file format does."""
    high, wide = grey.shape
    done |= {"shadow": bool(random.random() < ranges.shadow)}
    done |= {"crease": bool(random.random() < ranges.crease)}
    if done["crease"]:
        ends = random.uniform(0, 1, (2, 2)) * [wide, high]
        ends[0, 0], ends[1, 0] = 0, wide
        shade = int(random.choice([100, 170, 255]))
        start, end = (tuple(map(int, one)) for one in ends)
        cv2.line(grey, start, end, (shade,), max(1, int(random.uniform(0.1, 0.5) * fine)))
    if done["shadow"]:
        centre = random.uniform(0, 1, 2)
        rows, columns = np.mgrid[0:1:48j, 0:1:48j]
        far = np.hypot(rows - centre[0], columns - centre[1])
        light = 1 - random.uniform(0.1, ranges.depth) / (1 + np.exp((far - 0.4) / 0.06))
        wider = cv2.resize(light.astype(np.float32), (wide, high))
        grey = cv2.multiply(grey, wider, dtype=cv2.CV_8U)
    done["blur"] = float(random.uniform(*ranges.blur))
    if done["blur"] * fine > 0.3:
        grey = cv2.GaussianBlur(grey, (0, 0), done["blur"] * fine)
    done["noise"] = float(random.uniform(*ranges.noise))
    grain = random.normal(0, done["noise"], (256, 256)).astype(np.int16)
    many = np.tile(grain, (high // 256 + 1, wide // 256 + 1))[:high, :wide]
    grey = cv2.add(grey, many, dtype=cv2.CV_8U)
    done["one_bit"] = not done["photograph"] and bool(random.random() < ranges.one_bit)
    done["jpeg"] = 0
    if done["one_bit"]:
        least = random.uniform(0.5, 0.75) * np.quantile(grey[::8, ::8], 0.9)
        grey = np.where(grey > least, 255, 0).astype(np.uint8)
    elif random.random() < ranges.jpeg:
        done["jpeg"] = int(random.integers(*ranges.quality))
        packed = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, done["jpeg"]])[1]
        grey = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)
    return np.asarray(grey, np.uint8)
