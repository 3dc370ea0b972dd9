"""ArUco markers in a page: the corners of a template's markers."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage
from batchdigits.templates.boxes import compute_box_corners as of_box
from batchdigits.templates.template import Form

SEARCH_SIDES_PX = (1200, 2400, 4800)
"""Longest sides, px, to which a page is reduced in turn until enough markers are found: small
markers are lost in a small picture, and blurred markers are found only in a small picture."""
WINDOW_SIDES_PX = (13, 3, 23)
"""Sides, px, of the windows of the adaptive threshold: the first alone is enough for most pages,
and takes a third of the time."""
SEARCH_MARGIN_FACTOR = 2.5
"""A missing marker is searched within so many of its sides around its expected place."""

Quad = NDArray[np.float64]
"""Corners (4, 2), px, clockwise from the marker's own top left."""


class DetectedMarkers(NamedTuple):
    """The markers in a page.

    Attributes:
        quads: id → corners, of one marker with this id.
        duplicates: ids of more than one marker.
    """

    quads: dict[int, Quad]
    duplicates: set[int]


def detect_markers(grey: GreyImage, form: Form) -> DetectedMarkers:
    """Find a form's markers in a page."""
    thorough, quick = (
        _build_detector(form, WINDOW_SIDES_PX),
        _build_detector(form, WINDOW_SIDES_PX[:1]),
    )
    marker_ids = {marker.id for marker in form.effective_markers}
    quads: dict[int, Quad] = {}
    duplicates: set[int] = set()
    for longest, detector in [
        (SEARCH_SIDES_PX[0], quick),
        *((side, thorough) for side in SEARCH_SIDES_PX),
    ]:
        for number, quad in _detect_markers_at_scale(
            detector, grey, min(1.0, longest / max(grey.shape))
        ):
            if number in quads and _is_separate_marker(quads[number], quad):
                duplicates.add(number)
            elif number in marker_ids:
                quads.setdefault(number, quad)
        min_markers = 4 if detector is quick else 3
        if len(quads) >= min_markers or (detector is thorough and longest >= max(grey.shape)):
            break
    if len(quads) >= 3:
        for number in marker_ids - quads.keys():
            missing = _find_missing_marker(thorough, grey, form, quads, number)
            if missing is not None:
                quads[number] = missing
    return DetectedMarkers(
        {number: _refine_corners(grey, quad) for number, quad in quads.items()}, duplicates
    )


def list_marker_corners(form: Form, numbers: list[int]) -> NDArray[np.float64]:
    """Return the corners of N markers on paper, mm: (4 N, 2), each in the order of `Quad`."""
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
    """Find markers of any id in the page, reduced to a share of its size, or further.

    A whole number of pixels becomes one pixel: OpenCV averages these four times as fast as others.
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
    """Look for a marker in finer detail, where the other markers show that it should be."""
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
    """Refine corners to a fraction of a pixel, in the page at its full size."""
    reach = max(2, int(_measure_short_side(quad) / 16))
    ends = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 40, 0.01)
    points = quad.astype(np.float32).reshape(-1, 1, 2)
    return np.asarray(
        cv2.cornerSubPix(grey, points, (reach, reach), (-1, -1), ends)[:, 0], np.float64
    )
