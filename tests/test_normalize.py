"""Whatever the scan, the picture is the one MNIST would hold of that digit, or none at all."""

from collections.abc import Callable
from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batchdigits.normalize import SIDES, Normalized, normalize
from batchdigits.records import Grey

Change = Callable[[Grey], Grey]
Floats = NDArray[np.floating]

INK, PAPER, LINE = 40, 225, 60
FINE = 4  # digits are drawn this many times larger, then averaged: soft edges as from a scanner
ALIKE = 0.05
"""Mean difference below which two pictures show the same; 3 and 8, the most alike of the digits
below at this pen, are 0.064 apart. Half a pixel's difference in scale alone makes 0.04."""


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Floats:
    angle = np.radians(np.linspace(start, end, 25))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def points(*xy: tuple[float, float]) -> Floats:
    return np.array(xy, float)


STROKES: list[list[Floats]] = [  # each digit is 1 high and about 0.65 wide
    [arc(0.32, 0.5, 0.32, 0.5, 0, 360)],
    [points((0.05, 0.22), (0.25, 0), (0.25, 1))],
    [np.vstack([arc(0.32, 0.28, 0.3, 0.28, 180, 390), points((0.02, 1), (0.64, 1))])],
    [arc(0.28, 0.25, 0.3, 0.25, 200, 450), arc(0.28, 0.74, 0.34, 0.26, 270, 520)],
    [points((0.45, 1), (0.45, 0), (0, 0.68), (0.65, 0.68))],
    [points((0.6, 0), (0.1, 0), (0.06, 0.45)), arc(0.27, 0.68, 0.35, 0.32, 230, 500)],
    [np.vstack([points((0.5, 0), (0.15, 0.4)), arc(0.32, 0.7, 0.3, 0.3, 200, 560)])],
    [points((0, 0), (0.62, 0), (0.2, 1))],
    [arc(0.32, 0.24, 0.26, 0.24, 0, 360), arc(0.32, 0.74, 0.32, 0.26, 0, 360)],
    [np.vstack([arc(0.32, 0.3, 0.3, 0.3, 0, 360), points((0.62, 0.3), (0.5, 1))])],
]
LOOSE_FIVE = [points((0.2, 0), (0.6, 0)), points((0.06, 0.12), (0.06, 0.45)), STROKES[5][1]]


def draw(
    strokes: list[Floats],
    size: tuple[int, int],
    *,
    high: float = 0.7,
    at: tuple[float, float] = (0.5, 0.5),
    pen: float = 0.12,
    ink: int = INK,
    paper: int = PAPER,
) -> Grey:
    """Draw in a crop: `high` as a share of it, middle `at` (y, x), `pen` as a share of the digit."""
    height, width = size
    tall = high * height * FINE
    thick = max(1, round(pen * tall))
    every = np.vstack(strokes)
    middle = (every.min(0) + every.max(0)) / 2
    to = np.array([at[1] * width, at[0] * height]) * FINE - 0.5
    inked = np.zeros((height * FINE, width * FINE), np.uint8)
    for stroke in strokes:
        path = np.rint(((stroke - middle) * (tall - thick) + to) * 16).astype(np.int32)
        cv2.polylines(inked, [path], False, 255, thick, cv2.LINE_AA, 4)
    share = cv2.resize(inked, (width, height), interpolation=cv2.INTER_AREA) / 255
    return np.rint(paper + (ink - paper) * share).astype(np.uint8)


def ten(size: tuple[int, int], **how: float) -> list[Grey]:
    return [draw(strokes, size, **how) for strokes in STROKES]  # type: ignore[arg-type]


def mnist(strokes: list[Floats], pen: float = 0.12) -> Grey:
    """Draw as the makers of MNIST say, straight from the strokes."""
    drawn = draw(strokes, (100, 140), high=0.9, pen=pen, ink=255, paper=0)
    left, top, width, height = cv2.boundingRect(drawn)
    size = np.maximum(1, np.rint(np.array([width, height]) * 20 / max(width, height))).astype(int)
    box = drawn[top : top + height, left : left + width]
    small = cv2.resize(box, size.tolist(), interpolation=cv2.INTER_AREA)
    small = np.rint(small * (255 / small.max())).astype(np.uint8)
    y, x = np.ceil(13.5 - np.array(centre(small))).clip(0, 28 - size[::-1]).astype(int)
    picture = np.zeros((28, 28), np.uint8)
    picture[y : y + size[1], x : x + size[0]] = small
    return picture


def centre(picture: NDArray[np.generic]) -> tuple[float, float]:
    mass = np.asarray(picture, np.int64)
    y, x = np.indices(mass.shape)
    return float((y * mass).sum() / mass.sum()), float((x * mass).sum() / mass.sum())


