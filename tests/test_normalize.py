"""A crop becomes the picture that MNIST would have of its digit, or no picture."""

from collections.abc import Callable
from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batchdigits.normalize import SIDES, normalize, strips
from batchdigits.options import Invert
from batchdigits.records import GreyImage

Digit = list[NDArray[np.floating] | list[tuple[float, float]]]
Size = tuple[int, int]
INK, PAPER, LINE = 40, 225, 60
FINE = 4  # digits are drawn this many times larger, then averaged: soft edges as from a scanner
ALIKE = 0.055  # two pictures nearer than this show the same; 3 and 8, most alike, are 0.064 apart
SAME = 0.01  # half a pixel in scale would make 0.04


def arc(x: float, y: float, rx: float, ry: float, start: int, end: int) -> NDArray[np.floating]:
    angle = np.radians(np.linspace(start, end, 25))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


DIGITS: list[Digit] = [  # strokes of (x, y), 1 high and about 0.65 wide
    [arc(0.32, 0.5, 0.32, 0.5, 0, 360)],
    [[(0.05, 0.22), (0.25, 0), (0.25, 1)]],
    [np.vstack([arc(0.32, 0.28, 0.3, 0.28, 180, 390), [(0.02, 1), (0.64, 1)]])],
    [arc(0.28, 0.25, 0.3, 0.25, 200, 450), arc(0.28, 0.74, 0.34, 0.26, 270, 520)],
    [[(0.45, 1), (0.45, 0), (0, 0.68), (0.65, 0.68)]],
    [[(0.6, 0), (0.1, 0), (0.06, 0.45)], arc(0.27, 0.68, 0.35, 0.32, 230, 500)],
    [np.vstack([[(0.5, 0), (0.15, 0.4)], arc(0.32, 0.7, 0.3, 0.3, 200, 560)])],
    [[(0, 0), (0.62, 0), (0.2, 1)]],
    [arc(0.32, 0.24, 0.26, 0.24, 0, 360), arc(0.32, 0.74, 0.32, 0.26, 0, 360)],
    [np.vstack([arc(0.32, 0.3, 0.3, 0.3, 0, 360), [(0.62, 0.3), (0.5, 1)]])],
]
LOOSE_FIVE: Digit = [[(0.2, 0), (0.6, 0)], [(0.06, 0.12), (0.06, 0.45)], DIGITS[5][1]]


def draw(
    digit: Digit, size: Size, high: float = 0.7, pen: float = 0.12, *,
    off: tuple[float, float] = (0, 0), ink: int = INK, paper: int = PAPER,
) -> GreyImage:  # fmt: skip
    """Draw in a crop, `high` and `off` its middle (x, y) as shares of it, `pen` of the digit."""
    tall = high * size[0] * FINE
    thick = max(1, round(pen * tall))
    every = np.vstack(digit)
    start = (np.array(off) + 0.5) * size[::-1] * FINE - 0.5
    inked = np.zeros((size[0] * FINE, size[1] * FINE), np.uint8)
    for stroke in digit:
        path = (np.asarray(stroke) - (every.min(0) + every.max(0)) / 2) * (tall - thick) + start
        cv2.polylines(inked, [np.rint(path * 16).astype(int)], False, 255, thick, cv2.LINE_AA, 4)
    share = cv2.resize(inked, size[::-1], interpolation=cv2.INTER_AREA) / 255
    return np.asarray(np.rint(paper + (ink - paper) * share), np.uint8)


def ten(size: Size, high: float = 0.7, pen: float = 0.12, ink: int = INK) -> list[GreyImage]:
    return [draw(digit, size, high, pen, ink=ink) for digit in DIGITS]


