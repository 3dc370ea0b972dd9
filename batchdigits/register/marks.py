"""ArUco markers in a page: where a template's markers are, corner by corner."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.templates.template import Form
from batchdigits.templates.template import compute_box_corners as of_box

SEARCH_SIDES_PX = (1200, 2400, 4800)
"""Longest sides, px, that a page is searched at, until enough markers are found: small markers are
lost in a small picture, and blurred ones found in a small picture alone."""
WINDOW_SIDES_PX = (13, 3, 23)
"""Sides, px, of the windows that tell dark from light: the first does for most pages, in a third of
the time."""
SEARCH_MARGIN_FACTOR = 2.5
"""A marker that is missing is looked for so many sides of a marker round where it should be."""

Quad = NDArray[np.float64]
"""Corners (4, 2), px, clockwise from the marker's own top left."""


class DetectedMarkers(NamedTuple):
    """The markers in a page.

    Attributes:
        quads: id → corners, each once.
        twice: ids that are there more than once.
    """

    quads: dict[int, Quad]
    twice: set[int]


def detect_markers(grey: GreyImage, form: Form) -> DetectedMarkers:
    """Find a form's markers."""
    detector, quick = (
        _build_detector(form, WINDOW_SIDES_PX),
        _build_detector(form, WINDOW_SIDES_PX[:1]),
    )
    wanted = {marker.id for marker in form.effective_markers}
    quads: dict[int, Quad] = {}
    twice: set[int] = set()
    for longest, by in [
        (SEARCH_SIDES_PX[0], quick),
        *((side, detector) for side in SEARCH_SIDES_PX),
    ]:
        for number, quad in _detect_markers_at_scale(by, grey, min(1.0, longest / max(grey.shape))):
            if number in quads and _is_separate_marker(quads[number], quad):
                twice.add(number)
            elif number in wanted:
                quads.setdefault(number, quad)
        enough = 4 if by is quick else 3
        if len(quads) >= enough or (by is detector and longest >= max(grey.shape)):
            break
    if len(quads) >= 3:
        for number in wanted - quads.keys():
            there = _find_missing_marker(detector, grey, form, quads, number)
            if there is not None:
                quads[number] = there
    return DetectedMarkers(
        {number: _refine_corners(grey, quad) for number, quad in quads.items()}, twice
    )


def list_marker_corners(form: Form, numbers: list[int]) -> NDArray[np.float64]:
    """Give the corners of markers on paper, mm: (4 N, 2), in the order of `Quad`."""
    places = {marker.id: marker.box for marker in form.effective_markers}
    return np.concatenate([of_box(places[number]) for number in numbers])


def _build_detector(form: Form, windows: Sequence[int]) -> Any:
    side = form.dictionary[0]
    dictionary = getattr(cv2.aruco, f"DICT_{side}X{side}_1000")
    settings = cv2.aruco.DetectorParameters()
    settings.adaptiveThreshWinSizeMin = min(windows)
    settings.adaptiveThreshWinSizeMax = max(windows)
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    return cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(dictionary), settings)


def _detect_markers_at_scale(
    detector: Any, grey: GreyImage, share: float
) -> list[tuple[int, Quad]]:
    """Find markers of any id, in the page made smaller by a share, or more.

    A whole number of pixels becomes one: OpenCV averages those four times as fast as others.
    """
    times = min(math.ceil(1 / share - 1e-6), *grey.shape)
    down, across = (n // times for n in grey.shape)
    whole = grey[: down * times, : across * times]
    small = cv2.resize(whole, (across, down), interpolation=cv2.INTER_AREA) if times > 1 else grey
    quads, ids, _ = detector.detectMarkers(small)
    scale = float(times)
    numbers = [] if ids is None else ids.ravel().tolist()
    return [
        (number, (quad[0].astype(np.float64) + 0.5) * scale - 0.5)
        for quad, number in zip(quads, numbers, strict=True)
    ]


def _measure_short_side(quad: Quad) -> float:
    return float(np.linalg.norm(quad - np.roll(quad, 1, axis=0), axis=1).min())


def _is_separate_marker(one: Quad, other: Quad) -> bool:
    return bool(np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)) > _measure_short_side(one))


def _find_missing_marker(
    detector: Any, grey: GreyImage, form: Form, quads: dict[int, Quad], number: int
) -> Quad | None:
    """Look for a marker where the others say that it is, in finer detail."""
    matrix, _ = cv2.estimateAffine2D(
        list_marker_corners(form, list(quads)), np.concatenate(list(quads.values()))
    )
    if matrix is None:
        return None
    place = list_marker_corners(form, [number]) @ matrix[:, :2].T + matrix[:, 2]
    reach = SEARCH_MARGIN_FACTOR * _measure_short_side(place)
    low = np.maximum(np.floor(place.min(axis=0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(place.max(axis=0) + reach), grey.shape[::-1]).astype(int)
    part = grey[low[1] : high[1], low[0] : high[0]]
    if min(part.shape) < 16:
        return None
    for longest in (600, 300):
        share = min(1.0, longest / max(part.shape))
        for one, quad in _detect_markers_at_scale(detector, part, share):
            if one == number:
                return np.asarray(quad + low, np.float64)
    return None


def _refine_corners(grey: GreyImage, quad: Quad) -> Quad:
    """Bring corners to a fraction of a pixel in the page itself."""
    reach = max(2, int(_measure_short_side(quad) / 16))
    ends = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 40, 0.01)
    points = quad.astype(np.float32).reshape(-1, 1, 2)
    return np.asarray(
        cv2.cornerSubPix(grey, points, (reach, reach), (-1, -1), ends)[:, 0], np.float64
    )