def levels(found: Normalized) -> Grey:
    return np.rint(found.pictures[..., 0] * 255).astype(np.uint8)


def apart(one: Grey, other: Grey) -> float:
    """Mean difference in [0, 1]; a step of a pixel, which rounding may add, does not count."""
    steps = product((-1, 0, 1), repeat=2)
    gaps = [np.abs(np.roll(one, step, (0, 1)) - other.astype(float)).mean() for step in steps]
    return float(min(gaps)) / 255


def furthest(crops: list[Grey], wanted: list[Grey]) -> float:
    return max(map(apart, levels(normalize(crops)), wanted))


def blank(size: tuple[int, int] = (64, 48), level: int = PAPER) -> Grey:
    return np.full(size, level, np.uint8)


def noisy(crop: Grey, spread: float, grain: float = 0, seed: int = 0) -> Grey:
    noise = np.random.default_rng(seed).normal(0, 1, crop.shape)
    if grain:
        noise = cv2.GaussianBlur(noise, (0, 0), grain)
    return np.rint(crop + spread * noise / noise.std()).clip(0, 255).astype(np.uint8)


def jpeg(crop: Grey, quality: int = 40) -> Grey:
    data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def shaded(crop: Grey, least: float, *, round_: bool = False) -> Grey:
    y, x = (np.linspace(-1, 1, side) for side in crop.shape)
    light = 1 - np.add.outer(y * y, x * x) / 2 if round_ else np.add.outer(0 * y, x + 1) / 2
    return np.rint(crop * (least + (1 - least) * light)).astype(np.uint8)


def lined(crop: Grey, *, rows: slice = slice(0), columns: slice = slice(0)) -> Grey:
    out = crop.copy()
    out[rows] = out[:, columns] = LINE
    return out


def framed(crop: Grey, inset: int, thick: int) -> Grey:
    out = crop.copy()
    inner = slice(inset, -inset or None)
    out[inner, inner] = LINE
    inside = slice(inset + thick, -inset - thick)
    out[inside, inside] = crop[inside, inside]
    return out


def stroked(crop: Grey, start: tuple[float, float], end: tuple[float, float]) -> Grey:
    """Add a stroke from start to end (y, x), as shares of the crop."""
    (y, x), (to_y, to_x), (height, width) = start, end, crop.shape
    ends = (round(x * width), round(y * height)), (round(to_x * width), round(to_y * height))
    return np.asarray(cv2.line(crop.copy(), *ends, LINE, 4, cv2.LINE_AA), np.uint8)


def cornered(crop: Grey) -> Grey:
    out = framed(crop, 0, 2)
    out[12:-12, :2] = out[12:-12, -2:] = out[:2, 12:-12] = out[-2:, 12:-12] = PAPER
    return out


POOL = [
    *ten((28, 28)),
    *ten((40, 33), pen=0.08)[:4],
    *[255 - crop for crop in ten((64, 48))[4:8]],
    *[framed(crop, 0, 2) for crop in ten((64, 48))[6:9]],
    *[noisy(blank(), spread) for spread in (2, 30)],
    blank((28, 28)),
    lined(blank(), rows=slice(60, 62)),
    *ten((130, 90))[2:4],
    np.zeros((1, 1), np.uint8),
]


def test_what_comes_back() -> None:
    found = normalize(POOL)
    assert found.pictures.dtype == found.extent.dtype == np.float32
    assert found.pictures.shape == (len(POOL), 28, 28, 1)
    assert found.extent.shape == (len(POOL), 2)
    assert (found.unclear.dtype, found.unclear.shape) == (np.dtype(bool), (len(POOL),))
    assert np.isin(found.pictures, np.arange(256, dtype=np.float32) / np.float32(255)).all()
    assert found.extent.min() == 0 <= found.extent.max() <= 1
    inked = found.extent.any(1)
    assert inked.any()
    assert (found.pictures.max((1, 2, 3)) == inked).all()


def test_no_crops() -> None:
    found = normalize([])
    assert [part.shape for part in found] == [(0, 28, 28, 1), (0, 2), (0,)]
    assert [part.dtype for part in found] == [np.float32, np.float32, bool]


@pytest.mark.parametrize(
    "crop",
    [
        pytest.param(np.zeros((28, 28), np.float32), id="what a network takes, not a scan"),
        pytest.param(np.zeros((28, 28), np.uint16), id="sixteen bits"),
        pytest.param(np.zeros((28, 28), bool), id="one bit"),
        pytest.param(np.zeros((28, 28, 1), np.uint8), id="with a channel"),
        pytest.param(np.zeros(28, np.uint8), id="a line"),
        pytest.param(np.zeros((0, 28), np.uint8), id="no rows"),
        pytest.param(np.zeros((28, 0), np.uint8), id="no columns"),
    ],
)
def test_not_a_crop(crop: Grey) -> None:
    with pytest.raises(ValueError, match=r"^crop 1: expected uint8 of shape .* got .*\d+.*$"):
        normalize([POOL[0], crop])