def mnist(digit: Digit, pen: float = 0.12) -> GreyImage:
    """Draw as the makers of MNIST say, straight from the strokes."""
    drawn = draw(digit, (140, 140), 0.9, pen, ink=255, paper=0)
    left, top, width, height = cv2.boundingRect(drawn)
    wide, tall = (max(1, round(side * 20 / max(width, height))) for side in (width, height))
    box = drawn[top : top + height, left : left + width]
    small = cv2.resize(box, (wide, tall), interpolation=cv2.INTER_AREA)
    picture = np.zeros((28, 28), np.uint8)
    picture[:tall, :wide] = np.rint(small * (255 / small.max()))
    y, x = np.minimum(np.ceil(13.5 - centre(picture)), [28 - tall, 28 - wide]).astype(int)
    return np.roll(picture, (y, x), (0, 1))


def centre(picture: GreyImage) -> NDArray[np.floating]:
    profiles = [picture.sum(axis, dtype=int) for axis in (1, 0)]
    return np.asarray(profiles @ np.arange(28) / picture.sum())


def seen(crops: list[GreyImage], invert: Invert = "auto") -> GreyImage:
    return np.rint(normalize(crops, invert=invert).pictures[..., 0] * 255).astype(np.uint8)


def apart(one: GreyImage, other: GreyImage) -> float:
    """Mean difference in [0, 1]; a step of a pixel, which rounding may add, does not count."""
    steps = product((-1, 0, 1), repeat=2)
    gaps = [np.abs(np.roll(one, step, (0, 1)) / 255 - other / 255).mean() for step in steps]
    return float(min(gaps))


def blank(size: Size = (64, 48), level: int = PAPER) -> GreyImage:
    return np.full(size, level, np.uint8)


def noisy(crop: GreyImage, spread: float, grain: float = 0, seed: int = 0) -> GreyImage:
    noise = np.random.default_rng(seed).normal(0, 1, crop.shape)
    noise = cv2.GaussianBlur(noise, (0, 0), grain) if grain else noise
    noise *= spread / (noise.std() or 1)
    return np.asarray(np.rint(crop + noise).clip(0, 255), np.uint8)


def jpeg(crop: GreyImage) -> GreyImage:
    data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def shaded(crop: GreyImage, least: float, kind: str) -> GreyImage:
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in crop.shape), indexing="ij")
    light = {"left": (1 + x) / 2, "top": (1 + y) / 2, "round": 1 - (x * x + y * y) / 2}[kind]
    return np.rint(crop * (least + (1 - least) * light)).astype(np.uint8)


def ruled(crop: GreyImage, *, rows: slice = slice(0), columns: slice = slice(0)) -> GreyImage:
    out = crop.copy()
    out[rows] = out[:, columns] = LINE
    return out


def framed(crop: GreyImage, inset: int, thick: int, corner: int | None = None) -> GreyImage:
    """Draw a box this far in from the crop's sides, or no more of it than its corners."""
    out, inner = crop.copy(), slice(inset + thick, -inset - thick)
    out[inset : -inset or None, inset : -inset or None] = LINE
    out[inner, inner] = crop[inner, inner]
    if corner:
        out[corner:-corner], out[:, corner:-corner] = crop[corner:-corner], crop[:, corner:-corner]
    return out


def stroked(crop: GreyImage, *ends: tuple[float, float]) -> GreyImage:
    start, end = (np.rint(np.array(at) * crop.shape[::-1]).astype(int).tolist() for at in ends)
    return np.asarray(cv2.line(crop.copy(), start, end, LINE, 4, cv2.LINE_AA), np.uint8)


SIZES = [(16, 16), (20, 16), (28, 28), (40, 33), (64, 48), (60, 90), (96, 96), (200, 150)]
FAR = [(1, 1), (1, 2), (2, 2), (1, 40), (40, 1), (3, 20_000), (20_000, 3), (1000, 1000)]
WRONG = [np.zeros((9, 9)), *(np.zeros(of, "u1") for of in ((9, 9, 1), (9,), (0, 9), (9, 0)))]
POOL = [*ten((28, 28)), *ten((40, 33))[:4], *ten((130, 90))[:2], noisy(blank(), 30), blank((1, 1))]
POOL += [*(255 - crop for crop in ten((64, 48))), framed(blank(), 0, 1), noisy(blank((28, 28)), 2)]