@given(st.lists(st.integers(0, len(POOL) - 1), max_size=40))
@settings(max_examples=40, deadline=None)
def test_a_crop_does_not_see_the_others(chosen: list[int]) -> None:
    found = normalize([POOL[i] for i in chosen])
    for row, index in enumerate(chosen):
        for one, alone in zip(found, normalize([POOL[index]]), strict=True):
            assert one[row].tobytes() == alone.tobytes()


def test_more_crops_than_are_worked_on_together() -> None:
    crops = [noisy(POOL[i % 10], 2, seed=i) for i in range(600)]
    together = normalize(crops)
    for i in (0, 255, 256, 257, 511, 512, 599):
        assert together.pictures[i].tobytes() == normalize([crops[i]]).pictures.tobytes()


def test_crops_are_views_of_a_page_that_nobody_may_write() -> None:
    page = np.hstack(ten((64, 48)))
    page.flags.writeable = False
    views = [page[:, 48 * i : 48 * (i + 1)] for i in range(10)]
    turned = [np.rot90(np.rot90(view).copy(), -1) for view in views]
    wanted = normalize(ten((64, 48))).pictures
    assert (normalize(views).pictures == wanted).all()
    assert (normalize(turned).pictures == wanted).all()


@pytest.mark.parametrize("pen", [0.06, 0.1, 0.15, 0.2])
def test_what_is_in_mnist_geometry_stays_as_it_is(pen: float) -> None:
    crops = [mnist(strokes, pen) for strokes in STROKES]
    assert (levels(normalize(crops)) == crops).all()
    assert (levels(normalize([255 - crop for crop in crops])) == crops).all()


@pytest.mark.parametrize("size", [(20, 20), (28, 28), (48, 40), (96, 64), (150, 100)])
@pytest.mark.parametrize("pen", [0.06, 0.1, 0.2])
def test_twice_is_as_once(size: tuple[int, int], pen: float) -> None:
    once = levels(normalize(ten(size, pen=pen)))
    assert np.abs(levels(normalize(list(once))).astype(int) - once).max() <= 1


SIZES = [(16, 16), (20, 16), (28, 28), (40, 33), (64, 48), (60, 90), (96, 96), (200, 150)]


@pytest.mark.parametrize("size", SIZES)
def test_dark_or_light_ink_is_found_out(size: tuple[int, int]) -> None:
    drawn = [(high, pen) for high in (0.5, 0.7, 0.9) for pen in (0.05, 0.1, 0.15)]
    crops = [crop for high, pen in drawn for crop in ten(size, high=high, pen=pen)]
    crops += [framed(crop, i, max(1, min(size) // 25)) for crop in ten(size, high=0.6) for i in (0, 1)]
    dark, light = normalize(crops), normalize([255 - crop for crop in crops])
    assert (dark.pictures == normalize(crops, invert="yes").pictures).all()
    told = normalize([255 - crop for crop in crops], invert="no")
    assert (light.pictures == told.pictures).all()
    if np.isin(size, SIDES).all():  # else resizing comes first, and may round the other way
        assert (dark.pictures == light.pictures).all()
        assert (dark.extent == light.extent).all()


def test_the_ink_is_as_told() -> None:
    dark = ten((64, 48))
    right, wrong = normalize(dark, invert="yes"), normalize(dark, invert="no")
    assert min(map(apart, levels(right), levels(wrong))) > 2 * ALIKE


@given(
    st.integers(0, 9),
    st.integers(60, 200),
    st.floats(0.7, 1.8),
    st.floats(0.5, 0.75),
    st.floats(0.08, 0.18),
    st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
)
@settings(max_examples=80, deadline=None)
def test_size_and_place_do_not_matter(
    digit: int, side: int, aspect: float, high: float, pen: float, off: tuple[float, float]
) -> None:
    at = (0.5 + off[0], 0.5 + off[1])
    found = normalize([draw(STROKES[digit], (side, round(side * aspect)), high=high, at=at, pen=pen)])
    (picture,) = levels(found)
    assert apart(picture, mnist(STROKES[digit], pen)) < ALIKE
    assert abs(found.extent[0, 0] - high) < 0.05
    rows, columns = np.nonzero(picture)
    assert max(np.ptp(rows), np.ptp(columns)) == 19
    for mass, ends in zip(centre(picture), (rows, columns), strict=True):
        assert 13.49 < mass < 14.51 or ends.min() == 0 or ends.max() == 27