def named(names: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", names)


@pytest.mark.parametrize("digit", range(10))
def test_a_window_is_looked_into_without_its_frame(digit: int) -> None:
    """As of a meter's dial: bars above and below, light at the sides, the digit light on grey."""
    window = draw(DIGITS[digit], (40, 28), 0.6, ink=235, paper=150)
    framed = window.copy()
    framed[:4] = framed[-4:] = 30
    framed[:, :2] = framed[:, -2:] = 250
    plain, seen = normalize([window]), normalize([framed])
    assert not seen.unclear[0]
    assert np.abs(seen.pictures - plain.pictures).mean() < ALIKE
    assert seen.extent[0] == pytest.approx(plain.extent[0], abs=0.05)


@pytest.mark.parametrize("crops", [[], POOL, [noisy(blank(size), 90) for size in FAR]])
def test_what_comes_back(crops: list[GreyImage]) -> None:
    found, count = normalize(crops), len(crops)
    assert [part.shape for part in found] == [(count, 28, 28, 1), (count, 2), (count,), (count, 3)]
    assert [part.dtype for part in found] == [np.float32, np.float32, bool, np.float32]
    assert np.isin(found.pictures, np.arange(256, dtype=np.float32) / np.float32(255)).all()
    assert ((found.extent >= 0) & (found.extent <= 1)).all()
    assert (found.pictures.max((1, 2, 3), initial=0) == found.extent.any(1)).all()


@pytest.mark.parametrize("wrong", WRONG)
def test_not_a_crop(wrong: GreyImage) -> None:
    with pytest.raises(ValueError, match=r"^crop 1: expected uint8 .* got \w+ of shape \("):
        normalize([POOL[0], wrong])


@given(st.lists(st.sampled_from(range(len(POOL))), max_size=40))
@settings(max_examples=40, deadline=None)
def test_a_crop_does_not_see_the_others(chosen: list[int]) -> None:
    found = normalize([POOL[i] for i in chosen])
    for row, index in enumerate(chosen):
        for part, alone in zip(found, normalize([POOL[index]]), strict=True):
            assert part[row].tobytes() == alone.tobytes()


def test_many_parts_of_a_page_that_nobody_may_write() -> None:
    crops = [noisy(POOL[i % 10], 2, seed=i) for i in range(600)]
    page = np.hstack(crops)
    page.flags.writeable = False
    together = seen([page[:, 28 * i : 28 * i + 28] for i in range(600)])
    for i in (0, 255, 256, 257, 511, 512, 599):
        assert (together[i] == seen([crops[i]])[0]).all()


def test_what_is_in_mnist_geometry_stays_as_it_is() -> None:
    crops = [mnist(digit, pen) for pen in (0.06, 0.1, 0.15, 0.2) for digit in DIGITS]
    assert (seen(crops) == crops).all()


@pytest.mark.parametrize("size", SIZES[2:])
def test_twice_is_as_once_but_for_a_step_of_a_pixel(size: Size) -> None:
    once = seen([crop for pen in (0.06, 0.12, 0.2) for crop in ten(size, 0.7, pen)])
    assert max(map(apart, once, seen(list(once)))) == 0


@pytest.mark.parametrize("size", SIZES)
def test_dark_or_light_ink_is_found_out(size: Size) -> None:
    crops = [crop for how in product((0.5, 0.9), (0.05, 0.15)) for crop in ten(size, *how)]
    crops += [framed(crop, i, 1 + min(size) // 30) for crop in ten(size, 0.55) for i in (0, 1)]
    inverted = [255 - crop for crop in crops]
    dark, light = seen(crops), seen(inverted)
    assert (dark == seen(crops, "yes")).all()
    assert (light == seen(inverted, "no")).all()
    assert (dark != seen(crops, "no")).any((1, 2)).all()
    if np.isin(size, SIDES).all():  # else a crop is resized first, which may round the other way
        assert (dark == light).all()


@given(st.integers(0, 9), st.integers(50, 300), *(st.floats(0, 1) for _ in range(5)))
@settings(max_examples=80, deadline=None)
def test_size_and_place_do_not_matter(
    digit: int, height: int, aspect: float, high: float, pen: float, y: float, x: float
) -> None:
    size, high, pen = (height, round(height * (0.8 + aspect))), 0.6 + high / 4, 0.08 + pen / 10
    crop = draw(DIGITS[digit], size, high, pen, off=(x / 8 - 1 / 16, y / 8 - 1 / 16))
    (picture,) = seen([crop])
    gaps = [apart(picture, mnist(other, pen)) for other in DIGITS]
    assert np.argmin(gaps) == digit
    assert gaps[digit] < ALIKE or high * height < 60
    ends = [(side.min(), side.max()) for side in np.nonzero(picture)]
    assert max(last - first for first, last in ends) == 19
    for mass, (first, last) in zip(centre(picture), ends, strict=True):
        assert 13.45 < mass < 14.55 or first == 0 or last == 27  # scaling rounds grey levels
    off = normalize([crop]).extent * size - cv2.boundingRect(np.uint8(crop < PAPER - 20))[:1:-1]
    assert (np.abs(off) * min(1, 96 / max(size)) <= 4).all()  # px as worked on: soft edges count


TROUBLES: dict[
    str, tuple[float, Callable[[GreyImage], GreyImage]]
] = {  # how far apart it may set pictures
    "noise of the camera": (ALIKE, lambda crop: noisy(crop, 10)),
    "grain of the paper": (ALIKE, lambda crop: noisy(crop, 6, 1.5)),
    "JPEG": (ALIKE, jpeg),
    "a shadow from the side": (ALIKE, lambda crop: shaded(crop, 0.7, "left")),
    "a shadow from above": (ALIKE, lambda crop: shaded(crop, 0.8, "top")),
    "dark corners": (ALIKE, lambda crop: shaded(crop, 0.6, "round")),
    "one bit": (ALIKE, lambda crop: np.where(crop > 130, 255, 0).astype(np.uint8)),
    "dust": (ALIKE, lambda crop: np.where(noisy(blank(), 10) > 248, 0, crop).astype(np.uint8)),
    "a line to write on": (SAME, lambda crop: ruled(crop, rows=slice(59, 61))),
    "a line close by": (SAME, lambda crop: ruled(crop, rows=slice(6, 9))),
    "the dark beside a page": (SAME, lambda crop: ruled(crop, columns=slice(0, 7))),
    "the whole box": (SAME, lambda crop: framed(crop, 0, 2)),
    "the whole box, bold": (SAME, lambda crop: framed(crop, 0, 4)),
    "the whole box, some way in": (SAME, lambda crop: framed(crop, 2, 2)),
    "the box's corners": (SAME, lambda crop: framed(crop, 0, 2, 12)),
    "a box on the slant": (SAME, lambda crop: stroked(crop, (0, 0.03), (1, 0.06))),
    "a neighbour left": (SAME, lambda crop: stroked(crop, (0, 0.3), (0.03, 0.7))),
    "a full stop close by": (SAME, lambda crop: stroked(crop, (0.86, 0.8), (0.87, 0.8))),
    "a full stop": (SAME, lambda crop: stroked(crop, (0.92, 0.83), (0.93, 0.83))),
}


@named([*TROUBLES])
def test_what_is_not_the_digit_goes(name: str) -> None:
    most, trouble = TROUBLES[name]
    clean = ten((64, 48), 0.65)
    assert max(map(apart, seen([trouble(crop) for crop in clean]), seen(clean))) < most


STAYS: dict[str, tuple[Digit, int]] = {
    "a 7's bar, from side to side": (DIGITS[7], 44),
    "a 5's bar, though it hangs on nothing": (LOOSE_FIVE, 48),
    "a bare stroke that does so": ([[(0, 0), (0, 1)]], 12),
    "a stroke from corner to corner": ([[(0, 1), (0.3, 0)]], 24),
}


@named([*STAYS])
def test_what_is_the_digit_stays(name: str) -> None:
    digit, width = STAYS[name]
    assert apart(seen([draw(digit, (64, width), 0.92)])[0], mnist(digit)) < ALIKE


def square(*, bar: bool = False) -> GreyImage:
    out = blank((28, 20))
    cv2.rectangle(out, (3, 2), (15, 25), LINE, 2)
    return np.asarray(cv2.line(out, (3, 14), (15, 14), LINE, 2) if bar else out)


def shadow(at: float, soft: float, size: Size = (64, 48)) -> GreyImage:
    across = np.linspace(0, 1, size[1]) + np.linspace(-0.2, 0.2, size[0])[:, None]
    return np.rint(PAPER - 80 / (1 + np.exp((across - at) / (soft / 4)))).astype(np.uint8)


def rests(*pieces: tuple[slice, slice]) -> GreyImage:
    """Draw what a one-bit scan leaves of a cell's frame: light on dark, 2 px from the sides."""
    out = np.zeros((28, 28), np.uint8)
    for piece in pieces:
        out[piece] = 255
    return out


def from_behind(digit: Digit, levels: int) -> GreyImage:
    """Draw a digit that shows through from the back of the sheet."""
    ink = cv2.GaussianBlur(draw(digit, (64, 48), ink=255, paper=0), (0, 0), 2.5)[:, ::-1]
    return np.rint(PAPER - ink * (levels / 255)).astype(np.uint8)


SPECKS = rests(np.s_[2:4, 2:5], np.s_[24:26, 2], np.s_[25, 22:26])
PIECES = rests(np.s_[2, 2:9], np.s_[2, 13:26], np.s_[2:20, 2], np.s_[24:26, 25])
GRAINS = list(product((1, 2, 4), (0, 0.7, 1.5, 4)))
NOTHING, UNCLEAR, SMALL, DIGIT = (0, 0, False), (0, 0, True), (0.01, 0.2, False), (0.6, 0.95, False)
FINDS: dict[
    str, tuple[tuple[float, float, bool], list[GreyImage]]
] = {  # the extent's limits; unclear
    "even": (NOTHING, [blank(size, level) for size in FAR for level in (0, 1, 127, 254, 255)]),
    "noise": (NOTHING, [noisy(blank(size), *how) for size in SIZES for how in GRAINS]),
    "noise, JPEG": (NOTHING, [jpeg(noisy(blank(size), 2, 0.7)) for size in SIZES]),
    "shadows": (NOTHING, [shaded(blank(), 0.5, kind) for kind in ("left", "top")]),
    "dark corners": (NOTHING, [shaded(blank(), 0.9, "round")]),
    "a line to write on": (NOTHING, [ruled(blank(), rows=slice(58, 60))]),
    "an empty box": (NOTHING, [framed(blank(), 0, 2), framed(blank((28, 28)), 0, 1)]),
    "a bold empty box": (NOTHING, [framed(blank(), 0, 4)]),
    "an empty box, further in": (NOTHING, [framed(blank(), 4, 2)]),
    "a box, and light from one side": (NOTHING, [shaded(framed(blank(), 0, 2), 0.8, "left")]),
    "a thick frame, narrow within": (NOTHING, [framed(blank((36, 24)), 0, t) for t in (3, 4)]),
    "a frame, JPEG": (NOTHING, [jpeg(framed(blank(size), 1, 2)) for size in SIZES[3:7]]),
    "a thick line": (NOTHING, [ruled(blank((30, 30)), rows=slice(23, 26))]),
    "a lit middle": (NOTHING, [shaded(blank(size), 0.75, "round") for size in SIZES[3:7]]),
    "specks in the corners": (NOTHING, [SPECKS, 255 - SPECKS]),
    "pieces of a frame's lines": (NOTHING, [PIECES, 255 - PIECES]),
    "a 1 beside the middle": ((0.4, 0.8, False), [rests(np.s_[y:-y, 4:6]) for y in (4, 6, 8)]),
    "what shows through": (NOTHING, [from_behind(digit, 6) for digit in DIGITS]),
    "a soft shadow": (NOTHING, [shadow(0.3, 0.4), shadow(0.3, 0.8), shadow(0.5, 0.8)]),
    "a square 0 and a square 8": (DIGIT, [square(), square(bar=True)]),
    "a busy ground": (UNCLEAR, [noisy(blank(level=128), 30), noisy(blank(level=128), 40, 2)]),
    "a neighbour's stroke alone": (UNCLEAR, [stroked(blank(), (0, 0.3), (0.03, 0.7))]),
    "the box's corners alone": (UNCLEAR, [framed(blank(), 0, 2, 12)]),
    "a dot": (SMALL, [draw([[(0, 0), (0, 0.01)]], size, 0.06, 1) for size in SIZES[2:]]),
    "faint pencil": (DIGIT, [noisy(one, 2) for size in SIZES[2:] for one in ten(size, ink=205)]),
    "bold digits, tight": (DIGIT, ten((200, 150), 0.9, 0.2)),
}


@named([*FINDS])
def test_what_is_on_the_paper(name: str) -> None:
    (least, most, unclear), crops = FINDS[name]
    found = normalize(crops)
    assert (found.unclear == unclear).all()
    assert ((least <= found.extent.max(1)) & (found.extent.max(1) <= most)).all()


FAINT = {
    "8 levels": [crop for size in SIZES[3:] for crop in ten(size, ink=PAPER - 8)],
    "12 levels in noise": [noisy(crop, 2) for crop in ten((64, 48), ink=PAPER - 12)],
    "12 levels in a frame": [framed(crop, 0, 2) for crop in ten((64, 48), ink=PAPER - 12)],
    "12 levels, light to one side": [shaded(c, 0.6, "left") for c in ten((60, 90), ink=PAPER - 12)],
    "10 levels, fine, in noise": [noisy(c, 2) for c in ten((96, 96), pen=0.05, ink=PAPER - 10)],
    "24 levels, small, in noise": [noisy(c, 5) for c in ten((32, 28), ink=PAPER - 24)],
    "8 levels, bold, in noise": [noisy(c, 1) for c in ten((48, 40), pen=0.22, ink=PAPER - 8)],
    "9 levels, bold, light to one side": [
        shaded(c, 0.8, "top") for c in ten((64, 48), pen=0.22, ink=PAPER - 9)
    ],
    "10 levels, beside specks": [
        np.minimum(c, 255 - cv2.resize(SPECKS, (40, 40))) for c in ten((40, 40), ink=PAPER - 10)
    ],
    "12 levels beside a shadow": [
        np.minimum(crop, shadow(0.1, 0.3)) for crop in ten((64, 48), ink=PAPER - 12)
    ],
    "a bare stroke, cut tight": [draw([[(0, 0), (0, 1)]], (64, 8), 0.98)],
}


@named([*FAINT])
def test_ink_is_never_called_no_ink(name: str) -> None:
    found = normalize(FAINT[name])
    assert (found.unclear | (found.extent.max(1) > 0)).all()


def beside(second: float, wide: int = 110, ink: int = INK) -> GreyImage:
    """Draw a 3, and to its right a 5 of a share of its height."""
    out = draw(DIGITS[3], (64, wide), 0.6, off=(-0.25, 0))
    return np.minimum(out, draw(DIGITS[5], (64, wide), 0.6 * second, off=(0.2, -0.1), ink=ink))


def dashed(crop: GreyImage) -> GreyImage:
    """Draw pieces of the lines above and to the right of a digit."""
    out = crop.copy()
    out[4:7, 4:20] = out[4:7, 26:40] = out[8:30, 43:45] = out[36:58, 43:45] = LINE
    return out


def tight(crop: GreyImage) -> GreyImage:
    y, x = np.nonzero(crop < 130)
    return crop[y.min() : y.max() + 1, x.min() : x.max() + 1]


CLEAN = [crop for size in SIZES[2:] for crop in ten(size)]
UNUSED: dict[str, tuple[tuple[float, float], tuple[float, float], list[GreyImage]]] = {
    "a digit": ((0, 0), (0, 0), CLEAN),
    "a digit cut tight": ((0, 0), (0, 0), [tight(crop) for crop in ten((64, 48))]),
    "dust": ((0, 0), (0, 0), [stroked(c, (0.9, 0.2), (0.9, 0.2)) for c in ten((200, 150))]),
    "a line to write on": ((0, 0), (0, 0), [ruled(c, rows=slice(60, 62)) for c in ten((64, 48))]),
    "a printed box": ((0, 0), (0, 0), [framed(crop, 2, 2) for crop in ten((64, 48), 0.6)]),
    "a neighbour's stroke": (
        (0, 0), (0, 0.6), [stroked(c, (0, 0.3), (0.05, 0.7)) for c in ten((64, 48), 0.6)],
    ),
    "rests of a box's lines": (
        (0, 0), (0, 0), [dashed(crop) for crop in ten((64, 48), 0.55)],
    ),
    "a second, fainter digit": ((0.1, 2), (0, 0), [beside(0.7, ink=190)]),
    "a second digit": ((0.1, 2), (0, 0), [beside(share) for share in (0.5, 0.7, 0.9)]),
    "two digits cut tight": ((0.1, 2), (0, 0), [tight(beside(share)) for share in (0.6, 0.8)]),
}  # fmt: skip


@named([*UNUSED])
def test_ink_that_is_not_read_is_accounted_for(name: str) -> None:
    *limits, crops = UNUSED[name]
    inside, border, faint = normalize(crops).unused.T
    for unused, (least, most) in zip((inside + faint, border), limits, strict=True):
        assert ((least <= unused) & (unused <= most)).all()


# --- strips of whole numbers ---


def number(text: str, *, high: int = 40, pen: int = 3, margin: int = 12) -> GreyImage:
    """Draw a number, dark on light, its digits `high` px."""
    scale = high / 21.0  # Hershey's digits are 21 px at scale 1
    (wide, _), _ = cv2.getTextSize(text, 0, scale, pen)
    canvas = np.full((high + 2 * margin, wide + 2 * margin), 235, np.uint8)
    cv2.putText(canvas, text, (margin, high + margin), 0, scale, 40, pen, cv2.LINE_AA)
    return canvas


def inked_box(picture: GreyImage) -> tuple[int, int, int, int]:
    y, x = np.nonzero(picture > 110)
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


@settings(max_examples=40, deadline=None)
@given(high=st.integers(16, 220), left=st.integers(0, 300), top=st.integers(0, 200))
def test_a_strip_has_its_height_and_lies_where_it_says(high: int, left: int, top: int) -> None:
    crop = number("20518", high=high, pen=max(2, high // 12))
    crop = np.pad(crop, ((top, 20), (left, 30)), constant_values=235)
    found = strips.strip(crop)
    assert not found.fault
    assert found.picture.shape[0] == strips.HEIGHT
    assert found.picture.shape[1] in strips.WIDTHS
    box = np.array(inked_box(found.picture))
    assert abs(box[3] - box[1] - strips.INK) <= 2
    assert abs(box[0] - strips.MARGIN) <= 2
    back = box * found.scale + np.tile(found.origin, 2)
    assert np.abs(back - inked_box(255 - crop)).max() <= 0.06 * high + 1.5


@pytest.mark.parametrize("text", ["7", "10", "111", "4711", "00000000"])
def test_strips_are_the_same_in_either_polarity(text: str) -> None:
    crop = number(text)
    assert np.array_equal(strips.strip(crop).picture, strips.strip(255 - crop).picture)
    assert np.array_equal(strips.strip(crop).picture, strips.strip(crop, invert="yes").picture)


def test_ruled_lines_and_a_pattern_leave_the_ink_alone() -> None:
    plain = number("90210")
    ruled = plain.copy()
    ruled[-6:-4] = 60
    ruled[3:5] = 60
    y, x = np.mgrid[: plain.shape[0], : plain.shape[1]]
    printed = np.minimum(plain, np.where((x + y) % 6 < 2, 195, 235)).astype(np.uint8)
    want = strips.strip(plain)
    for other in (ruled, printed):
        found = strips.strip(other)
        assert found.picture.shape == want.picture.shape
        assert np.mean((found.picture > 110) != (want.picture > 110)) < 0.06


@pytest.mark.parametrize(
    ("crop", "fault"),
    [
        (np.full((40, 200), 255, np.uint8), "no ink"),
        (np.zeros((40, 200), np.uint8), "no ink"),
        (np.full((1, 1), 9, np.uint8), "no ink"),
        (np.full((1, 40), 255, np.uint8), "no ink"),
        (np.full((3, 20_000), 255, np.uint8), "no ink"),
        (np.full((30, 8_000), 230, np.uint8), "no ink"),
        (np.tile(number("123", margin=4), 40), "too long for a number"),
    ],
    ids=["white", "black", "a pixel", "a row", "a thread", "30 x 8000", "a line of digits"],
)
def test_what_no_strip_is_made_of_says_why(crop: GreyImage, fault: str) -> None:
    found = strips.strip(crop)
    assert fault in found.fault
    assert found.picture.shape == (strips.HEIGHT, 0)


@settings(max_examples=40, deadline=None)
@given(lean=st.floats(-0.4, 0.6), text=st.sampled_from(["4711", "90210", "1144", "13571"]))
def test_slanted_writing_is_set_upright(lean: float, text: str) -> None:
    plain = number(text, margin=40)
    middle = (plain.shape[0] - 1) / 2
    matrix = np.array([[1, -lean, lean * middle], [0, 1, 0]])
    leaning = np.asarray(cv2.warpAffine(plain, matrix, plain.shape[::-1], borderValue=(235,)))
    want, found = strips.strip(plain), strips.strip(leaning)
    assert found.slant - want.slant == pytest.approx(lean, abs=0.1)
    columns = min(want.picture.shape[1], found.picture.shape[1])
    inks = [one.picture[:, :columns] > 110 for one in (want, found)]
    assert np.mean(inks[0] != inks[1]) < 0.09


def test_writing_is_left_as_it_leans_if_so_wished() -> None:
    leaning = strips.strip(number("/4/"), straighten=False)
    assert leaning.slant == 0
    upright = strips.strip(number("/4/"))
    assert upright.slant > 0.2
    assert inked_box(upright.picture)[2] < inked_box(leaning.picture)[2]


def test_noise_on_paper_is_no_ink() -> None:
    random = np.random.default_rng(0)
    for deep in (2, 5, 8):
        crop = np.clip(random.normal(220, deep, (50, 260)), 0, 255).astype(np.uint8)
        assert strips.strip(crop).fault == "no ink"


def test_a_number_small_in_a_long_strip_is_found() -> None:
    crop = np.full((30, 8_000), 230, np.uint8)
    small = number("365", high=18, pen=2, margin=6)
    crop[:, 5_000 : 5_000 + small.shape[1]] = small
    found = strips.strip(crop)
    assert not found.fault
    assert found.origin[0] == pytest.approx(5_000, abs=20)


@settings(max_examples=60, deadline=None)
@given(high=st.integers(1, 90), wide=st.integers(1, 400), seed=st.integers(0, 2**32 - 1))
def test_any_crop_gives_a_strip_or_a_word(high: int, wide: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    crop = random.integers(0, 256, (high, wide), np.uint8)
    if seed % 2:
        crop[random.random(crop.shape) < 0.9] = 255
    found = strips.strip(crop)
    assert bool(found.fault) == (found.picture.shape[1] == 0)
    assert found.picture.shape[0] == strips.HEIGHT
    assert found.scale > 0
